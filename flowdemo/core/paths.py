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
class GaussianPath:
    """p_t(x | x_1) = N(x; mu_t(x_1), sigma_t^2 I) (arXiv:2210.02747, section 4).

    `mu(t, x_1)` and `d_mu(t, x_1)`, its derivative by t, are of the shape of x_1, `sigma(t)` and
    `d_sigma(t)` of the shape of t, which broadcasts over x_1.
    """

    mu: Callable[[Tensor, Tensor], Tensor]
    sigma: Schedule
    d_mu: Callable[[Tensor, Tensor], Tensor]
    d_sigma: Schedule

    def sample(self, x_0: Tensor, x_1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t = mu_t + sigma_t x_0 and its velocity u_t = mu_t' + sigma_t' x_0, of the shape of x_1.

        This is `velocity` at x_t, without the division by sigma_t, which may be 0 at the end.
        """
        t = expand_like(t, x_1)
        x_t = self.mu(t, x_1) + self.sigma(t) * x_0
        u_t = self.d_mu(t, x_1) + self.d_sigma(t) * x_0
        return x_t, u_t

    def velocity(self, x: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
        """u_t(x | x_1) = sigma_t' / sigma_t (x - mu_t) + mu_t' (arXiv:2210.02747, theorem 3)."""
        t = expand_like(t, x)
        return self.d_sigma(t) / self.sigma(t) * (x - self.mu(t, x_1)) + self.d_mu(t, x_1)


class Path(GaussianPath):
    """mu_t(x_1) = alpha(t) x_1: x_t = alpha(t) x_1 + sigma(t) x_0."""

    def __init__(self, alpha: Schedule, sigma: Schedule, d_alpha: Schedule, d_sigma: Schedule):
        super().__init__(
            lambda t, x_1: alpha(t) * x_1, sigma, lambda t, x_1: d_alpha(t) * x_1, d_sigma
        )
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "d_alpha", d_alpha)


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


def variance_preserving(sigma_min: float = 0.0) -> Path:
    """VP diffusion as a flow: alpha = exp(-T/2), sigma^2 = 1 - alpha^2 (arXiv:2210.02747, eq. 18, 19).

    T(r) = integral of beta from 0 to r = b r + (B - b) r^2 / 2 with b = 0.1 and B = 20 at the noise
    time r = 1 - (1 - 0.001) t. It stops at r = 0.001, as diffusion's solvers do (arXiv:2011.13456,
    appendix C), since sigma' has no bound at r = 0; so sigma(1) is 0.01, and alpha(0) is 0.007, not 0.
    """
    if sigma_min:
        raise ValueError("the vp path has no sigma_min")
    low, high, stop = 0.1, 20.0, 1e-3

    def alpha(t: Tensor) -> Tensor:
        r = 1 - (1 - stop) * t
        return torch.exp(-0.5 * (low * r + (high - low) * r**2 / 2))

    def sigma(t: Tensor) -> Tensor:
        r = 1 - (1 - stop) * t
        return torch.sqrt(-torch.expm1(-(low * r + (high - low) * r**2 / 2)))

    def d_alpha(t: Tensor) -> Tensor:  # alpha' = -alpha T' / 2, and dr/dt = -(1 - stop)
        r = 1 - (1 - stop) * t
        return 0.5 * (1 - stop) * (low + (high - low) * r) * alpha(t)

    def d_sigma(t: Tensor) -> Tensor:  # of sigma^2 = 1 - alpha^2
        return -alpha(t) * d_alpha(t) / sigma(t)

    return Path(alpha, sigma, d_alpha, d_sigma)


PATHS: dict[str, Callable[[float], Path]] = {
    "linear": linear,
    "cosine": cosine,
    "vp": variance_preserving,
}
