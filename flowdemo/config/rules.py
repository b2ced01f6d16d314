"""What the fields of a recipe exclude. The type and range of a single field are checked by its type.

Rules map the message of a ValueError to the condition that a recipe must not meet; "{method}" in a
message is the name of the recipe's method. The rules of one method alone are in its module.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowdemo.core.resampling import RESAMPLERS
from flowdemo.methods import METHODS
from flowdemo.methods.base import Rules

if TYPE_CHECKING:
    from flowdemo.config.recipe import Recipe

# A part that some methods need and no others have -> its name in words, and whether it is there.
PARTS: dict[str, tuple[str, Callable[["Recipe"], bool]]] = {
    "pairs": ("'pairs'", lambda r: r.pairs is not None),
    "meanflow": ("'meanflow' options", lambda r: r.meanflow is not None),
    "end_time": ("a net with 'end_time'", lambda r: r.net.end_time),
}

# The CFG weights of a recipe or of a checkpoint.
GUIDANCE: Rules = {
    "'guidance' must be [low, high]": lambda r: r.guidance[0] > r.guidance[1],
    "a network with the weight as input takes weights of at least 1": lambda r: (
        r.net.guidance and r.guidance[0] < 1
    ),
    "{method} is guided only by a net with the input 'guidance'": lambda r: (
        r.method in METHODS
        and METHODS[r.method].guidance_input
        and not r.net.guidance
        and is_guided(r)
    ),
}

RULES: Rules = GUIDANCE | {
    "'source' and 'shape' come together: where pictures are, and their size": lambda r: (
        (r.source is None) != (r.shape is None)
    ),
    "'times' of single steps need the pairs of reflow": lambda r: (
        r.trained_times is not None and r.pairs is None
    ),
    "'times' of single steps, which are straight, need the 'linear' path": lambda r: (
        r.trained_times is not None and r.path != "linear"
    ),
    "these 'times' take no 'share_start'": lambda r: (
        r.share_start and (r.trained_times is not None or r.times in RESAMPLERS)
    ),
    "these 'times' take no 'eps'": lambda r: r.eps and r.times in RESAMPLERS,
    "a perceptual loss looks at x_0 + v: it needs 'times' \"t0\", 'eps' and 'sigma_min' 0": lambda r: (
        "lpips" in r.loss and (r.times != "t0" or r.eps or r.sigma_min)
    ),
    "'logit_mean' and 'logit_std' are those of 'times' \"logit-normal\"": lambda r: (
        r.times != "logit-normal" and (r.logit_mean, r.logit_std) != (0, 1)
    ),
    "'guidance' must hold 1: the weight of rows without a label, and the one offered first": lambda r: (
        not r.guidance[0] <= 1 <= r.guidance[1]
    ),
    "guidance needs the empty label: take a 'label_dropout' over 0": lambda r: (
        not r.label_dropout
        and (is_guided(r) or r.net.guidance or (r.meanflow and r.meanflow.guides))
    ),
    "'flip' mirrors the pictures of a data set, not points or pairs": lambda r: (
        r.flip and (r.pairs or r.net.kind == "mlp")
    ),
    "'power' weighs the squared error, which 'loss' \"lpips\" has not": lambda r: (
        r.power and r.loss == "lpips"
    ),
    "'share_unguided' is of weights that are drawn: for pairs, or as an input": lambda r: (
        r.share_unguided != type(r).model_fields["share_unguided"].default
        and not (r.net.guidance or r.pairs)
    ),
    "'features' are those of a perceptual 'loss'": lambda r: (
        r.features != "classifier" and r.loss == "l2"
    ),
    "'compile' would begin anew at every step's masks of 'net.dropout'": lambda r: (
        r.compile and getattr(r.net, "dropout", 0)
    ),
}


def is_guided(config: Any) -> bool:
    """Whether a recipe or checkpoint has other CFG weights than 1."""
    return config.guidance != (1, 1)


def check_recipe(recipe: "Recipe") -> None:
    """ValueError of the first rule that the recipe breaks."""
    method = METHODS[recipe.method]
    for part, (words, is_there) in PARTS.items():
        if is_there(recipe) != (part in method.needs):
            needing = ", ".join(name for name, each in METHODS.items() if part in each.needs)
            raise ValueError(f"{needing}, and nothing else, needs {words}")
    refuse(recipe, method.rules | RULES)


def refuse(config: Any, rules: Rules) -> None:
    """ValueError of the first of these rules that a recipe or checkpoint breaks."""
    for message, breaks in rules.items():
        if breaks(config):
            raise ValueError(message.format(method=config.method))
