"""Probability paths between noise and data.

The convention of the whole package: t = 0 is noise, t = 1 is data, and an index is a time, so x_0 is
noise, x_1 is data and x_t lies between them. Every function takes t as a tensor (batch,) and x as
(batch, ...); `expand_like` is the one place that broadcasts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Schedule = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Path:
    """x_t = alpha(t) x_1 + sigma(t) x_0 with velocity u_t = alpha'(t) x_1 + sigma'(t) x_0."""

    alpha: Schedule
    sigma: Schedule
    d_alpha: Schedule
    d_sigma: Schedule

    def sample(self, x_0: Tensor, x_1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t and its conditional velocity u_t, both of the shape of x_1."""
        t = expand_like(t, x_1)
        x_t = self.alpha(t) * x_1 + self.sigma(t) * x_0
        u_t = self.d_alpha(t) * x_1 + self.d_sigma(t) * x_0
        return x_t, u_t


def expand_like(t: Tensor, x: Tensor) -> Tensor:
    """t (batch,) as (batch, 1, ...), so that it multiplies x (batch, ...)."""
    return t.reshape(-1, *[1] * (x.dim() - 1))


def linear(sigma_min: float = 0.0) -> Path:
    """The straight path; at t = 1 noise of scale sigma_min is left (arXiv:2210.02747, eq. 20)."""
    return Path(
        alpha=lambda t: t,
        sigma=lambda t: 1 - (1 - sigma_min) * t,
        d_alpha=torch.ones_like,
        d_sigma=lambda t: torch.full_like(t, sigma_min - 1),
    )


def cosine(sigma_min: float = 0.0) -> Path:
    """The variance-preserving arc alpha^2 + sigma^2 = 1 (GVP in arXiv:2401.08740); no sigma_min."""
    if sigma_min:
        raise ValueError("the cosine path has no sigma_min")
    return Path(
        alpha=lambda t: torch.sin(math.pi / 2 * t),
        sigma=lambda t: torch.cos(math.pi / 2 * t),
        d_alpha=lambda t: math.pi / 2 * torch.cos(math.pi / 2 * t),
        d_sigma=lambda t: -math.pi / 2 * torch.sin(math.pi / 2 * t),
    )


PATHS: dict[str, Callable[[float], Path]] = {"linear": linear, "cosine": cosine}
