"""Which noise goes with which data. A coupling takes (batch size, generator), returns a `Batch`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Batch:
    """Noise x_0 and data x_1 (batch, ...), labels (batch,) int64, CFG weights (batch,) or None."""

    x_0: Tensor
    x_1: Tensor
    label: Tensor
    guidance: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        moved = {k: v.to(device) for k, v in vars(self).items() if v is not None}
        return replace(self, **moved)


Coupling = Callable[[int, Generator], Batch]


def independent(
    data: Tensor, labels: Tensor, normalise: Callable[[Tensor], Tensor] = lambda x: x
) -> Coupling:
    """Fresh noise for random rows of the data set (arXiv:2210.02747)."""

    def draw(n: int, generator: Generator) -> Batch:
        rows = torch.randint(len(data), (n,), generator=generator)
        x_1 = normalise(data[rows])
        return Batch(torch.randn(x_1.shape, generator=generator), x_1, labels[rows])

    return draw


def reflow_pairs(pairs: Batch) -> Coupling:
    """Noise with the data that a teacher's ODE carried it to (arXiv:2209.03003, section 2.2)."""

    def draw(n: int, generator: Generator) -> Batch:
        rows = torch.randint(len(pairs.x_0), (n,), generator=generator)
        return Batch(*(None if v is None else v[rows] for v in vars(pairs).values()))

    return draw


def drop_labels(batch: Batch, share: float, empty: int, generator: Generator) -> Batch:
    """The batch with a random share of its labels replaced by the empty label, where w = 1."""
    dropped = torch.rand(len(batch.label), generator=generator) < share
    label = torch.where(dropped, empty, batch.label)
    guidance = None if batch.guidance is None else torch.where(dropped, 1.0, batch.guidance)
    return replace(batch, label=label, guidance=guidance)
