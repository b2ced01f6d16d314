"""A request in, samples and their trajectory out: what every door calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdemo.core.solvers import SolverError, Trajectory, average_step, follow, grid, integrate
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.nets.decoder import decode, preview
from flowdemo.sampling.initial_noise import given_noise, start
from flowdemo.sampling.request import ALL, ANY, Label, Request

MAX_EVALUATIONS = {"image": 400_000, "points": 20_000_000}  # network evaluations x samples
MAX_STATES = 25_000_000  # numbers in a kept trajectory
STATES_OF_ADAPTIVE = 101  # guess, for that limit
PREVIEW = 4  # pixels of a film for one of a latent, whose image has 8
Watch = Callable[[int], None]  # hears how many rows were evaluated; may raise to stop


@dataclass(frozen=True)
class Samples:
    """What one run made, and what it cost.

    `request` is the completed request; its seed is None where the caller gave the noise. `images`
    (n, channels, height, width) are pixels clipped to [0, 1], or `points` (n, 2); the other is None.
    `labels` (n,) int64 hold the number of classes where the label was "any". The states of
    `trajectory` are un-normalised and not clipped; those of a latent model are small previews of its
    latents. `nfe` counts network evaluations on one sample. `seconds` is the solver's wall time,
    without the decoder's. `x_0` (n, *shape) is the noise they came from, and `latents` what a decoder
    made images of. `revision` names the weights.
    """

    request: Request
    revision: str
    images: Tensor | None
    points: Tensor | None
    labels: Tensor
    trajectory: Trajectory
    nfe: float
    seconds: float
    x_0: Tensor
    latents: Tensor | None = None
    decoder_seconds: float = 0.0

    @property
    def settings(self) -> dict[str, Any]:
        """The request and the weights, as exported JSON has them: "any" is null, several a list."""
        asked = vars(self.request)
        label = asked["label"]
        if not isinstance(label, int):
            label = {ALL: ALL, ANY: None}[label] if isinstance(label, str) else list(label)
        order = ("n", "label", "solver", "steps", "tolerance", "guidance", "seed")
        known = {"model": asked["model"], "revision": self.revision}
        return known | {key: asked[key] for key in order} | {"label": label}

    @property
    def film(self) -> Tensor:
        """The states as pictures of one size (k, n, channels, height, width), or as points (k, n, 2).

        The last state of a latent model is its decoded images, shrunk; the others are previews.
        """
        states = self.trajectory.states
        if self.latents is None:
            return states
        height, width = states.shape[3:]
        large = states.repeat_interleave(PREVIEW, 3).repeat_interleave(PREVIEW, 4)
        last = F.interpolate(self.images, (PREVIEW * height, PREVIEW * width), mode="area")
        return torch.cat([large[:-1], last[None]])


def sample(
    model: Model,
    n: int = 16,
    label: Label = None,
    guidance: float = 1.0,
    solver: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    *,
    tolerance: float | None = None,
    **options: Any,
) -> Samples:
    """Draws n samples of `model`: `run` with a request of these fields.

    `label` is a class, a list of n classes, "all" (the classes in turn) or None ("any"). The `options`
    are those of `run`.
    """
    label = ANY if label is None else label
    asked = Request(model.name, n, label, guidance, solver, steps, tolerance, seed)
    return run(model, asked, **options)


def run(
    model: Model,
    request: Request,
    *,
    x_0: Tensor | None = None,
    keep_trajectory: bool = True,
    watch: Watch = lambda rows: None,
    max_evaluations: int | None = None,
) -> Samples:
    """Draws the samples of a request. ValueError says what cannot be done.

    Noise `x_0` (n, ...) that is given takes the place of the seed's. Without `keep_trajectory` only its
    two ends are kept. `watch` hears before every evaluation how many rows were evaluated.
    """
    request = request.completed(model)
    budget = max_evaluations or MAX_EVALUATIONS[model.kind]
    check_work(model, request, budget, keep_trajectory)
    n, labels = request.n, request.labels(model.empty)
    counter, device = Counter(model.net, budget, watch), model.device
    if x_0 is None:
        x_0 = start(model, request.seed, n)
    else:
        x_0, request = given_noise(x_0, n, model), replace(request, seed=None)
    began = time.perf_counter()
    with torch.inference_mode():
        counted = replace(model, net=counter)
        path = solve(counted, request, x_0.to(device), labels.to(device), keep_trajectory)
        states = model.unnormalise(path.states).cpu()
    seconds = time.perf_counter() - began
    return Samples(
        request=request,
        revision=model.revision,
        labels=labels,
        trajectory=Trajectory(path.times.float().cpu(), shown(model, states)),
        nfe=counter.rows / n,
        seconds=seconds,
        x_0=x_0,
        **outcome(model, states, lambda done: watch(counter.rows)),
    )


def outcome(model: Model, states: Tensor, watch: Watch) -> dict[str, Any]:
    """The fields of `Samples` that hold the end of a run: points, or images, decoded if need be."""
    if not model.is_image:
        return {"images": None, "points": states[-1]}
    if model.config.decoder is None:
        return {"images": states[-1].clamp(0, 1), "points": None}
    began = time.perf_counter()
    with torch.inference_mode():
        images = decode(model.decoder(), states[-1], watch)
    seconds = time.perf_counter() - began
    return {"images": images, "points": None, "latents": states[-1], "decoder_seconds": seconds}


def shown(model: Model, states: Tensor) -> Tensor:
    """States (k, n, ...) as a trajectory keeps them."""
    return states if model.config.decoder is None else preview(states)


def solve(
    model: Model, request: Request, x: Tensor, labels: Tensor, keep: bool, backward: bool = False
) -> Trajectory:
    """The normalised states from noise x at the model's `eps` to data at t = 1, or `backward`."""
    start_at, end_at = (1, model.config.eps) if backward else (model.config.eps, 1)
    times, w = grid(request.steps or 1, start_at, end_at), request.guidance

    def average_velocity(x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return model.average_velocity(x, t, s, labels, w)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return model.velocity(x, t, labels, w)

    if request.solver == AVERAGE:
        return integrate(average_step(average_velocity), x, times, keep)
    return follow(velocity, request.solver, x, times, request.tolerance, keep)


def check_work(model: Model, request: Request, budget: int, keep: bool) -> None:
    """ValueError if a run is larger than the engine allows; `Counter` watches the adaptive ones."""
    work = request.n * (request.evaluations(model) or 1)
    if work > budget:
        raise ValueError(
            f"{work} network evaluations (samples x steps x evaluations) exceed the limit of "
            f"{budget}; choose fewer samples or steps"
        )
    states = STATES_OF_ADAPTIVE if request.steps is None else request.steps + 1
    if keep and request.n * states * torch.Size(model.config.shape).numel() > MAX_STATES:
        raise ValueError("the trajectory is too large to keep; choose fewer samples or steps")


class Counter(nn.Module):
    """A network that counts the rows it evaluates and gives up beyond a budget."""

    def __init__(self, net: nn.Module, budget: int, watch: Watch):
        super().__init__()
        self.net, self.budget, self.watch, self.rows = net, budget, watch, 0

    def forward(self, x: Tensor, *rest: Tensor | None) -> Tensor:
        self.watch(self.rows)
        self.rows += len(x)
        if self.rows > self.budget:
            raise SolverError("the run needs too many evaluations; choose a larger tolerance")
        return self.net(x, *rest)
