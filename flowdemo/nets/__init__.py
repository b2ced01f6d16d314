"""The networks, all called as `net(x, t, s, label, guidance)`."""

from torch import nn

from flowdemo.nets.imf import IMF
from flowdemo.nets.mlp import MLP
from flowdemo.nets.sit import SiT
from flowdemo.nets.unet import UNet
from flowdemo.nets.yarr import YarrDiT
from flowdemo.sizes import NetConfig, TransformerConfig

NETS: dict[str, type[nn.Module]] = {
    "unet": UNet, "mlp": MLP, "yarr": YarrDiT, "sit": SiT, "imf": IMF,
}  # fmt: skip


def build_net(config: NetConfig, shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """The network of a configuration for samples of that shape, with fresh weights."""
    if isinstance(config, TransformerConfig):
        # Whether it takes s and w is a fact of these networks, not a choice.
        sizes = config.model_dump(exclude={"kind", "end_time", "guidance"})
        return NETS[config.kind](channels=shape[0], size=shape[1], num_classes=num_classes, **sizes)
    sizes = config.model_dump(exclude={"kind"})
    if config.kind == "unet":
        sizes["image_channels"] = shape[0]
    return NETS[config.kind](num_classes=num_classes, **sizes)
