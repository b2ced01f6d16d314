"""Sizes of networks, with bounds: a hostile file must not ask for the whole memory."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
TimeInputs = Literal["t,h", "t,s", "t,s,h", "h"]  # the times that a network takes; h = s - t
Frequency = Annotated[float, Field(gt=0, le=10_000)]  # of the highest sinusoid, radians a unit of t
Rate = Annotated[float, Field(ge=0, lt=1)]
MAX_ATTENTION = 1024  # pixels, or tokens, at the level that has attention
LATER = {"time_inputs": "t,h", "max_frequency": 10.0, "dropout": 0.0}
DIT_SIZES: dict[str, dict[str, int]] = {  # the capital ones as in arXiv:2212.09748, table 1
    "xs": {"dim": 64, "depth": 6, "heads": 2},
    "tiny": {"dim": 128, "depth": 6, "heads": 4},
    "S": {"dim": 384, "depth": 12, "heads": 6},
    "B": {"dim": 768, "depth": 12, "heads": 12},
    "L": {"dim": 1024, "depth": 24, "heads": 16},
    "XL": {"dim": 1152, "depth": 28, "heads": 16},
}


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OwnConfig(Strict):
    """Networks that FlowDemo trains."""

    @model_validator(mode="after")
    def _told(self) -> "OwnConfig":
        if self.time_inputs != "t,h" and not self.end_time:
            raise ValueError("'time_inputs' is for a network with 'end_time'")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, dump: Callable[["OwnConfig"], dict[str, Any]]) -> dict[str, Any]:
        """Writes newer fields only if they are not defaults, so that older versions read the file."""
        written = dump(self)
        return {key: value for key, value in written.items() if LATER.get(key) != value}


class UNetConfig(OwnConfig):
    """Sizes of `nets.unet.UNet`."""

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
    time_inputs: TimeInputs = "t,h"
    max_frequency: Frequency = 10.0
    dropout: Rate = 0.0


class MLPConfig(OwnConfig):
    """Sizes of `nets.mlp.MLP`."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(128, ge=8, le=1024)
    depth: int = Field(3, ge=1, le=16)
    end_time: bool = False
    guidance: bool = False
    time_inputs: TimeInputs = "t,h"
    max_frequency: Frequency = 10.0


class TransformerConfig(Strict):
    """Sizes of a transformer over patches of a square image."""

    dim: int = Field(ge=32, le=2048)
    depth: int = Field(ge=1, le=64)
    heads: int = Field(ge=1, le=32)
    grain: ClassVar[int] = 1  # what divides `dim`

    @model_validator(mode="after")
    def _divisible(self) -> "TransformerConfig":
        if self.dim % (2 * self.heads):
            raise ValueError("'dim' must be divisible by twice the number of heads")
        if self.dim % self.grain:
            raise ValueError(f"'dim' must be divisible by {self.grain} for this network")
        return self


class DiTConfig(TransformerConfig, OwnConfig):
    """Sizes of `nets.dit.DiT`, at most those of DiT-XL; a `size` of `DIT_SIZES` sets its defaults."""

    kind: Literal["dit"] = "dit"
    grain: ClassVar[int] = 4  # sines and cosines of two positions
    dim: int = Field(ge=32, le=1152)
    depth: int = Field(ge=1, le=28)
    heads: int = Field(ge=1, le=16)
    patch: Literal[1, 2, 4, 8] = 2
    end_time: bool = False
    guidance: bool = False
    time_inputs: TimeInputs = "t,h"
    max_frequency: Frequency = 10.0
    dropout: Rate = 0.0

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "size" not in content:
            return content
        given = {key: value for key, value in content.items() if key != "size"}
        if (size := str(content["size"])) not in DIT_SIZES:
            raise ValueError(f"'size' must be one of {', '.join(DIT_SIZES)}")
        return DIT_SIZES[size] | given


class PublicConfig(TransformerConfig):
    """Sizes of a transformer that was trained elsewhere, over patches of 2 x 2."""


class YarrConfig(PublicConfig):
    """Sizes of `nets.yarr.YarrDiT`."""

    kind: Literal["yarr"] = "yarr"
    grain: ClassVar[int] = 64  # 32 groups in the half as wide stem
    end_time: Literal[False] = False
    guidance: Literal[False] = False


class SiTConfig(PublicConfig):
    """Sizes of `nets.sit.SiT`."""

    kind: Literal["sit"] = "sit"
    grain: ClassVar[int] = 4  # sines and cosines of two positions
    end_time: Literal[False] = False
    guidance: Literal[False] = False


class IMFConfig(PublicConfig):
    """Sizes of `nets.imf.IMF`; `interval` is the time [low, high] in which guidance is on."""

    kind: Literal["imf"] = "imf"
    interval: tuple[Share, Share] = (0.0, 1.0)
    end_time: Literal[True] = True
    guidance: Literal[True] = True


NetConfig = Annotated[
    UNetConfig | MLPConfig | DiTConfig | YarrConfig | SiTConfig | IMFConfig,
    Field(discriminator="kind"),
]


def check_net(net: Any, shape: tuple[int, ...]) -> None:
    """ValueError unless the network takes samples of that shape and needs bounded memory."""
    if isinstance(net, MLPConfig):
        if shape != (2,):
            raise ValueError("an 'mlp' works on points of shape [2]")
        return
    if not isinstance(net, UNetConfig | TransformerConfig):
        return
    if len(shape) != 3:
        raise ValueError(f"a '{net.kind}' works on images of shape [channels, height, width]")
    grain = coarseness(net)
    if shape[1] % grain or shape[2] % grain:
        raise ValueError(f"height and width must be divisible by {grain} for this '{net.kind}'")
    if shape[1] * shape[2] > MAX_ATTENTION * grain**2:
        raise ValueError(f"the coarsest level must have at most {MAX_ATTENTION} pixels or tokens")
    if isinstance(net, TransformerConfig) and shape[1] != shape[2]:
        raise ValueError(f"a '{net.kind}' works on square images")


def coarseness(net: UNetConfig | TransformerConfig) -> int:
    """Pixels along the side of one attention token."""
    if isinstance(net, UNetConfig):
        return net.patch * 2 ** (len(net.widths) - 1)
    return net.patch if isinstance(net, DiTConfig) else 2
