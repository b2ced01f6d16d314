"""Exact velocities in closed form: what perfect training would learn."""

import torch
from torch import Tensor

from flowdemo.paths import Path, expand_like
from flowdemo.solvers import Velocity


def mixture_velocity(
    path: Path, means: Tensor, stds: Tensor, weights: Tensor | None = None
) -> Velocity:
    """v(x, t) when the data is a mixture of Gaussians N(mu_k, s_k^2 I) and the noise is N(0, I).

    means (k, d), stds and weights (k,); equal weights by default. x_t given component k is
    N(alpha mu_k, S_k) with S_k = alpha^2 s_k^2 + sigma^2, hence

        v = sum_k w_k(x, t) [ alpha' mu_k + (alpha alpha' s_k^2 + sigma sigma') / S_k (x - alpha mu_k) ]

    with w_k proportional to the weight times N(x; alpha mu_k, S_k I).
    """
    weights = torch.ones_like(stds) if weights is None else weights

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        t = expand_like(t, x)
        alpha, sigma, d_alpha, d_sigma = (
            f(t) for f in (path.alpha, path.sigma, path.d_alpha, path.d_sigma)
        )
        variance = alpha**2 * stds**2 + sigma**2  # (batch, k)
        offset = x[:, None] - alpha[:, None] * means  # (batch, k, d)
        log_density = -0.5 * offset.square().sum(2) / variance - 0.5 * means.shape[1] * (
            variance.log()
        )
        w = torch.softmax(weights.log() + log_density, dim=1)
        slope = (alpha * d_alpha * stds**2 + sigma * d_sigma) / variance
        v = d_alpha[:, None] * means + slope[:, :, None] * offset
        return (w[:, :, None] * v).sum(1)

    return velocity


def data_velocity(path: Path, data: Tensor) -> Velocity:
    """v(x, t) for a finite data set (k, ...), each row equally likely: a mixture of points.

    Undefined where sigma(t) = 0, which for the linear path without sigma_min is t = 1.
    """
    flat = data.flatten(1)
    mixture = mixture_velocity(path, flat, torch.zeros(len(flat), dtype=flat.dtype))
    return lambda x, t: mixture(x.flatten(1), t).reshape(x.shape)
