"""Recipes: every combination that would train something else than it says is refused by name."""

import pytest
from pydantic import ValidationError

from flowdemo.config.recipe import Recipe
from flowdemo.core.resampling import RESAMPLERS
from flowdemo.core.times import ENDS, INTERVALS, TIMES
from flowdemo.methods.derivatives import DERIVATIVES
from flowdemo.methods.meanflow import SPLIT
from flowdemo.nets import build_net
from flowdemo.training.recipe_files import read_recipe

MLP, LONG = {"kind": "mlp"}, {"kind": "mlp", "end_time": True}
FLOW = {"name": "x", "method": "flow-matching", "data": "moons", "steps": 1, "net": MLP}
REFLOW = FLOW | {"method": "reflow", "teacher": "y", "pairs": {"count": 1}}
MEAN = FLOW | {"method": "meanflow", "net": LONG, "meanflow": {}}
GUIDED = {"guidance": True}
UNET = {"kind": "unet", "widths": [8]}
DISTILLED = REFLOW | {"net": UNET, "data": "mnist", "times": "t0", "loss": "lpips"}
MIDDLE = {"times": "logit-normal"}

REFUSED = [
    (FLOW, {"pairs": {"count": 1}}, "reflow, and nothing else, needs 'pairs'"),
    (REFLOW, {"pairs": None}, "reflow, and nothing else, needs 'pairs'"),
    (REFLOW, {"teacher": None}, "reflow needs a 'teacher'"),
    (FLOW, {"meanflow": {}}, "meanflow, and nothing else, needs 'meanflow' options"),
    (MEAN, {"meanflow": None}, "meanflow, and nothing else, needs 'meanflow' options"),
    (MEAN, {"net": MLP}, "meanflow, and nothing else, needs a net with 'end_time'"),
    (FLOW, {"net": LONG}, "meanflow, and nothing else, needs a net with 'end_time'"),
    (REFLOW, {"coupling": "ot"}, "reflow's 'pairs' are its coupling"),
    (FLOW, {"teacher": "y"}, "flow-matching has no teacher"),
    (FLOW, {"net": MLP | GUIDED}, "its net no input 'guidance'"),
    # weights of guidance
    (FLOW, {"guidance": (2.0, 1.0)}, r"'guidance' must be \[low, high\]"),
    (REFLOW, {"guidance": (0.5, 2.0), "net": MLP | GUIDED}, "takes weights of at least 1"),
    (REFLOW, {"guidance": (1.0, 2.0)}, "reflow is guided only by a net with the input 'guidance'"),
    (MEAN, {"guidance": (1.0, 2.0)}, "meanflow is guided only by a net with the input 'guidance'"),
    (FLOW, {"guidance": (2.0, 4.0)}, "'guidance' must hold 1"),
    (FLOW, {"guidance": (0.0, 0.5)}, "'guidance' must hold 1"),
    (REFLOW, {"guidance": (2.0, 4.0), "net": MLP | GUIDED}, "'guidance' must hold 1"),
    (FLOW, {"guidance": (1.0, 2.0), "label_dropout": 0}, "needs the empty label"),
    (REFLOW, {"net": MLP | GUIDED, "label_dropout": 0}, "needs the empty label"),
    (MEAN, {"meanflow": {"omega": 2.0}, "label_dropout": 0}, "needs the empty label"),
    (MEAN, {"meanflow": {"kappa": 0.5}, "label_dropout": 0}, "needs the empty label"),
    # what nothing would listen to
    (FLOW, {"flip": True}, "not points or pairs"),
    (DISTILLED, {"flip": True}, "not points or pairs"),
    (DISTILLED, {"power": 0.5}, "'power' weighs the squared error"),
    (FLOW, {"share_unguided": 0.5}, "'share_unguided' is of weights that are drawn"),
    (FLOW, {"features": "lpips"}, "'features' are those of a perceptual 'loss'"),
    (
        REFLOW,
        {"pairs": {"count": 1, "solver": "heun", "steps": 2, "tolerance": 1e-3}},
        "'heun' knows no 'tolerance'",
    ),
    (MEAN, {"meanflow": {"guided_times": (0.2, 0.8)}}, "'guided_times' say nothing without"),
    (DISTILLED, {"compile": True, "net": UNET | {"dropout": 0.1}}, "every step's masks"),
    # meanflow
    (MEAN, {"share_start": 0.1}, "takes 'meanflow.share_start' and 'meanflow.power'"),
    (MEAN, {"power": 0.1}, "takes 'meanflow.share_start' and 'meanflow.power'"),
    (MEAN, {"times": "t0"}, "meanflow needs 'times' that fill"),
    (MEAN, {"times": 4}, "meanflow needs 'times' that fill"),
    (MEAN, {"times": "loss-second-moment"}, "at single times; meanflow's have two"),
    (MEAN, {"eps": 0.01}, "meanflow needs 'times' that fill .* and 'eps' 0"),
    (MEAN, {"meanflow": {"intervals": "cifar-paper"}} | MIDDLE, "others have their own"),
    (MEAN, {"loss": "lpips+l2"}, "meanflow's 'loss' is \"l2\""),
    (MEAN, {"net": LONG | GUIDED, "meanflow": {"omega": 2.0}}, "exclude each other"),
    (MEAN, {"net": LONG | GUIDED, "meanflow": {"kappa": 0.5}}, "exclude each other"),
    (MEAN, {"meanflow": {"guided_times": (0.8, 0.2)}}, r"'guided_times' must be \[low, high\]"),
    (MEAN, {"meanflow": {"dropped": "guided"}}, "'dropped' says nothing without 'omega'"),
    (MEAN, {"meanflow": {"derivative": "split", "tangent": "predicted"}}, "takes no derivative"),
    # times
    (FLOW, {"times": "t0"}, "of single steps need the pairs of reflow"),
    (FLOW, {"times": 2}, "of single steps need the pairs of reflow"),
    (REFLOW, {"times": "t1", "path": "cosine"}, "which are straight, need the 'linear' path"),
    (REFLOW, {"times": 3, "path": "vp"}, "which are straight, need the 'linear' path"),
    (REFLOW, {"times": "t0", "share_start": 0.1}, "these 'times' take no 'share_start'"),
    (FLOW, {"times": "loss-second-moment", "share_start": 0.1}, "take no 'share_start'"),
    (FLOW, {"times": "loss-second-moment", "eps": 0.01}, "these 'times' take no 'eps'"),
    (FLOW, {"logit_mean": 1.0}, "are those of 'times' \"logit-normal\""),
    (FLOW, {"logit_std": 2.0, "times": "mode"}, "are those of 'times' \"logit-normal\""),
    # perceptual losses
    (REFLOW, {"loss": "lpips"}, "it needs 'times' \"t0\", 'eps' and"),
    (
        REFLOW,
        {"loss": "lpips+l2", "times": "t0", "eps": 0.01},
        "it needs 'times' \"t0\", 'eps' and",
    ),
    # pairs
    (REFLOW, {"pairs": {"count": 1, "solver": "heun"}}, "'heun' needs 'pairs.steps'"),
    (REFLOW, {"pairs": {"count": 1, "steps": 3}}, "'dopri5' chooses its steps"),
    # parts of a batch
    (FLOW, {"batch_size": 4, "accumulate": 5}, "'accumulate' parts of a batch need as many rows"),
]


