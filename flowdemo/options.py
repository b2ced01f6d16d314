"""What recipes are made of: names, the schedule, the pairs of reflow, the options of MeanFlow."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from flowdemo.couplings import COUPLINGS
from flowdemo.derivatives import DERIVATIVES
from flowdemo.losses import REDUCTIONS
from flowdemo.paths import PATHS
from flowdemo.resampling import RESAMPLERS
from flowdemo.sizes import Share, Strict
from flowdemo.solvers import SOLVERS
from flowdemo.times import ENDS, INTERVALS, TIMES

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
MAX_STEPS = 1000
MAX_EPS = 0.01  # of time, and so of the noise that is left in samples
SPLIT = "split"  # the objective that puts a step together of two shorter ones, without derivative
TimesName = Annotated[str, one_of(TIMES | ENDS | RESAMPLERS)]
TimeSteps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
CouplingName = Annotated[str, one_of(COUPLINGS)]
SolverName = Annotated[str, one_of(SOLVERS)]
IntervalName = Annotated[str, one_of(INTERVALS)]
DerivativeName = Annotated[str, one_of({**DERIVATIVES, SPLIT: None})]
ReductionName = Annotated[str, one_of(REDUCTIONS)]
Weight = Annotated[float, Field(ge=0, le=20)]
Side = Annotated[int, Field(ge=4, le=256)]


class Pairs(Strict):
    """Reflow pairs: how many, and the solver that carries the noise to the data.

    A fixed-step solver takes `steps`, an adaptive one `tolerance`. The last share `held_out` of them
    is not trained on but measured. `processes` make them side by side.
    """

    count: int = Field(ge=1, le=10_000_000)
    solver: SolverName = "dopri5"
    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    tolerance: float = Field(1e-5, ge=1e-7, le=1e-1)
    # Of their noise: another one than people choose, who would else look at training pairs.
    seed: int = Field(1_000_003, ge=0)
    held_out: float = Field(0.05, ge=0, le=0.5)
    processes: int = Field(1, ge=1, le=64)

    @property
    def trained(self) -> int:
        """How many are trained on."""
        return max(1, self.count - round(self.held_out * self.count))

    @model_validator(mode="after")
    def _solved(self) -> "Pairs":
        if SOLVERS[self.solver].adaptive != (self.steps is None):
            wrong = "chooses its steps" if self.steps else "needs 'pairs.steps'"
            raise ValueError(f"'{self.solver}' {wrong}")
        default = type(self).model_fields["tolerance"].default
        if self.tolerance != default and not SOLVERS[self.solver].adaptive:
            raise ValueError(f"'{self.solver}' knows no 'tolerance': it makes its steps")
        return self


class MeanFlowOptions(Strict):
    """The choices of the MeanFlow loss; docs/training.md tells what each means and where it is from."""

    share_interval: Share = 0.5
    intervals: IntervalName = "sorted"
    share_start: Share = 0.0
    share_end: Share = 0.0
    power: float = Field(0.75, ge=0, le=2)
    c: float = Field(1e-3, gt=0)
    tangent: Literal["conditional", "predicted"] = "conditional"
    derivative: DerivativeName = "jvp"
    omega: float = Field(1.0, gt=0, le=20)
    kappa: float = Field(0.0, ge=0, lt=1)
    guided_times: tuple[Share, Share] = (0.0, 1.0)
    dropped: Literal["plain", "guided"] = "plain"

    @property
    def weight(self) -> float:
        """The CFG weight that fixed guidance teaches."""
        return self.omega / (1 - self.kappa)

    @property
    def guides(self) -> bool:
        """Whether a fixed guidance is trained in."""
        return (self.omega, self.kappa) != (1.0, 0.0)

    @model_validator(mode="after")
    def _guided(self) -> "MeanFlowOptions":
        if self.guided_times[0] > self.guided_times[1]:
            raise ValueError("'guided_times' must be [low, high]")
        if self.dropped == "guided" and not self.guides:
            raise ValueError("'dropped' says nothing without 'omega' or 'kappa'")
        if self.derivative == SPLIT and self.tangent == "predicted":
            raise ValueError("'split' takes no derivative, and so no 'tangent'")
        return self


class Schedule(Strict):
    """How long and how fast the training loop goes, and in which precision."""

    steps: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    accumulate: int = Field(1, ge=1, le=1024)  # parts of a batch, worked on one after the other
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0, le=1)
    warmup: int = Field(200, ge=0)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.999, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = False
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _parted(self) -> "Schedule":
        if self.accumulate > self.batch_size:
            raise ValueError("'accumulate' parts of a batch need as many rows: 'batch_size'")
        return self
