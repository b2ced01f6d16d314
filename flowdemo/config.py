"""`config.json` of a checkpoint, validated when it enters."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from flowdemo.recipe import (
    MAX_ATTENTION,
    MAX_STEPS,
    MethodName,
    MLPConfig,
    Name,
    NetConfig,
    PathName,
    Recipe,
    Share,
    Strict,
    UNetConfig,
    Weight,
    check_guidance,
)


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


def parse(kind: type[Strict], text: str, source: str) -> Any:
    """A validated `kind` from JSON text; a ValueError of one line that names `source`."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"{source}: {where}: {first['msg']}") from error