def said(refused):
    base, changes, _ = refused
    return f"{base['method']}: {changes}"


@pytest.mark.parametrize(("base", "changes", "message"), REFUSED, ids=map(said, REFUSED))
def test_what_excludes_each_other_is_refused_by_name(base, changes, message):
    Recipe(**base)  # without the change it is a recipe
    with pytest.raises(ValidationError, match=message) as raised:
        Recipe(**(base | changes))
    assert len(raised.value.errors()) == 1


BOUNDS = [
    (FLOW, {"times": 0}, "greater than or equal to 1"),
    (FLOW, {"times": "often"}, "must be one of uniform"),
    (FLOW, {"eps": 0.011}, "less than or equal to 0.01"),
    (FLOW, {"reduction": "median"}, "must be one of mean, sum"),
    (FLOW, {"precision": "float8"}, "'float32', 'bfloat16' or 'float16'"),
    (FLOW, {"accumulate": 0}, "greater than or equal to 1"),
    (FLOW, {"coupling": "nearest"}, "must be one of independent, ot"),
    (FLOW, {"path": "crooked"}, "must be one of linear, cosine"),
    (FLOW, {"power": -0.1}, "greater than or equal to 0"),
    (FLOW, {"power": 2.1}, "less than or equal to 2"),
    (FLOW, {"method": "consistency"}, "must be one of flow-matching, reflow, meanflow"),
    (FLOW, {"sigma_min": 1.0}, "less than 1"),
    (FLOW, {"normalise": "none"}, "'data', 'min-max' or 'mean-std'"),
    (REFLOW, {"pairs": {"count": 0}}, "greater than or equal to 1"),
    (REFLOW, {"pairs": {"count": 1, "held_out": 0.6}}, "less than or equal to 0.5"),
    (REFLOW, {"pairs": {"count": 1, "solver": "rk9", "steps": 1}}, "must be one of euler"),
    (REFLOW, {"pairs": {"count": 1, "processes": 0}}, "greater than or equal to 1"),
    (MEAN, {"meanflow": {"kappa": 1.0}}, "less than 1"),
    (MEAN, {"meanflow": {"omega": 0.0}}, "greater than 0"),
    (MEAN, {"meanflow": {"intervals": "long"}}, "must be one of sorted"),
    (MEAN, {"meanflow": {"derivative": "by-hand"}}, "must be one of jvp"),
    (MEAN, {"meanflow": {"tangent": "both"}}, "'conditional' or 'predicted'"),
]


