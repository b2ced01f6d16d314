"""The training loop: a generator that yields a record of every step."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flowdemo.config.options import Schedule
from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch, Coupling
from flowdemo.core.noise import generator, mixed
from flowdemo.core.resampling import Resampler
from flowdemo.core.times import TimeSampler, uniform
from flowdemo.methods import METHODS, Loss, Perceptual
from flowdemo.model import Model
from flowdemo.nets.dropout import begin_step
from flowdemo.training.batches import draw_batch
from flowdemo.training.precision import autocast, faster
from flowdemo.training.processes import Processes

BINS = 10  # of t in the log
BAD_STEPS = 3  # in a row that end a run


class Diverged(ValueError):
    """Several steps in a row had no finite loss; the weights are those before these steps."""


@dataclass
class State:
    """All that changes while training: a saved and loaded state continues as if never stopped.

    `times` may be a sampler that learns from the errors. `seconds` is the time of all steps,
    `pair_seconds` that of the pairs (stored in their files). `skipped` counts the steps that changed
    no weights, `bad` how many of them came last in a row.
    """

    net: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    generator: Generator
    times: TimeSampler
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0
    pair_seconds: float = 0.0
    skipped: int = 0
    bad: int = 0

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device


@dataclass(frozen=True)
class Progress:
    """A finished step: its number, loss, raw error, gradient norm, and the seconds trained so far.

    `t` and `errors` (batch,), on the CPU, are time and raw error of each row. The first `spans` rows
    have s > t; their error is that of an average velocity, not of a velocity.
    """

    step: int
    steps: int
    loss: float
    error: float
    gradient: float
    seconds: float
    t: Tensor = field(repr=False)
    errors: Tensor = field(repr=False)
    state: State = field(repr=False)
    spans: int = 0

    @property
    def velocity(self) -> float | None:
        """Mean error on rows with s = t; None if there are none."""
        rows = self.errors[self.spans :]
        return rows.mean().item() if len(rows) else None

    @property
    def bins(self) -> list[float | None]:
        """The mean raw error in ten equal bins of t; None where no row lay."""
        rows = (self.t * BINS).long().clamp(0, BINS - 1)
        counts = torch.bincount(rows, minlength=BINS)
        sums = torch.zeros(BINS, dtype=torch.float64).index_add_(0, rows, self.errors.double())
        return [s / n if n else None for s, n in zip(sums.tolist(), counts.tolist(), strict=True)]


@dataclass(frozen=True)
class Snapshot:
    """A run so far: the newest step, and a model that can be sampled."""

    progress: Progress
    model: Model


def start(
    schedule: Schedule,
    net: nn.Module,
    ema: nn.Module,
    device: torch.device,
    times: TimeSampler = uniform,
) -> State:
    """The state before step 1, with the weights of `net` in both networks."""
    net, ema = net.to(device).train(), ema.to(device).eval().requires_grad_(False)
    ema.load_state_dict(net.state_dict())
    optimizer = optimizer_of(net, schedule)
    scaler = torch.amp.GradScaler(device.type, enabled=schedule.precision == "float16")
    return State(net, ema, optimizer, generator(schedule.seed), times, scaler)


def optimizer_of(net: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW (arXiv:1711.05101), which is Adam without decay; biases and scales of norms have none."""
    groups: list[dict[str, Any]] = [{"params": list(net.parameters())}]
    if schedule.weight_decay:
        vectors = [weight for weight in net.parameters() if weight.ndim < 2]
        matrices = [weight for weight in net.parameters() if weight.ndim > 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    decay = schedule.weight_decay
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, weight_decay=decay)


def train(
    recipe: Recipe,
    state: State,
    coupling: Coupling,
    empty: int,
    teacher: Model | None = None,
    perceptual: Perceptual | None = None,
    processes: Processes | None = None,
) -> Iterator[Progress]:
    """Trains `state` in place by the recipe's method; `empty` is the empty label."""
    velocity = teacher.velocity if teacher else None
    loss = METHODS[recipe.method].loss(recipe, state.times, velocity, perceptual, empty)
    return optimise(
        recipe, state, lambda g: draw_batch(recipe, coupling, empty, g), loss, processes
    )


