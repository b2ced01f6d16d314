"""Losses. Networks are called as `net(x, t, s, label, guidance)`; x (batch, ...), the rest (batch,)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flowdemo.core.paths import expand_like
from flowdemo.methods.derivatives import AverageVelocity, forward_mode

REDUCTIONS = {"mean": torch.mean, "sum": torch.sum}


@dataclass(frozen=True)
class Terms:
    """Loss (batch,) with gradient, and raw error |d|^2 (batch,) without.

    The raw error is logged and compared, since an adaptive weight makes the loss nearly constant.
    """

    loss: Tensor
    error: Tensor


def squared_error(d: Tensor, reduction: str = "mean") -> Tensor:
    """|d|^2 of each sample, the mean or sum over its elements: (batch, ...) -> (batch,)."""
    return REDUCTIONS[reduction](d.float().square().flatten(1), 1)


def adaptive(error: Tensor, power: float, c: float = 1e-3) -> Tensor:
    """sg(1 / (|d|^2 + c)^p) |d|^2 of each sample (arXiv:2505.13447, eq. 22): (batch,) -> (batch,).

    power = 0 is the plain squared error. With the mean over a sample's elements as |d|^2, c means the
    same for every image size; the paper's is the sum.
    """
    weight = (error.detach() + c) ** -power
    return weight * error


def average_velocity_target(
    u: AverageVelocity,
    v: Tensor,
    x_t: Tensor,
    t: Tensor,
    s: Tensor,
    tangent: Tensor | None = None,
    derivative: Callable[..., Tensor] = forward_mode,
) -> Tensor:
    """The right side of the MeanFlow identity, u = v + (s - t) du/dt, without gradient.

    `du/dt = (v . grad_x) u + d_t u` is the derivative along (v, 1, 0) for (x, t, s). The paper
    (arXiv:2505.13447, eq. 6) has noise at t = 1 and a minus; with t -> 1 - t, v -> -v, u -> -u it
    becomes this. v (batch, ...) is the velocity at (x_t, t), conditional or a teacher's; `tangent`, by
    default v, stands for it in du/dt (arXiv:2512.02012, section 4.1: the network's own u(x, t, t)).
    """
    du_dt = derivative(u, x_t, t, s, v if tangent is None else tangent)
    return (v + expand_like(s - t, v) * du_dt).detach()
