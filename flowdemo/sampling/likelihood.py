"""The log-likelihood of points under a flow, by the instantaneous change of variables."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from flowdemo.core.solvers import Velocity, fixed_step, grid, integrate
from flowdemo.model import Label, Model

STEPS, BATCH = 40, 2000


def log_likelihood(
    model: Model,
    x_1: Tensor,
    label: Label = None,
    guidance: float = 1.0,
    steps: int = STEPS,
    watch: Callable[[int], None] = lambda rows: None,
) -> Tensor:
    """log p_1(x_1) of points (n, 2) under the model's velocity, in nats: (n,).

    log p_1(x_1) = log N(x_0; 0, I) - integral of div v(x_t, t) from 0 to 1 (arXiv:1806.07366,
    theorem 1), along x_t from x_1 back to x_0 by RK4, with the exact divergence; all of the normalised
    points z = (x - mean) / std, whence log p(x) = log p(z) - sum log std. `watch` hears the rows done
    before every evaluation. A label (n,) is not taken: one class, or None for all data.
    """

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        watch(done)
        return model.velocity(x, t, label, guidance)

    parts, done = [], 0
    for part in model.normalise(x_1).split(BATCH):
        parts.append(of_points(velocity, part, steps, model.config.eps))
        done += len(part)
    return torch.cat(parts) - sum(map(math.log, model.config.std))


@torch.no_grad()
def of_points(velocity: Velocity, x_1: Tensor, steps: int, eps: float = 0.0) -> Tensor:
    """log p_1 of (n, d) points: the state is (x, l) with dl/dt = div v and l(1) = 0; back to `eps`."""

    def with_divergence(z: Tensor, t: Tensor) -> Tensor:
        v, div = divergence(velocity, z[:, :-1], t)
        return torch.cat([v, div[:, None]], dim=1)

    z_1 = torch.cat([x_1, x_1.new_zeros(len(x_1), 1)], dim=1)
    step = fixed_step(with_divergence, "rk4")
    z_0 = integrate(step, z_1, grid(steps, 1, eps), keep=False).states[-1]
    x_0, minus_integral = z_0[:, :-1], z_0[:, -1]
    log_p_0 = -0.5 * x_0.square().sum(1) - 0.5 * x_0.shape[1] * math.log(2 * math.pi)
    return log_p_0 + minus_integral


def divergence(velocity: Velocity, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """v (n, d) and its exact divergence (n,), one Jacobian-vector product a dimension."""
    div = x.new_zeros(len(x))
    for i in range(x.shape[1]):
        direction = torch.zeros_like(x)
        direction[:, i] = 1
        v, change = torch.func.jvp(lambda x: velocity(x, t), (x,), (direction,))
        div = div + change[:, i]
    return v, div
