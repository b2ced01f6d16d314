"""`config.json` of a checkpoint, validated when it enters."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from flowdemo.config.options import MAX_EPS, Defaults, Name, PathName, TimeSteps, Weight
from flowdemo.config.recipe import MethodName, Recipe
from flowdemo.config.rules import GUIDANCE, refuse
from flowdemo.methods import METHODS
from flowdemo.nets.sizes import NetConfig, Share, Strict, check_net

SCHEMA, MAX_SIDE = 2, 256
MACHINE = r"^[\w .,()@/+-]*$"
# A name or OWNER/NAME, of which a commit may be named.
Source = Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?(@[\w.-]+)?$", max_length=200)]
HEX_40, HEX_64 = r"^[0-9a-f]{40}$", r"^[0-9a-f]{64}$"


class Measured(Strict):
    """A row of `evaluate`; the numbers of images or those of points are None."""

    nfe: int = Field(ge=1)
    guidance: Weight
    solver: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    steps: int = Field(ge=1)
    n: int = Field(ge=1)
    class_accuracy: Share | None = None
    frechet_distance: float | None = None
    wasserstein_2: float | None = None


class Results(BaseModel):
    """All that `evaluate` measured: rows, straightness, and the values of real data."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    straightness: float | None = None
    rows: list[Measured]
    __pydantic_extra__: dict[str, float]


class Cost(Strict):
    """The cost of training, and of the checkpoints that were trained before it (`chain`)."""

    images_seen: int = Field(ge=0)
    hours: float = Field(ge=0)
    machine: str = Field(pattern=MACHINE, max_length=200)  # it is shown on the card
    chain: "dict[Source, Cost]" = {}


def of_form(kind: type[BaseModel]) -> AfterValidator:
    """Checks that a dictionary is empty or has the form of `kind`; it stays a dictionary."""

    def check(content: dict[str, Any]) -> dict[str, Any]:
        if content:
            kind.model_validate(content)
        return content

    return AfterValidator(check)


class Origin(Strict):
    """The file of a Hub repository from which weights of others were converted."""

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)
    file: str = Field(pattern=r"^[\w./-]+$", max_length=200)
    revision: str = Field(pattern=HEX_40)
    sha256: str = Field(pattern=HEX_64)


class FineTune(Strict):
    """The start and the data of fine-tuning."""

    start: Source
    revision: str = Field(pattern=r"^[\w ]*$", max_length=64)
    pictures: int = Field(ge=1)
    classes: tuple[Annotated[str, Field(max_length=60)], ...] = Field(min_length=1, max_length=1000)
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    frozen: str = Field(pattern=r"^[a-z ]*$", max_length=60)


