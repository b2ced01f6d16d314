"""Precision of training, and compilation."""

from contextlib import nullcontext

import torch
from torch import nn


def faster(net: nn.Module) -> nn.Module:
    """The compiled network, on the same weights.

    Derivatives are taken of the network that is not compiled (`derivatives.eager`): compilers dropped
    tangents of parts that they could not trace, without an error (pytorch#192985).
    """
    return torch.compile(net)


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast | nullcontext:
    """The precision of a recipe; "auto" is bfloat16 where the processor has it, else float32.

    Its cache is off: up to torch 2.9 a cast that was cached under `no_grad`, as for the derivative of
    MeanFlow, has no gradient in the pass that needs it.
    """
    if precision == "float32" or (precision == "auto" and not has_bfloat16(device)):
        return nullcontext()
    half = torch.bfloat16 if precision == "auto" else getattr(torch, precision)
    return torch.autocast(device.type, half, cache_enabled=False)


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is native on the device; emulation would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(supported())
