"""Recipes and `config.json`: everything that is validated when it enters."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from flowdemo.paths import PATHS
from flowdemo.solvers import SOLVERS
from flowdemo.times import TIMES

MethodName = Literal["flow-matching", "reflow", "meanflow"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


def one_of(registry: Mapping[str, object]) -> AfterValidator:
    """A name of the registry, whatever is in it."""

    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(f"must be one of {', '.join(registry)}")
        return name

    return AfterValidator(check)


PathName = Annotated[str, one_of(PATHS)]
TimesName = Annotated[str, one_of(TIMES)]
FIXED = {name: solver for name, solver in SOLVERS.items() if not solver.adaptive}
FixedSolverName = Annotated[str, one_of(FIXED)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=20)]
MAX_STEPS = 1000
MAX_ATTENTION = 1024  # pixels at the level that has attention


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class UNetConfig(Strict):
    """Sizes of `nets.unet.UNet`, bounded so that a hostile file cannot ask for the whole memory."""

    kind: Literal["unet"] = "unet"
    widths: tuple[Annotated[int, Field(ge=8, le=512, multiple_of=8)], ...] = Field(
        min_length=1, max_length=5
    )
    blocks: int = Field(1, ge=1, le=4)
    dim: int = Field(128, ge=8, le=1024)
    patch: Literal[1, 2, 4] = 1
    heads: Literal[1, 2, 4, 8] = 4
    end_time: bool = False
    guidance: bool = False


class MLPConfig(Strict):
    """Sizes of `nets.mlp.MLP`."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(128, ge=8, le=1024)
    depth: int = Field(3, ge=1, le=16)
    end_time: bool = False
    guidance: bool = False


NetConfig = Annotated[UNetConfig | MLPConfig, Field(discriminator="kind")]


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
        if self.method == "meanflow" and self.share_start:
            raise ValueError("meanflow takes 'meanflow.share_start', not 'share_start'")
        if self.method == "flow-matching" and (self.teacher or self.net.guidance):
            raise ValueError("flow-matching has no teacher, and its net no input 'guidance'")
        check_guidance(self)
        return self


class Defaults(Strict):
    """What a person gets who chooses nothing."""

    solver: str
    steps: int = Field(ge=1, le=MAX_STEPS)
    guidance: Weight = 1.0


class Measured(Strict):
    """A row of `evaluate`: `evaluation.report.Row`."""

    nfe: int = Field(ge=1)
    guidance: Weight
    solver: str
    steps: int = Field(ge=1)
    n: int = Field(ge=1)
    class_accuracy: Share | None = None
    frechet_distance: float | None = None
    wasserstein_2: float | None = None


class Results(BaseModel):
    """What `evaluate` writes: the rows, straightness, and what real data reaches."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    straightness: float
    rows: list[Measured]
    __pydantic_extra__: dict[str, float]


class Cost(Strict):
    """What training took, and before it the training of others."""

    images_seen: int = Field(ge=0)
    hours: float = Field(ge=0)
    machine: str = Field(max_length=200)
    chain: "dict[Name, Cost]" = {}


def of_form(kind: type[BaseModel]) -> AfterValidator:
    """A dictionary that is empty or has the form of `kind`; it stays a dictionary."""

    def check(content: dict[str, Any]) -> dict[str, Any]:
        if content:
            kind.model_validate(content)
        return content

    return AfterValidator(check)


class ModelConfig(Strict):
    """`config.json` of a checkpoint. Pixels p in [0, 1] enter the network as (p - mean) / std."""

    schema_version: Literal[1] = 1
    name: Name
    method: MethodName
    data: Name
    shape: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(min_length=1, max_length=3)
    classes: tuple[str, ...] = Field(min_length=1, max_length=1000)
    mean: float = 0.5
    std: float = Field(0.5, gt=0)
    net: NetConfig
    path: PathName = "linear"
    sigma_min: float = Field(0.0, ge=0, lt=1)
    guidance: tuple[Weight, Weight] = (1.0, 1.0)
    defaults: Defaults
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    recipe: Recipe | None = None
    training: Annotated[dict[str, Any], of_form(Cost)] = {}
    results: Annotated[dict[str, Any], of_form(Results)] = {}

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        if isinstance(self.net, MLPConfig) and self.shape != (2,):
            raise ValueError("an 'mlp' works on points of shape [2]")
        if isinstance(self.net, UNetConfig):
            if len(self.shape) != 3:
                raise ValueError("a 'unet' works on images of shape [channels, height, width]")
            grain = self.net.patch * 2 ** (len(self.net.widths) - 1)
            if self.shape[1] % grain or self.shape[2] % grain:
                raise ValueError(f"height and width must be divisible by {grain} for this 'unet'")
            if self.shape[1] * self.shape[2] > MAX_ATTENTION * grain**2:
                raise ValueError(f"the coarsest level must have at most {MAX_ATTENTION} pixels")
        if self.method == "meanflow" and not self.net.end_time:
            raise ValueError("a meanflow network has 'end_time'")
        check_guidance(self)
        if not self.guidance[0] <= self.defaults.guidance <= self.guidance[1]:
            raise ValueError("the default weight must lie in the range of 'guidance'")
        return self


def check_guidance(config: Recipe | ModelConfig) -> None:
    """ValueError unless the range of CFG weights is one that the network can answer."""
    low, high = config.guidance
    if low > high:
        raise ValueError("'guidance' must be [low, high]")
    if config.net.guidance and low < 1:
        raise ValueError("a network with the weight as input takes weights of at least 1")
    if config.method != "flow-matching" and not config.net.guidance and (low, high) != (1, 1):
        raise ValueError(f"{config.method} is guided only by a net with the input 'guidance'")


def parse(kind: type[Strict], text: str, source: str) -> Any:
    """A validated `kind` from JSON text; a ValueError of one line that names `source`."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"{source}: {where}: {first['msg']}") from error
