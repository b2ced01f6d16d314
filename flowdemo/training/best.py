"""The best weights of a run so far: those of the least objective at a batch that stays the same."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from flowdemo.couplings import Batch
from flowdemo.methods import Loss
from flowdemo.noise import generator
from flowdemo.training.precision import autocast
from flowdemo.training.trainer import State

LOOK = 10  # steps between two looks


@dataclass
class Best:
    """The averaged weights that did best, and after which step.

    A batch's loss says more about which rows, noise and times were drawn than about the weights. Where
    all these stay, what differs between two looks is the weights alone.
    """

    loss: Loss
    batch: Batch
    step: int = 0
    seen: int = 0  # the newest step that was looked at
    objective: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)

    def look(self, state: State) -> None:
        """Keeps the average of this step if none was better."""
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
    """Nothing yet; the batch is drawn from a generator of its own."""
    rng = generator(seed)
    return Best(loss, loss.timed(draw(rng), rng))
