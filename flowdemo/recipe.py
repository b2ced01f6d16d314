"""Recipes, validated when they enter: the networks, the schedule, the method's options."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from flowdemo.couplings import COUPLINGS
from flowdemo.derivatives import DERIVATIVES
from flowdemo.losses import REDUCTIONS
from flowdemo.paths import PATHS
from flowdemo.resampling import RESAMPLERS
from flowdemo.sizes import NetConfig, Share, Strict
from flowdemo.solvers import SOLVERS
from flowdemo.times import ENDS, INTERVALS, TIMES

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
MAX_STEPS = 1000
SPLIT = "split"  # the objective that puts a step together of two: it takes no derivative
TimesName = Annotated[str, one_of(TIMES | ENDS | RESAMPLERS)]
TimeSteps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
CouplingName = Annotated[str, one_of(COUPLINGS)]
SolverName = Annotated[str, one_of(SOLVERS)]
IntervalName = Annotated[str, one_of(INTERVALS)]
DerivativeName = Annotated[str, one_of({**DERIVATIVES, SPLIT: None})]
ReductionName = Annotated[str, one_of(REDUCTIONS)]
Weight = Annotated[float, Field(ge=0, le=20)]


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
    warmup: int = Field(200, ge=0)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.999, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = False
    seed: int = Field(0, ge=0)


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
        if (self.method == "reflow") != (self.pairs is not None):
            raise ValueError("reflow, and nothing else, needs 'pairs'")
        if self.method == "reflow" and self.teacher is None:
            raise ValueError("reflow needs a 'teacher'")
        if (self.method == "meanflow") != (self.meanflow is not None):
            raise ValueError("meanflow, and nothing else, needs 'meanflow' options")
        if (self.method == "meanflow") != self.net.end_time:
            raise ValueError("meanflow, and nothing else, needs a net with 'end_time'")
        if self.method == "reflow" and self.coupling != "independent":
            raise ValueError("reflow's 'pairs' are its coupling")
        if self.method == "flow-matching" and (self.teacher or self.net.guidance):
            raise ValueError("flow-matching has no teacher, and its net no input 'guidance'")
        check_guidance(self)
        check_meanflow(self)
        check_times(self)
        if "lpips" in self.loss and (self.times != "t0" or self.eps):
            raise ValueError("a perceptual loss looks at x_0 + v: it needs 'times' \"t0\", 'eps' 0")
        return self


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
    alone = recipe.trained_times is not None or recipe.times in RESAMPLERS
    if alone and recipe.share_start:
        raise ValueError("these 'times' take no 'share_start'")
    if recipe.times in RESAMPLERS and recipe.eps:
        raise ValueError("these 'times' take no 'eps'")
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