def optimise(
    schedule: Schedule,
    state: State,
    draw: Callable[[Generator], Batch],
    loss: Loss,
    processes: Processes | None = None,
) -> Iterator[Progress]:
    """Trains up to `schedule.steps` and yields after every step.

    Batches and times are drawn on the CPU from the generator of the state. Raises `Diverged` after
    three steps in a row without a finite loss, error or gradient.
    """
    processes = processes or Processes()
    net = faster(state.net) if schedule.compile else state.net
    while state.step < schedule.steps:
        began = time.perf_counter()
        batch = loss.timed(draw(state.generator), state.generator)
        seed = int(torch.randint(2**31, (), generator=state.generator))
        set_learning_rate(state.optimizer, schedule, state.step)
        losses, errors = backward(schedule, state, net, batch, loss, processes, seed)
        sound = bool(torch.isfinite(losses + errors).all())
        gradient = update(state, schedule, processes, sound)
        if isinstance(state.times, Resampler) and sound and math.isfinite(gradient):
            state.times.update(batch.t, errors)
        state.seconds += time.perf_counter() - began
        numbers = (losses.mean().item(), errors.mean().item(), gradient, state.seconds)
        rows = (batch.t, errors, state, batch.spans)
        yield Progress(state.step, schedule.steps, *numbers, *rows)


def backward(
    schedule: Schedule,
    state: State,
    net: nn.Module,
    batch: Batch,
    loss: Loss,
    processes: Processes,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Leaves the gradient of the mean loss in the network; returns losses and errors (batch,).

    The batch is computed in `accumulate` parts. Part j of process r holds every (parts x processes)-th
    row; `seed` gives each part its own dropout masks.
    """
    state.optimizer.zero_grad()
    n, of, device = len(batch.x_1), schedule.accumulate * processes.size, state.device
    losses, errors = torch.zeros(n), torch.zeros(n)
    for j in range(schedule.accumulate):
        index = processes.rank + processes.size * j
        begin_step(state.net, mixed(seed, index), device)
        with autocast(device, schedule.precision):
            terms = loss(net, batch.part(index, of).to(device))
        # The mean over processes follows: hence the factor.
        state.scaler.scale(processes.size * terms.loss.sum() / n).backward()
        losses[index::of], errors[index::of] = terms.loss.detach().cpu(), terms.error.cpu()
    if processes.size > 1:
        mine = slice(processes.rank, None, processes.size)
        losses, errors = (
            processes.gather(rows[mine].to(device), n).cpu() for rows in (losses, errors)
        )
    return losses, errors


def update(state: State, schedule: Schedule, processes: Processes, sound: bool = True) -> float:
    """One step of Adam and of the moving average; returns the gradient norm before clipping.

    Without a finite gradient, or if the losses are not `sound`, only the counters change. The gradient
    alone is no sure sign: an adaptive weight can hide a row whose loss is not finite.
    """
    gradients = [p.grad for p in state.net.parameters() if p.grad is not None]
    processes.mean(gradients)
    state.scaler.unscale_(state.optimizer)
    gradient = nn.utils.clip_grad_norm_(state.net.parameters(), schedule.clip).item()
    finite = sound and math.isfinite(gradient)
    if finite:
        state.scaler.step(state.optimizer)
        average(state.ema, state.net, ema_decay(state.step, schedule.ema))
    overflown = not math.isfinite(gradient)  # a smaller scale may mend this, but no bad loss
    searching = overflown and state.scaler.is_enabled() and state.scaler.get_scale() > 1
    state.scaler.update()
    state.step += 1
    state.skipped += not finite
    state.bad = 0 if finite or searching else state.bad + 1
    if state.bad >= BAD_STEPS:
        state.bad = 0  # a resumed run may fail three times again
        raise Diverged(f"the loss was not finite in {BAD_STEPS} steps in a row, up to {state.step}")
    return gradient


def set_learning_rate(optimizer: torch.optim.Optimizer, schedule: Schedule, step: int) -> None:
    """Linear warm-up, then half a cosine down to zero at the last step."""
    warm = min(1.0, (step + 1) / max(1, schedule.warmup))
    cosine = 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    for group in optimizer.param_groups:
        group["lr"] = schedule.learning_rate * warm * cosine


def ema_decay(n: int, decay: float) -> float:
    """min(decay, (1 + n) / (10 + n)): the average is short at first."""
    return min(decay, (1 + n) / (10 + n))


@torch.no_grad()
def average(ema: nn.Module, net: nn.Module, decay: float) -> None:
    """ema = decay ema + (1 - decay) net."""
    torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
