"""Recipes, validated when they enter: the networks, the schedule, the method's options."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from flowdemo.couplings import COUPLINGS
from flowdemo.paths import PATHS
from flowdemo.sizes import NetConfig, Share, Strict
from flowdemo.solvers import SOLVERS
from flowdemo.times import TIMES

MethodName = Literal["flow-matching", "reflow", "meanflow"]
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]


def one_of(registry: Mapping[str, object]) -> AfterValidator:
    """A name of the registry, whatever is in it."""

    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(f"must be one of {', '.join(registry)}")
        return name

    return AfterValidator(check)


PathName = Annotated[str, one_of(PATHS)]
TimesName = Annotated[str, one_of(TIMES)]
CouplingName = Annotated[str, one_of(COUPLINGS)]
FIXED = {name: solver for name, solver in SOLVERS.items() if not solver.adaptive}
FixedSolverName = Annotated[str, one_of(FIXED)]
Weight = Annotated[float, Field(ge=0, le=20)]
MAX_STEPS = 1000


class Pairs(Strict):
    """Reflow pairs: how many, and the fixed-step solver that carries the noise to the data."""

    count: int = Field(ge=1, le=10_000_000)
    solver: FixedSolverName = "midpoint"
    steps: int = Field(ge=1, le=MAX_STEPS)
    # Of their noise: another one than people choose, who would else look at training pairs.
    seed: int = Field(1_000_003, ge=0)


class MeanFlowOptions(Strict):
    """Shares of rows with s != t, starting at 0, ending at 1; power and c of the adaptive weight."""

    share_interval: Share = 0.5
    share_start: Share = 0.0
    share_end: Share = 0.0
    power: float = Field(0.75, ge=0, le=2)
    c: float = Field(1e-3, gt=0)


class Schedule(Strict):
    """How long and how fast the training loop goes."""

    steps: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warmup: int = Field(200, ge=0)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.999, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class Recipe(Schedule):
    """How a checkpoint is trained."""

    name: Name
    method: MethodName
    data: Name
    net: NetConfig
    path: PathName = "linear"
    sigma_min: float = Field(0.0, ge=0, lt=1)
    times: TimesName = "uniform"
    share_start: Share = 0.0
    coupling: CouplingName = "independent"
    power: float = Field(0.0, ge=0, le=2)  # of the adaptive weight; 0 is the squared error
    teacher: Name | None = None
    start_from: Name | None = None
    guidance: tuple[Weight, Weight] = (1.0, 1.0)
    share_unguided: Share = 0.25
    label_dropout: Share = 0.1
    pairs: Pairs | None = None
    meanflow: MeanFlowOptions | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Recipe":
        if (self.method == "reflow") != (self.pairs is not None):
            raise ValueError("reflow, and nothing else, needs 'pairs'")
        if self.method == "reflow" and self.teacher is None:
            raise ValueError("reflow needs a 'teacher'")
        if (self.method == "meanflow") != (self.meanflow is not None):
            raise ValueError("meanflow, and nothing else, needs 'meanflow' options")
        if (self.method == "meanflow") != self.net.end_time:
            raise ValueError("meanflow, and nothing else, needs a net with 'end_time'")
        if self.method == "meanflow" and (self.share_start or self.power):
            raise ValueError("meanflow takes 'meanflow.share_start' and 'meanflow.power'")
        if self.method == "reflow" and self.coupling != "independent":
            raise ValueError("reflow's 'pairs' are its coupling")
        if self.method == "flow-matching" and (self.teacher or self.net.guidance):
            raise ValueError("flow-matching has no teacher, and its net no input 'guidance'")
        check_guidance(self)
        return self


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
