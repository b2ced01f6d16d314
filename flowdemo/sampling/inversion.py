"""Inversion: data to noise by the reverse ODE, and interpolation between two noises."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flowdemo.core.solvers import Trajectory
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import MAX_EVALUATIONS, Counter, check_work, solve

# The way back is stiff: at a tolerance of 1e-4 the round trip can miss by 0.1.
EXACT = {"solver": "dopri5", "steps": None, "tolerance": 1e-5}


@dataclass(frozen=True)
class Inversion:
    """What data came from. `x_0` (n, ...) is normalised noise, ready for `sample(..., x_0=x_0)`.

    `trajectory` has times from 1 down to 0 and un-normalised states; `nfe` and `seconds` as in
    `Samples`; `request` is how it was done.
    """

    x_0: Tensor
    trajectory: Trajectory
    nfe: float
    seconds: float
    request: Request


def invert(
    model: Model,
    x_1: Tensor,
    request: Request,
    *,
    watch: Callable[[int], None] = lambda rows: None,
    max_evaluations: int | None = None,
) -> Inversion:
    """Follows the model's velocity from x_1 at t = 1 back to t = 0.

    x_1 (n, ...) holds pixels in [0, 1] or points. Without a solver the request is solved by dopri5 at a
    tight tolerance. A MeanFlow network is followed by its velocity u(x, t, t): its own step only goes
    forward. A network that was trained at t = 1 alone makes its one Euler step, whatever is asked for.
    ValueError says what cannot be done.
    """
    n = len(x_1)
    if model.config.decoder:
        raise ValueError(f"{model.name} works on latents, and nothing here makes latents of images")
    if not n or x_1.shape[1:] != model.config.sample_shape or not torch.isfinite(x_1).all():
        raise ValueError(f"{model.name} inverts finite data of shape {model.config.sample_shape}")
    if request.solver == AVERAGE:
        raise ValueError(f"'{AVERAGE}' only goes from noise to data; choose another solver")
    if model.config.only_inverts:
        request = replace(request, solver="euler", steps=1, tolerance=None)
    elif model.config.trained_times is not None:
        raise ValueError(f"{model.name} only goes from noise to data: it knows no other times")
    elif request.solver is None:
        request = replace(request, **EXACT)
    request = replace(request, n=n).completed(model, backward=True)
    budget = max_evaluations or MAX_EVALUATIONS[model.kind]
    check_work(model, request, budget, keep=True)
    labels = request.labels(model.empty)
    counter, device = Counter(model.net, budget, watch), model.device
    began = time.perf_counter()
    with torch.inference_mode():
        z_1 = model.normalise(x_1.float()).to(device)
        counted = replace(model, net=counter)
        path = solve(counted, request, z_1, labels.to(device), keep=True, backward=True)
        states = model.unnormalise(path.states).cpu()
    return Inversion(
        path.states[-1].cpu(),
        Trajectory(path.times.float().cpu(), states),
        counter.rows / n,
        time.perf_counter() - began,
        request,
    )


def between(a: Tensor, b: Tensor, count: int) -> Tensor:
    """`count` noises (count, ...) from a to b (...) along the great circle through them.

    A straight line would pass through the middle, where no noise of so many dimensions lies
    (arXiv:1609.04468, section 2.1).
    """
    shares = torch.linspace(0, 1, count).reshape(-1, *[1] * a.dim())
    cosine = (a * b).sum() / (a.norm() * b.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:  # parallel: the circle is a line
        return (1 - shares) * a + shares * b
    return (((1 - shares) * angle).sin() * a + (shares * angle).sin() * b) / angle.sin()


def round_trip_error(x_1: Tensor, again: Tensor) -> float:
    """Root mean square difference, in pixels from 0 to 1 or units of the plane."""
    return (x_1 - again).square().mean().sqrt().item()
