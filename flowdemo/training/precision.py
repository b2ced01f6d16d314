"""In which precision a network is trained, and whether it is compiled."""

from contextlib import nullcontext

import torch
from torch import nn


def faster(net: nn.Module) -> nn.Module:
    """The compiled network, on the same weights.

    Derivatives are taken of the network itself (`derivatives.eager`): compilers have dropped the
    tangents of what they could not trace without a word (pytorch#192985).
    """
    return torch.compile(net)


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast | nullcontext:
    """The precision of a recipe; "auto" is bfloat16 where the processor computes with it.

    It keeps no casts: up to torch 2.9 one that was made under `no_grad`, as for MeanFlow's derivative,
    stays without a gradient in the pass that needs it.
    """
    if precision == "float32" or (precision == "auto" and not has_bfloat16(device)):
        return nullcontext()
    half = torch.bfloat16 if precision == "auto" else getattr(torch, precision)
    return torch.autocast(device.type, half, cache_enabled=False)


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is native there; emulated it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(supported())