@pytest.mark.parametrize(("base", "changes", "message"), BOUNDS, ids=map(said, BOUNDS))
def test_what_is_out_of_bounds_is_refused(base, changes, message):
    with pytest.raises(ValidationError, match=message):
        Recipe(**(base | changes))


@pytest.mark.parametrize("times", [*TIMES, *ENDS, *RESAMPLERS, 1, 8])
def test_every_kind_of_times_is_one_of_some_recipe(times):
    base = REFLOW if times in ENDS or isinstance(times, int) else FLOW
    alone = times if base is REFLOW else None
    assert Recipe(**(base | {"times": times})).trained_times == alone


@pytest.mark.parametrize("intervals", INTERVALS)
@pytest.mark.parametrize("derivative", [*DERIVATIVES, SPLIT])
def test_every_objective_of_meanflow_goes_with_all_intervals(derivative, intervals):
    options = {"derivative": derivative, "intervals": intervals, "omega": 2.0, "dropped": "guided"}
    assert Recipe(**(MEAN | {"meanflow": options})).meanflow.guides


HEARD = [
    (FLOW, {"label_dropout": 0}),
    (MEAN, {"meanflow": {"guided_times": (0.2, 0.8), "kappa": 0.5}}),
    (MEAN, {"meanflow": {"guided_times": (0.2, 0.8)}, "net": LONG | GUIDED}),
    (DISTILLED, {"features": "lpips"}),
    (REFLOW, {"share_unguided": 0.5}),
    (MEAN, {"share_unguided": 0.5, "net": LONG | GUIDED}),
    (DISTILLED, {"loss": "lpips+l2", "power": 0.5}),
    (DISTILLED, {"compile": True}),
    (DISTILLED, {"net": UNET | {"dropout": 0.1}}),
    (REFLOW, {"pairs": {"count": 1, "tolerance": 1e-3}}),
    (FLOW, {"net": UNET, "data": "mnist", "flip": True}),
    (FLOW, {"eps": 0.01}),
]


@pytest.mark.parametrize(("base", "changes"), HEARD)
def test_what_only_some_others_exclude_is_a_recipe_elsewhere(base, changes):
    Recipe(**(base | changes))


def test_the_last_pairs_are_held_out_and_at_least_one_is_trained_on():
    def trained(count, share):
        return Recipe(**(REFLOW | {"pairs": {"count": count, "held_out": share}})).pairs.trained

    assert (trained(100, 0.05), trained(100, 0.0), trained(1, 0.5)) == (95, 100, 1)


def test_a_recipe_goes_through_json_unchanged():
    for base in (FLOW | MIDDLE | {"logit_mean": 1.0}, REFLOW | {"times": 4}, MEAN):
        plan = Recipe(**base)
        assert Recipe.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize("method", ["flow-matching", "reflow", "meanflow"])
def test_the_networks_of_colour_are_small(method):
    net = build_net(read_recipe(f"cifar10-{method}").net, (3, 32, 32), 10)
    assert 3e6 < sum(weight.numel() for weight in net.parameters()) <= 4e6
