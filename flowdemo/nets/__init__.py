"""The networks, all called as `net(x, t, s, label, guidance)`."""

from torch import nn

from flowdemo.nets.mlp import MLP
from flowdemo.nets.unet import UNet
from flowdemo.recipe import NetConfig

NETS: dict[str, type[nn.Module]] = {"unet": UNet, "mlp": MLP}


def build_net(config: NetConfig, shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """The network of a configuration for samples of that shape, with fresh weights."""
    sizes = config.model_dump(exclude={"kind"})
    if config.kind == "unet":
        sizes["image_channels"] = shape[0]
    return NETS[config.kind](num_classes=num_classes, **sizes)
