"""The networks, all called as `net(x, t, s, label, guidance)`."""

from torch import nn

from flowdemo.nets.dit import DiT
from flowdemo.nets.imf import IMF
from flowdemo.nets.mlp import MLP
from flowdemo.nets.sit import SiT
from flowdemo.nets.sizes import NetConfig, PublicConfig, TransformerConfig, UNetConfig
from flowdemo.nets.unet import UNet
from flowdemo.nets.yarr import YarrDiT

NETS: dict[str, type[nn.Module]] = {
    "unet": UNet, "mlp": MLP, "dit": DiT, "yarr": YarrDiT, "sit": SiT, "imf": IMF,
}  # fmt: skip


def build_net(config: NetConfig, shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """The network of a configuration for samples of that shape, with fresh weights."""
    sizes = dict(config)
    kind = NETS[sizes.pop("kind")]
    if isinstance(config, PublicConfig):  # whether it takes s and w is a fact, not a choice
        del sizes["end_time"], sizes["guidance"]
    if isinstance(config, TransformerConfig):
        sizes |= {"channels": shape[0], "size": shape[1]}
    elif isinstance(config, UNetConfig):
        sizes["image_channels"] = shape[0]
    return kind(num_classes=num_classes, **sizes)
