"""The sizes of networks, bounded: a file may not ask for the whole memory."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
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


class TransformerConfig(Strict):
    """Sizes of a transformer over patches of 2 x 2."""

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


class YarrConfig(TransformerConfig):
    """Sizes of `nets.yarr.YarrDiT`."""

    kind: Literal["yarr"] = "yarr"
    grain: ClassVar[int] = 64  # 32 groups in the half as wide stem
    end_time: Literal[False] = False
    guidance: Literal[False] = False


class SiTConfig(TransformerConfig):
    """Sizes of `nets.sit.SiT`."""

    kind: Literal["sit"] = "sit"
    grain: ClassVar[int] = 4  # sines and cosines of two positions
    end_time: Literal[False] = False
    guidance: Literal[False] = False


class IMFConfig(TransformerConfig):
    """Sizes of `nets.imf.IMF`; `interval` is the time [low, high] in which guidance is on."""

    kind: Literal["imf"] = "imf"
    interval: tuple[Share, Share] = (0.0, 1.0)
    end_time: Literal[True] = True
    guidance: Literal[True] = True


NetConfig = Annotated[
    UNetConfig | MLPConfig | YarrConfig | SiTConfig | IMFConfig, Field(discriminator="kind")
]


def check_net(net: Any, shape: tuple[int, ...]) -> None:
    """ValueError unless the network works on samples of that shape, within bounded memory."""
    if isinstance(net, MLPConfig):
        if shape != (2,):
            raise ValueError("an 'mlp' works on points of shape [2]")
        return
    if not isinstance(net, UNetConfig | TransformerConfig):
        return
    if len(shape) != 3:
        raise ValueError(f"a '{net.kind}' works on images of shape [channels, height, width]")
    is_unet = isinstance(net, UNetConfig)
    grain = net.patch * 2 ** (len(net.widths) - 1) if is_unet else 2
    if shape[1] % grain or shape[2] % grain:
        raise ValueError(f"height and width must be divisible by {grain} for this '{net.kind}'")
    if shape[1] * shape[2] > MAX_ATTENTION * grain**2:
        raise ValueError(f"the coarsest level must have at most {MAX_ATTENTION} pixels")
    if not is_unet and shape[1] != shape[2]:
        raise ValueError(f"a '{net.kind}' works on square images")
