"""Exact velocities in closed form: what perfect training would learn."""

import math

import torch
from torch import Tensor

from flowdemo.core.paths import Path, expand_like
from flowdemo.core.solvers import Velocity


def mixture_velocity(
    path: Path, means: Tensor, stds: Tensor, weights: Tensor | None = None
) -> Velocity:
    """v(x, t) when the data is a mixture of Gaussians N(mu_k, s_k^2 I) and the noise is N(0, I).

    means (k, d); stds (k,), or (1,) for all; weights (k,) or (batch, k), equal by default.
    x_t given component k is N(alpha mu_k, S_k) with S_k = alpha^2 s_k^2 + sigma^2, hence

        v = sum_k w_k(x, t) [ alpha' mu_k + (alpha alpha' s_k^2 + sigma sigma') / S_k (x - alpha mu_k) ]

    with w_k proportional to the weight times N(x; alpha mu_k, S_k I).
    """
    weights = torch.ones_like(means[:, 0]) if weights is None else weights

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        t = expand_like(t, x)
        alpha, sigma, d_alpha, d_sigma = (
            f(t) for f in (path.alpha, path.sigma, path.d_alpha, path.d_sigma)
        )
        variance = alpha**2 * stds**2 + sigma**2  # (batch, k or 1)
        w = torch.softmax(log_terms(x, alpha[:, None] * means, variance, weights), dim=1)
        slope = w * ((alpha * d_alpha * stds**2 + sigma * d_sigma) / variance)
        return d_alpha * (w @ means) + slope.sum(1, keepdim=True) * x - alpha * (slope @ means)

    return velocity


def mixture_log_density(
    x: Tensor, means: Tensor, stds: Tensor, weights: Tensor | None = None
) -> Tensor:
    """log sum_k w_k N(x; mu_k, s_k^2 I) of x (batch, d), the weights normalised: (batch,)."""
    weights = torch.ones_like(means[:, 0]) if weights is None else weights
    terms = log_terms(x, means[None], stds[None] ** 2, weights / weights.sum())
    return torch.logsumexp(terms, dim=1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


def log_terms(x: Tensor, centres: Tensor, variance: Tensor, weights: Tensor) -> Tensor:
    """log(w_k N(x; c_k, S_k I)) up to the power of 2 pi: (batch, k)."""
    # One dimension at a time: in the plane that is three times as fast as a sum over the last axis.
    distance = sum((x[:, i, None] - centres[..., i]).square() for i in range(x.shape[1]))
    return weights.log() - distance / (2 * variance) - 0.5 * x.shape[1] * variance.log()


def data_velocity(path: Path, data: Tensor) -> Velocity:
    """v(x, t) for a finite data set (k, ...), each row equally likely: a mixture of points.

    Undefined where sigma(t) = 0, which for the linear path without sigma_min is t = 1.
    """
    flat = data.flatten(1)
    mixture = mixture_velocity(path, flat, torch.zeros(len(flat), dtype=flat.dtype))
    return lambda x, t: mixture(x.flatten(1), t).reshape(x.shape)
