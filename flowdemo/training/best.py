"""The best weights of a run: those with the smallest loss on a fixed batch."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from flowdemo.core.couplings import Batch
from flowdemo.core.noise import generator
from flowdemo.methods import Loss
from flowdemo.training.precision import autocast
from flowdemo.training.trainer import State

LOOK = 10  # steps between two measurements


@dataclass
class Best:
    """The best averaged weights so far, and their step.

    The loss of a training step depends more on its random rows, noise and times than on the weights.
    Here all of them are fixed, so that two losses differ by the weights alone.
    """

    loss: Loss
    batch: Batch
    step: int = 0
    seen: int = 0  # the newest step that was measured
    objective: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)

    def look(self, state: State) -> None:
        """Measures the averaged weights of this step, and keeps them if none were better."""
        if state.step == self.seen:
            return
        self.seen = state.step
        with torch.no_grad(), autocast(state.device):
            objective = self.loss(state.ema, self.batch.to(state.device)).loss.mean().item()
        objective = objective if math.isfinite(objective) else math.inf
        if objective <= self.objective:
            self.step, self.objective = state.step, objective
            self.weights = deepcopy(state.ema.state_dict())


def best_of(loss: Loss, draw: Callable[[Generator], Batch], seed: int) -> Best:
    """A `Best` without weights; its batch is drawn from a generator of its own."""
    rng = generator(seed)
    return Best(loss, loss.timed(draw(rng), rng))
