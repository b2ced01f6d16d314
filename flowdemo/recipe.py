"""Recipes, validated when they enter."""

from typing import Literal

from pydantic import Field, model_validator

from flowdemo.options import (
    MAX_EPS,
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
from flowdemo.recipe_checks import (
    check_empty_label,
    check_guidance,
    check_heard,
    check_meanflow,
    check_reflow,
    check_times,
)
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
    eps: float = Field(0.0, ge=0, le=MAX_EPS)
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
        check_empty_label(self)
        check_heard(self)
        return self
