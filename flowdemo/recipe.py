"""Recipes, validated when they enter."""

from typing import Any, Literal

from pydantic import Field, model_validator

from flowdemo.options import (
    CouplingName,
    MeanFlowOptions,
    Name,
    Pairs,
    PathName,
    ReductionName,
    Schedule,
    Side,
    TimesName,
    TimeSteps,
    Weight,
)
from flowdemo.resampling import RESAMPLERS
from flowdemo.sizes import NetConfig, Share
from flowdemo.times import ENDS

MethodName = Literal["flow-matching", "reflow", "meanflow"]


class Recipe(Schedule):
    """How a checkpoint is trained."""

    name: Name
    method: MethodName
    data: Name
    net: NetConfig
    path: PathName = "linear"
    sigma_min: float = Field(0.0, ge=0, lt=1)
    times: TimeSteps | TimesName = "uniform"
    logit_mean: float = Field(0.0, ge=-10, le=10)
    logit_std: float = Field(1.0, gt=0, le=10)
    eps: float = Field(0.0, ge=0, le=0.1)
    share_start: Share = 0.0
    coupling: CouplingName = "independent"
    loss: Literal["l2", "lpips", "lpips+l2"] = "l2"
    features: Literal["classifier", "lpips"] = "classifier"
    reduction: ReductionName = "mean"
    power: float = Field(0.0, ge=0, le=2)  # of the adaptive weight; 0 is the squared error
    source: str | None = Field(None, max_length=500)  # of one's own pictures, of that `shape`
    shape: tuple[Literal[1, 3], Side, Side] | None = None
    flip: bool = False
    normalise: Literal["data", "min-max", "mean-std"] = "data"
    teacher: Name | None = None
    start_from: Name | None = None
    guidance: tuple[Weight, Weight] = (1.0, 1.0)
    share_unguided: Share = 0.25
    label_dropout: Share = 0.1
    pairs: Pairs | None = None
    meanflow: MeanFlowOptions | None = None

    @property
    def trained_times(self) -> int | str | None:
        """ "t0", "t1" or the number of Euler steps, where these times alone are trained."""
        return self.times if isinstance(self.times, int) or self.times in ENDS else None

    @model_validator(mode="after")
    def _complete(self) -> "Recipe":
        check_reflow(self)
        if (self.method == "meanflow") != (self.meanflow is not None):
            raise ValueError("meanflow, and nothing else, needs 'meanflow' options")
        if (self.method == "meanflow") != self.net.end_time:
            raise ValueError("meanflow, and nothing else, needs a net with 'end_time'")
        if self.method == "flow-matching" and (self.teacher or self.net.guidance):
            raise ValueError("flow-matching has no teacher, and its net no input 'guidance'")
        if (self.source is None) != (self.shape is None):
            raise ValueError(
                "'source' and 'shape' come together: where pictures are, and their size"
            )
        check_guidance(self)
        check_meanflow(self)
        check_times(self)
        return self


def check_reflow(recipe: Recipe) -> None:
    """ValueError unless reflow, and nothing else, has pairs, a teacher and no other coupling."""
    if (recipe.method == "reflow") != (recipe.pairs is not None):
        raise ValueError("reflow, and nothing else, needs 'pairs'")
    if recipe.method == "reflow" and recipe.teacher is None:
        raise ValueError("reflow needs a 'teacher'")
    if recipe.method == "reflow" and recipe.coupling != "independent":
        raise ValueError("reflow's 'pairs' are its coupling")


def check_meanflow(recipe: Recipe) -> None:
    """ValueError for what MeanFlow cannot be combined with."""
    options = recipe.meanflow
    if options is None:
        return
    if recipe.share_start or recipe.power:
        raise ValueError("meanflow takes 'meanflow.share_start' and 'meanflow.power'")
    if recipe.trained_times is not None or recipe.times in RESAMPLERS or recipe.eps:
        raise ValueError("meanflow needs 'times' that fill [0, 1], and 'eps' 0")
    if recipe.loss != "l2":
        raise ValueError("meanflow's 'loss' is \"l2\"")
    if options.guides and recipe.net.guidance:
        raise ValueError("a fixed 'omega' or 'kappa' and the weight as an input exclude each other")


def check_times(recipe: Recipe) -> None:
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
    if "lpips" in recipe.loss and (recipe.times != "t0" or recipe.eps):
        raise ValueError("a perceptual loss looks at x_0 + v: it needs 'times' \"t0\", 'eps' 0")
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
