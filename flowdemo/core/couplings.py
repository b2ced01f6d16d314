"""Which noise goes with which data. A coupling takes (batch size, generator), returns a `Batch`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor


@dataclass(frozen=True)
class Batch:
    """Noise x_0 and data x_1 (batch, ...), labels (batch,) int64, CFG weights (batch,) or None.

    What a method draws for it: times t, end times s, times r between them, and importance weights,
    each (batch,) or None. Only the first `spans` rows have s > t.
    """

    x_0: Tensor
    x_1: Tensor
    label: Tensor
    guidance: Tensor | None = None
    t: Tensor | None = None
    s: Tensor | None = None
    r: Tensor | None = None
    weight: Tensor | None = None
    spans: int = 0

    def to(self, device: torch.device) -> "Batch":
        return self._each(lambda value: value.to(device))

    def part(self, index: int, of: int) -> "Batch":
        """Every `of`-th row from number `index` on: what one of several processes works on."""
        if of == 1:
            return self
        spans = len(range(index, self.spans, of))
        return replace(self.rows(slice(index, None, of)), spans=spans)

    def rows(self, rows: slice | Tensor) -> "Batch":
        """These rows of all tensors; which of them span an interval is not told."""
        return replace(self._each(lambda value: value[rows]), spans=0)

    def without_guidance(self) -> "Batch":
        """The same without CFG weights."""
        return replace(self, guidance=None)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {key: value for key, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{key: change(value) for key, value in tensors.items()})


Coupling = Callable[[int, Generator], Batch]


def independent(
    data: Tensor, labels: Tensor, prepare: Callable[[Tensor, Generator], Tensor] = lambda x, g: x
) -> Coupling:
    """Fresh noise for random rows of the data set (arXiv:2210.02747), after `prepare`."""

    def draw(n: int, generator: Generator) -> Batch:
        rows = torch.randint(len(data), (n,), generator=generator)
        x_1 = prepare(data[rows], generator)
        return Batch(torch.randn(x_1.shape, generator=generator), x_1, labels[rows])

    return draw


def reflow_pairs(pairs: Batch, first: int | None = None) -> Coupling:
    """Noise with the data that a teacher's ODE carried it to (arXiv:2209.03003, section 2.2).

    Only the `first` ones are drawn, by default all.
    """
    count = first or len(pairs.x_0)

    def draw(n: int, generator: Generator) -> Batch:
        rows = torch.randint(count, (n,), generator=generator)
        return Batch(pairs.x_0[rows], pairs.x_1[rows], pairs.label[rows], pairs.guidance[rows])

    return draw


def optimal_transport(coupling: Coupling) -> Coupling:
    """The batches of `coupling`, their noise assigned anew so that sum |x_1 - x_0|^2 is smallest.

    Mini-batch optimal transport (arXiv:2302.00482, section 3.2.3; arXiv:2304.14772), within each
    class: over all classes at once, each class would take a region of the noise for itself, while
    sampling a class starts from all of it.
    """

    def draw(n: int, generator: Generator) -> Batch:
        batch = coupling(n, generator)
        x_0 = batch.x_0.clone()
        for label in batch.label.unique():
            rows = (batch.label == label).nonzero()[:, 0]
            cost = torch.cdist(batch.x_1[rows].flatten(1), batch.x_0[rows].flatten(1)).square()
            x_0[rows] = batch.x_0[rows[torch.as_tensor(linear_sum_assignment(cost.numpy())[1])]]
        return replace(batch, x_0=x_0)

    return draw


COUPLINGS: dict[str, Callable[[Coupling], Coupling]] = {
    "independent": lambda coupling: coupling,
    "ot": optimal_transport,
}


def drop_labels(batch: Batch, share: float, empty: int, generator: Generator) -> Batch:
    """The batch with a random share of its labels replaced by the empty label, where w = 1."""
    dropped = torch.rand(len(batch.label), generator=generator) < share
    label = torch.where(dropped, empty, batch.label)
    guidance = None if batch.guidance is None else torch.where(dropped, 1.0, batch.guidance)
    return replace(batch, label=label, guidance=guidance)
