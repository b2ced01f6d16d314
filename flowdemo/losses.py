"""What training minimises. `net(x, t, s, label, guidance)`; x (batch, ...), the rest (batch,)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flowdemo.paths import expand_like

Velocity = Callable[[Tensor, Tensor], Tensor]  # v(x, t)


def squared_error(d: Tensor) -> Tensor:
    """|d|^2 of each sample, the mean over its elements: (batch, ...) -> (batch,)."""
    return d.float().square().flatten(1).mean(1)


def adaptive(error: Tensor, power: float, c: float) -> Tensor:
    """The mean over the batch of sg(1 / (|d|^2 + c)^p) |d|^2 (arXiv:2505.13447, eq. 22).

    |d|^2 is the mean over a sample's elements, not their sum, so that c means the same for every
    image size. power = 0 is the plain squared error.
    """
    weight = (error.detach() + c) ** -power
    return (weight * error).mean()


def flow_matching_error(prediction: Tensor, u_t: Tensor) -> Tensor:
    """|v(x_t, t) - u_t|^2 of each sample (arXiv:2210.02747, eq. 23)."""
    return squared_error(prediction - u_t)


def average_velocity_target(
    net: nn.Module,
    v: Tensor,
    x_t: Tensor,
    t: Tensor,
    s: Tensor,
    label: Tensor,
    guidance: Tensor | None,
) -> Tensor:
    """The right side of the MeanFlow identity, u = v + (s - t) du/dt, without gradient.

    `du/dt = (v . grad_x) u + d_t u` is the Jacobian-vector product along (v, 1, 0) for (x, t, s). The
    paper (arXiv:2505.13447, eq. 6) has noise at t = 1 and a minus; with t -> 1 - t, v -> -v, u -> -u
    it becomes this. v (batch, ...) is the velocity at (x_t, t), conditional or a teacher's.
    """
    with torch.no_grad():
        _, du_dt = torch.func.jvp(
            lambda x, t, s: net(x, t, s, label, guidance),
            (x_t, t, s),
            (v, torch.ones_like(t), torch.zeros_like(s)),
        )
        return v + expand_like(s - t, v) * du_dt
