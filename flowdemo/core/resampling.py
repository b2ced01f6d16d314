"""Importance sampling of times where the loss is large (arXiv:2102.09672, section 3.3)."""

from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor


@runtime_checkable
class Resampler(Protocol):
    """A time sampler that learns from errors; its state is saved with that of training."""

    def __call__(self, n: int, generator: Generator) -> Tensor: ...

    def weights(self, t: Tensor) -> Tensor: ...

    def update(self, t: Tensor, errors: Tensor) -> None: ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None: ...


class LossSecondMoment:
    """Draws a bin of [0, 1] with probability proportional to the root mean square of its last errors.

    p_i ~ sqrt(E[L_i^2]) over the last `history` errors of bin i, mixed with a `uniform` share; p is
    uniform until every bin is full. `weights` are 1 / (N p_i): with them, E over t of the weighted
    loss is its mean over uniform t, whatever p is.
    """

    def __init__(self, bins: int = 20, history: int = 10, uniform: float = 0.001):
        self.uniform = uniform
        self.errors = torch.zeros(bins, history, dtype=torch.float64)
        self.counts = torch.zeros(bins, dtype=torch.int64)  # of all errors so far

    def __call__(self, n: int, generator: Generator) -> Tensor:
        """t (n,): a bin by p, and uniform within it."""
        rows = torch.multinomial(self.probabilities(), n, replacement=True, generator=generator)
        return (rows + torch.rand(n, generator=generator)) / len(self.counts)

    def probabilities(self) -> Tensor:
        """p (bins,) in float64, of sum 1."""
        bins, history = self.errors.shape
        if (self.counts < history).any():
            return torch.full((bins,), 1 / bins, dtype=torch.float64)
        p = self.errors.square().mean(1).sqrt()
        p = p / p.sum() if p.sum() > 0 else torch.full_like(p, 1 / bins)
        return (1 - self.uniform) * p + self.uniform / bins

    def weights(self, t: Tensor) -> Tensor:
        """1 / (N p) at times t (batch,), float32."""
        bins = len(self.counts)
        return (1 / (bins * self.probabilities()[self.bins_of(t)])).float()

    def update(self, t: Tensor, errors: Tensor) -> None:
        """Stores raw, unweighted errors (batch,) at times t (batch,) in place of the oldest ones."""
        history = self.errors.shape[1]
        for row, error in zip(self.bins_of(t).tolist(), errors.tolist(), strict=True):
            self.errors[row, self.counts[row] % history] = error
            self.counts[row] += 1

    def state_dict(self) -> dict[str, Tensor]:
        """The stored errors."""
        return {"errors": self.errors, "counts": self.counts}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Restores stored errors."""
        self.errors, self.counts = tensors["errors"], tensors["counts"]

    def bins_of(self, t: Tensor) -> Tensor:
        """The bin (batch,) of each time."""
        bins = len(self.counts)
        return (t * bins).long().clamp(0, bins - 1)


RESAMPLERS: dict[str, type[Resampler]] = {"loss-second-moment": LossSecondMoment}