class ModelConfig(Strict):
    """`config.json` of a checkpoint.

    The network takes samples of `shape`. Pixels p in [0, 1] get a margin of `crop` zeros on every side
    and enter as (p - mean) / std, by channel (or coordinate of points). With a `decoder`, p are its
    latents. CFG applies only to the first `guided_channels`.

    Time begins at `eps`. `trained_times` says that the velocity is known at single times only: at t = 0
    ("t0": one step), at t = 1 ("t1": only inversion in one step), or where k Euler steps begin (k).
    """

    schema_version: Literal[2] = SCHEMA
    name: Name
    method: MethodName
    data: Name
    shape: tuple[Annotated[int, Field(ge=1, le=MAX_SIDE)], ...] = Field(min_length=1, max_length=3)
    classes: tuple[Annotated[str, Field(max_length=60)], ...] = Field(min_length=1, max_length=1000)
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    crop: int = Field(0, ge=0, le=64)
    decoder: Literal["sd-vae-ft-mse"] | None = None
    guided_channels: int | None = Field(None, ge=1)
    net: NetConfig
    path: PathName = "linear"
    sigma_min: float = Field(0.0, ge=0, lt=1)
    trained_times: TimeSteps | Literal["t0", "t1"] | None = None
    eps: float = Field(0.0, ge=0, le=MAX_EPS)
    guidance: tuple[Weight, Weight] = (1.0, 1.0)
    defaults: Defaults
    license: str = Field("mit", pattern=r"^[a-z0-9.-]{1,40}$")
    origin: Origin | None = None
    sha256: str | None = Field(None, pattern=HEX_64)
    recipe: Recipe | None = None
    finetune: FineTune | None = None
    training: Annotated[dict[str, Any], of_form(Cost)] = {}
    results: Annotated[dict[str, Any], of_form(Results)] = {}

    @property
    def is_image(self) -> bool:
        """Whether samples are images; else points of the plane."""
        return len(self.shape) == 3

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of a finished sample: decoded pixels without the margin, or a point."""
        if len(self.shape) == 1:
            return self.shape
        channels, height, width = self.shape
        if self.decoder:
            return (3, 8 * height, 8 * width)
        return (channels, height - 2 * self.crop, width - 2 * self.crop)

    @property
    def fixed_steps(self) -> int | None:
        """The only number of steps that the network makes, or None."""
        return 1 if isinstance(self.trained_times, str) else self.trained_times

    @property
    def only_inverts(self) -> bool:
        """Whether it only goes from data to noise."""
        return self.trained_times == "t1"

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        check_net(self.net, self.shape)
        if not len(self.mean) == len(self.std) == self.shape[0]:
            raise ValueError("'mean' and 'std' need a number for each channel or coordinate")
        if self.crop and (len(self.shape) < 3 or 2 * self.crop >= min(self.shape[1:])):
            raise ValueError("'crop' must leave something of an image")
        if self.decoder and (len(self.shape) < 3 or self.shape[0] != 4 or self.crop):
            raise ValueError("a 'decoder' takes latents of shape [4, height, width]")
        method = METHODS.get(self.method)  # None for the exact velocity, which nobody trains
        if method and not method.is_flow and not self.net.end_time:
            raise ValueError(f"a {self.method} network has 'end_time'")
        if method and not method.needs_flow and self.trained_times is not None:
            raise ValueError("'trained_times' are those of reflow")
        if self.fixed_steps not in (None, self.defaults.steps):
            raise ValueError("the default steps must be those that were trained")
        refuse(self, GUIDANCE)
        if not self.guidance[0] <= self.defaults.guidance <= self.guidance[1]:
            raise ValueError("the default weight must lie in the range of 'guidance'")
        return self


def from_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """Converts version 1, which had one mean and one standard deviation for all channels."""
    channels = content["shape"][0]
    if channels not in range(1, MAX_SIDE + 1):  # before lists of that length are made
        raise ValueError("shape")
    spread = {key: [content.get(key, 0.5)] * channels for key in ("mean", "std")}
    return content | spread | {"schema_version": 2}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: from_version_1}


def read_model_config(text: str, source: str) -> ModelConfig:
    """Parses a `config.json` of any version; older ones are upgraded here and nowhere else."""
    try:
        content = from_json(text)
        while (version := content.get("schema_version")) in UPGRADES:
            content = UPGRADES[version](content)
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{source}: it is no description of a checkpoint") from error
    if version != SCHEMA:
        raise ValueError(f"{source}: schema_version {version!r} is not known; update FlowDemo")
    return parse(ModelConfig, json.dumps(content), source)


def parse(kind: type[Strict], text: str, source: str) -> Any:
    """A validated `kind` from JSON text; a ValueError of one line that names `source`."""
    with one_line(source):
        return kind.model_validate_json(text)


def parsed(kind: type[Strict], source: str, **fields: Any) -> Any:
    """A validated `kind` from fields; raises as `parse` does."""
    with one_line(source):
        return kind(**fields)


@contextmanager
def one_line(source: str) -> Iterator[None]:
    """Turns a pydantic error into a ValueError of one line, about the first mistake."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(": ".join(filter(None, (source, where, first["msg"])))) from error
