"""The one training loop, a generator of small progress records."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

from flowdemo.couplings import Batch, Coupling, drop_labels
from flowdemo.methods import METHODS, Loss
from flowdemo.model import Model
from flowdemo.noise import generator
from flowdemo.recipe import Recipe, Schedule


@dataclass
class State:
    """All that changes while training: saved and loaded, it goes on as if never stopped.

    `seconds` is what the steps took, `pair_seconds` what the pairs took, which keep it themselves.
    """

    net: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    generator: Generator
    step: int = 0
    seconds: float = 0.0
    pair_seconds: float = 0.0


@dataclass(frozen=True)
class Progress:
    """One step done: its number, loss and gradient norm, and the seconds trained so far."""

    step: int
    steps: int
    loss: float
    gradient: float
    seconds: float
    state: State = field(repr=False)


def start(schedule: Schedule, net: nn.Module, ema: nn.Module, device: torch.device) -> State:
    """Step 0. `net` and `ema` hold the same weights."""
    net, ema = net.to(device).train(), ema.to(device).eval().requires_grad_(False)
    ema.load_state_dict(net.state_dict())
    optimizer = torch.optim.Adam(net.parameters(), lr=schedule.learning_rate)
    return State(net, ema, optimizer, generator(schedule.seed))


def train(
    recipe: Recipe, state: State, coupling: Coupling, empty: int, teacher: Model | None = None
) -> Iterator[Progress]:
    """Trains `state` in place by the recipe's method; `empty` is the empty label."""
    loss = METHODS[recipe.method].loss(recipe, teacher.velocity if teacher else None)
    return optimise(recipe, state, lambda g: draw(recipe, coupling, empty, g), loss)


def optimise(
    schedule: Schedule, state: State, draw: Callable[[Generator], Batch], loss: Loss
) -> Iterator[Progress]:
    """Goes on to `schedule.steps`, yielding after every step.

    Batches and times are drawn on the CPU from the state's generator.
    """
    device = next(state.net.parameters()).device
    while state.step < schedule.steps:
        began = time.perf_counter()
        batch = draw(state.generator).to(device)
        set_learning_rate(state.optimizer, schedule, state.step)
        with autocast(device):
            value = loss(state.net, batch, state.generator)
        gradient = update(state, value, schedule)
        state.seconds += time.perf_counter() - began
        yield Progress(state.step, schedule.steps, value.item(), gradient, state.seconds, state)


def update(state: State, loss: Tensor, schedule: Schedule) -> float:
    """One step of Adam and of the moving average; the gradient's norm before clipping.

    A step whose gradient is not finite changes nothing but the step count.
    """
    state.optimizer.zero_grad()
    loss.backward()
    gradient = nn.utils.clip_grad_norm_(state.net.parameters(), schedule.clip).item()
    if math.isfinite(gradient):
        state.optimizer.step()
        average(state.ema, state.net, ema_decay(state.step, schedule.ema))
    state.step += 1
    return gradient


def draw(recipe: Recipe, coupling: Coupling, empty: int, generator: Generator) -> Batch:
    """A batch; independent ones get random weights and dropped labels, a teacher's pairs have both."""
    batch = coupling(recipe.batch_size, generator)
    if recipe.pairs is not None:
        return batch
    if recipe.net.guidance:
        w = random_guidance(recipe, recipe.batch_size, generator)
        batch = Batch(batch.x_0, batch.x_1, batch.label, w)
    return drop_labels(batch, recipe.label_dropout, empty, generator)


def random_guidance(recipe: Recipe, n: int, generator: Generator) -> Tensor:
    """CFG weights (n,): uniform in the recipe's range, but a share of them is 1."""
    low, high = recipe.guidance
    w = low + (high - low) * torch.rand(n, generator=generator)
    return torch.where(torch.rand(n, generator=generator) < recipe.share_unguided, 1.0, w)


def set_learning_rate(optimizer: torch.optim.Optimizer, schedule: Schedule, step: int) -> None:
    """Linear warm-up, then half a cosine down to zero at the last step."""
    warm = min(1.0, (step + 1) / max(1, schedule.warmup))
    cosine = 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    for group in optimizer.param_groups:
        group["lr"] = schedule.learning_rate * warm * cosine


def ema_decay(n: int, decay: float) -> float:
    """min(decay, (1 + n) / (10 + n)): an average that starts short."""
    return min(decay, (1 + n) / (10 + n))


@torch.no_grad()
def average(ema: nn.Module, net: nn.Module, decay: float) -> None:
    """ema = decay ema + (1 - decay) net."""
    torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor computes with it, else float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is native there; emulated it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(supported())
