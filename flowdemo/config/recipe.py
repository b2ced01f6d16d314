"""Recipes: types and ranges of their fields. `recipe_checks.py` says what excludes what."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flowdemo.config.options import MAX_EPS, Name, PathName, Schedule, TimeSteps, Weight, one_of
from flowdemo.config.rules import check_recipe
from flowdemo.core.couplings import COUPLINGS
from flowdemo.core.resampling import RESAMPLERS
from flowdemo.core.times import ENDS, TIMES
from flowdemo.methods import METHODS
from flowdemo.methods.losses import REDUCTIONS
from flowdemo.methods.meanflow import MeanFlowOptions
from flowdemo.methods.reflow import Pairs
from flowdemo.nets.sizes import NetConfig, Share

MethodName = Annotated[str, one_of(METHODS)]
Side = Annotated[int, Field(ge=4, le=256)]


class Recipe(Schedule):
    """How a checkpoint is trained.

    `power` is that of the adaptive weight; 0 is the squared error. `source` says where one's own
    pictures are, and `shape` their size. `pairs` and `meanflow` are options of single methods.
    """

    name: Name
    method: MethodName
    data: Name
    net: NetConfig
    path: PathName = "linear"
    sigma_min: float = Field(0.0, ge=0, lt=1)
    times: TimeSteps | Annotated[str, one_of(TIMES | ENDS | RESAMPLERS)] = "uniform"
    logit_mean: float = Field(0.0, ge=-10, le=10)
    logit_std: float = Field(1.0, gt=0, le=10)
    eps: float = Field(0.0, ge=0, le=MAX_EPS)
    share_start: Share = 0.0
    coupling: Annotated[str, one_of(COUPLINGS)] = "independent"
    loss: Literal["l2", "lpips", "lpips+l2"] = "l2"
    features: Literal["classifier", "lpips"] = "classifier"
    reduction: Annotated[str, one_of(REDUCTIONS)] = "mean"
    power: float = Field(0.0, ge=0, le=2)
    source: str | None = Field(None, max_length=500)
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
        check_recipe(self)
        return self
