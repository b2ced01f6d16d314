"""Times at which a network is trained.

A time sampler takes (batch size, generator) and returns t (batch,); an interval sampler returns
(t, s) with t <= s, both (batch,).
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

TimeSampler = Callable[[int, Generator], Tensor]


def uniform(n: int, generator: Generator) -> Tensor:
    """t ~ U(0, 1)."""
    return torch.rand(n, generator=generator)


def logit_normal(mean: float, std: float) -> TimeSampler:
    """sigmoid(mean + std z) with z ~ N(0, 1) (arXiv:2403.03206, eq. 19)."""
    return lambda n, generator: torch.sigmoid(mean + std * torch.randn(n, generator=generator))


def mixture(first: TimeSampler, second: TimeSampler, share: float) -> TimeSampler:
    """`first`, but a random `share` of the rows from `second`."""

    def sample(n: int, generator: Generator) -> Tensor:
        other = torch.rand(n, generator=generator) < share
        return torch.where(other, second(n, generator), first(n, generator))

    return sample


def with_start(sampler: TimeSampler, share: float) -> TimeSampler:
    """`sampler`, but a random `share` of the rows stands at t = 0, where one Euler step begins."""
    return mixture(sampler, lambda n, generator: torch.zeros(n), share)


def intervals(
    sampler: TimeSampler, n: int, generator: Generator, share_start: float, share_end: float
) -> tuple[Tensor, Tensor]:
    """Two sorted draws (t, s); shares of the rows start at t = 0, and independently end at s = 1.

    Without these shares the one interval that one-step sampling uses, (0, 1), is practically never
    drawn.
    """
    a, b = sampler(n, generator), sampler(n, generator)
    t, s = torch.minimum(a, b), torch.maximum(a, b)
    t = torch.where(torch.rand(n, generator=generator) < share_start, 0.0, t)
    s = torch.where(torch.rand(n, generator=generator) < share_end, 1.0, s)
    return t, s


TIMES: dict[str, TimeSampler] = {
    "uniform": uniform,
    "logit-normal": logit_normal(0.0, 1.0),
    # The logit-normal hardly ever draws the ends, where the first and last steps of a solver stand.
    "logit-normal-uniform": mixture(logit_normal(0.0, 1.0), uniform, 0.2),
}
