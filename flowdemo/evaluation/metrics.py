"""Distances between distributions, and the straightness of a flow."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from flowdemo.core.solvers import Velocity, fixed_step, grid, integrate


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


def sliced_wasserstein_2(
    a: Tensor, b: Tensor, generator: Generator, directions: int = 200
) -> float:
    """The root of the mean squared W2 over random directions (Bonneel et al. 2015), for sets too
    large for `wasserstein_2`. a, b (n, d) of equal size; along a line the best assignment sorts."""
    theta = torch.randn(a.shape[1], directions, generator=generator, dtype=torch.float64)
    theta = theta / theta.norm(dim=0)
    along_a, along_b = ((x.double() @ theta).sort(dim=0).values for x in (a, b))
    return (along_a - along_b).square().mean().sqrt().item()


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'| of point sets (n, d) and (m, d) (Szekely and Rizzo 2013).

    All pairs count, those of a point with itself too, so that it is never negative.
    """
    a, b = a.double(), b.double()
    between, in_a, in_b = (torch.cdist(x, y).mean() for x, y in ((a, b), (a, a), (b, b)))
    return (2 * between - in_a - in_b).item()


def curvature(states: Tensor, times: Tensor) -> float:
    """Mean over paths and time of sqrt(|x'|^2 |x''|^2 - (x' . x'')^2) / |x'|^3, in 1/units of x.

    states (k, n, ...) at evenly spaced times (k,), k >= 3, by central differences; 0 is straight,
    a circle of radius r has 1/r.
    """
    x, dt = states.double().flatten(2), (times[1] - times[0]).double()
    first = (x[2:] - x[:-2]) / (2 * dt)
    second = (x[2:] - 2 * x[1:-1] + x[:-2]) / dt**2
    speed = first.square().sum(2)
    area = speed * second.square().sum(2) - (first * second).sum(2).square()
    return (area.clamp(min=0).sqrt() / speed.clamp(min=1e-12).pow(1.5)).mean().item()


@torch.inference_mode()
def straightness(velocity: Velocity, x_0: Tensor, steps: int = 50, eps: float = 0.0) -> float:
    """S = integral of E|(x_1 - x_0) - v(x_t, t)|^2 dt / E|x_1 - x_0|^2; 0 is straight.

    Along a `steps`-step RK4 run from the noise x_0 (batch, ...), by the trapezoidal rule on its grid
    (arXiv:2209.03003, section 2.2, there not normalised). Where time begins at `eps`, the chord is
    (x_1 - x_0) / (1 - eps), and the integral a mean over what is left of time.
    """
    times = grid(steps, eps)
    path = integrate(fixed_step(velocity, "rk4"), x_0, times)
    chord = (path.states[-1] - path.states[0]) / (1 - eps)
    bend = torch.stack(
        [
            (chord - velocity(x_t, t.to(x_t).expand(len(x_t)))).square().mean()
            for t, x_t in zip(times, path.states, strict=True)
        ]
    )
    mean = torch.trapezoid(bend, times.to(bend)) / (1 - eps)
    return (mean / chord.square().mean()).item()
