"""What the fields of a recipe, or of a checkpoint, exclude: ValueError says which and why."""

from typing import Any

from flowdemo.resampling import RESAMPLERS


def check_reflow(recipe: Any) -> None:
    """ValueError unless reflow, and nothing else, has pairs, a teacher and no other coupling."""
    if (recipe.method == "reflow") != (recipe.pairs is not None):
        raise ValueError("reflow, and nothing else, needs 'pairs'")
    if recipe.method == "reflow" and recipe.teacher is None:
        raise ValueError("reflow needs a 'teacher'")
    if recipe.method == "reflow" and recipe.coupling != "independent":
        raise ValueError("reflow's 'pairs' are its coupling")


def check_empty_label(recipe: Any) -> None:
    """ValueError if guidance is asked for, but without the rows that it needs."""
    low, high = recipe.guidance
    if not low <= 1 <= high:
        raise ValueError(
            "'guidance' must hold 1: the weight of rows without a label, and the one offered first"
        )
    fixed = recipe.meanflow is not None and recipe.meanflow.guides
    if not recipe.label_dropout and ((low, high) != (1, 1) or recipe.net.guidance or fixed):
        raise ValueError("guidance needs the empty label: take a 'label_dropout' over 0")


def check_heard(recipe: Any) -> None:
    """ValueError for settings that nothing would listen to."""
    if recipe.flip and (recipe.method == "reflow" or recipe.net.kind == "mlp"):
        raise ValueError("'flip' mirrors the pictures of a data set, not points or pairs")
    if recipe.power and recipe.loss == "lpips":
        raise ValueError("'power' weighs the squared error, which 'loss' \"lpips\" has not")
    usual = type(recipe).model_fields["share_unguided"].default
    if recipe.share_unguided != usual and not (recipe.net.guidance or recipe.pairs):
        raise ValueError("'share_unguided' is of weights that are drawn: for pairs, or as an input")
    if recipe.features != "classifier" and recipe.loss == "l2":
        raise ValueError("'features' are those of a perceptual 'loss'")
    if recipe.compile and getattr(recipe.net, "dropout", 0):
        raise ValueError("'compile' would begin anew at every step's masks of 'net.dropout'")


def check_meanflow(recipe: Any) -> None:
    """ValueError for what MeanFlow cannot be combined with."""
    options = recipe.meanflow
    if options is None:
        return
    if recipe.share_start or recipe.power:
        raise ValueError("meanflow takes 'meanflow.share_start' and 'meanflow.power'")
    if recipe.trained_times is not None or recipe.eps:
        raise ValueError("meanflow needs 'times' that fill [0, 1], and 'eps' 0")
    if recipe.times in RESAMPLERS:
        raise ValueError("these 'times' learn from errors at single times; meanflow's have two")
    if options.intervals != "sorted" and recipe.times != "uniform":
        raise ValueError("'times' are those of 'intervals' \"sorted\"; others have their own")
    if recipe.loss != "l2":
        raise ValueError("meanflow's 'loss' is \"l2\"")
    check_fixed_guidance(recipe, options)


def check_fixed_guidance(recipe: Any, options: Any) -> None:
    """ValueError for what MeanFlow's fixed guidance cannot be combined with."""
    if options.dropped == "guided" and recipe.teacher:
        raise ValueError(
            "'dropped' \"guided\" is for networks that guide themselves, without a teacher"
        )
    if options.guided_times != (0, 1) and not (options.guides or recipe.net.guidance):
        raise ValueError("'guided_times' say nothing without 'omega', 'kappa' or the input weight")
    if options.guides and recipe.net.guidance:
        raise ValueError("a fixed 'omega' or 'kappa' and the weight as an input exclude each other")


def check_times(recipe: Any) -> None:
    """ValueError for times that exclude each other, or the method."""
    if recipe.trained_times is not None and recipe.method != "reflow":
        raise ValueError("'times' of single steps need the pairs of reflow")
    if recipe.trained_times is not None and recipe.path != "linear":
        raise ValueError("'times' of single steps, which are straight, need the 'linear' path")
    alone = recipe.trained_times is not None or recipe.times in RESAMPLERS
    if alone and recipe.share_start:
        raise ValueError("these 'times' take no 'share_start'")
    if recipe.times in RESAMPLERS and recipe.eps:
        raise ValueError("these 'times' take no 'eps'")
    if "lpips" in recipe.loss and (recipe.times != "t0" or recipe.eps or recipe.sigma_min):
        raise ValueError(
            "a perceptual loss looks at x_0 + v: it needs 'times' \"t0\", 'eps' and 'sigma_min' 0"
        )
    if recipe.times != "logit-normal" and (recipe.logit_mean, recipe.logit_std) != (0, 1):
        raise ValueError("'logit_mean' and 'logit_std' are those of 'times' \"logit-normal\"")


def check_guidance(config: Any) -> None:
    """ValueError unless the range of CFG weights is one that the network can answer."""
    low, high = config.guidance
    if low > high:
        raise ValueError("'guidance' must be [low, high]")
    if config.net.guidance and low < 1:
        raise ValueError("a network with the weight as input takes weights of at least 1")
    given = config.method in ("reflow", "meanflow")  # others guide by two evaluations
    if given and not config.net.guidance and (low, high) != (1, 1):
        raise ValueError(f"{config.method} is guided only by a net with the input 'guidance'")
