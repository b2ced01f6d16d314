"""Distances between distributions, and the straightness of a flow."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from flowdemo.solvers import Velocity, fixed_step, grid, integrate


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of features (n, d), in float64."""
    features = features.double()
    return features.mean(0), torch.cov(features.T)


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (arXiv:1706.08500, eq. 6).

    The trace of the root is the sum of the roots of the eigenvalues of C_a C_b, which are real and
    not negative up to rounding.
    """
    mean_a, cov_a, mean_b, cov_b = (x.double() for x in (mean_a, cov_a, mean_b, cov_b))
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()
    return distance.item()


def wasserstein_2(a: Tensor, b: Tensor) -> float:
    """The exact W2 distance of two point sets (n, d) of equal size, by the best assignment."""
    cost = torch.cdist(a.double(), b.double()).square()
    rows, columns = linear_sum_assignment(cost.numpy())
    return cost[rows, columns].mean().sqrt().item()


@torch.inference_mode()
def straightness(velocity: Velocity, x_0: Tensor, steps: int = 50) -> float:
    """S = integral of E|(x_1 - x_0) - v(x_t, t)|^2 dt / E|x_1 - x_0|^2; 0 is straight.

    Along a `steps`-step RK4 run from the noise x_0 (batch, ...), by the trapezoidal rule on its grid
    (arXiv:2209.03003, section 2.2, there not normalised).
    """
    times = grid(steps)
    path = integrate(fixed_step(velocity, "rk4"), x_0, times)
    chord = path.states[-1] - path.states[0]
    bend = torch.stack(
        [
            (chord - velocity(x_t, t.to(x_t).expand(len(x_t)))).square().mean()
            for t, x_t in zip(times, path.states, strict=True)
        ]
    )
    return (torch.trapezoid(bend, times.to(bend)) / chord.square().mean()).item()
