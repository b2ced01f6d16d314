"""Times at which a network is trained.

A time sampler takes (batch size, generator) and returns t (batch,); an interval sampler returns
(t, s) with t <= s, both (batch,).
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

TimeSampler = Callable[[int, Generator], Tensor]
IntervalSampler = Callable[[TimeSampler, int, Generator], tuple[Tensor, Tensor]]


def uniform(n: int, generator: Generator) -> Tensor:
    """t ~ U(0, 1)."""
    return torch.rand(n, generator=generator)


def logit_normal(mean: float = 0.0, std: float = 1.0) -> TimeSampler:
    """sigmoid(mean + std z), z ~ N(0, 1) (arXiv:2403.03206, eq. 19); a mean > 0 is nearer to data."""
    return lambda n, generator: torch.sigmoid(mean + std * torch.randn(n, generator=generator))


def mode(scale: float = 1.29) -> TimeSampler:
    """1 - u - scale (cos^2(pi u / 2) - 1 + u), u ~ U(0, 1): more in the middle (2403.03206, eq. 20)."""

    def sample(n: int, generator: Generator) -> Tensor:
        u = torch.rand(n, generator=generator)
        return 1 - u - scale * (torch.cos(math.pi / 2 * u) ** 2 - 1 + u)

    return sample


def u_shaped(a: float = 4.0) -> TimeSampler:
    """p(t) ~ exp(a t) + exp(a (1 - t)): more at both ends, where reflow errs (after arXiv:2405.20320).

    Drawn by the inverse of its distribution function, 1/2 + sinh(a (t - 1/2)) / (2 sinh(a / 2)).
    """

    def sample(n: int, generator: Generator) -> Tensor:
        u = torch.rand(n, generator=generator)
        return 0.5 + torch.asinh((2 * u - 1) * math.sinh(a / 2)) / a

    return sample


def discrete(k: int) -> TimeSampler:
    """t = i / k, i = 0 ... k - 1: where k Euler steps begin (arXiv:2209.03003, section 2.2)."""
    return lambda n, generator: torch.randint(k, (n,), generator=generator) / k


def always(t: float) -> TimeSampler:
    """The same time in every row."""
    return lambda n, generator: torch.full((n,), t)


def after(eps: float, sampler: TimeSampler) -> TimeSampler:
    """eps + (1 - eps) t: nothing is trained before eps, where sampling then begins too."""
    return lambda n, generator: eps + (1 - eps) * sampler(n, generator)


def mixture(first: TimeSampler, second: TimeSampler, share: float) -> TimeSampler:
    """`first`, but a random `share` of the rows from `second`."""

    def sample(n: int, generator: Generator) -> Tensor:
        other = torch.rand(n, generator=generator) < share
        return torch.where(other, second(n, generator), first(n, generator))

    return sample


def with_start(sampler: TimeSampler, share: float) -> TimeSampler:
    """`sampler`, but a random `share` of the rows stands at t = 0, where one Euler step begins."""
    return mixture(sampler, always(0.0), share)


def sorted_draws(sampler: TimeSampler, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two draws of the sampler in order (arXiv:2505.13447)."""
    a, b = sampler(n, generator), sampler(n, generator)
    return torch.minimum(a, b), torch.maximum(a, b)


def cifar_paper(sampler: TimeSampler, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two sorted logit-normal draws of mean 2 and deviation 2: for CIFAR-10 in arXiv:2505.13447.

    There t = 1 is noise and the mean -2; `sampler` is not asked.
    """
    return sorted_draws(logit_normal(2.0, 2.0), n, generator)


def cifar_separate(sampler: TimeSampler, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """t logit-normal (0.6, 1.6), s logit-normal (4, 1.6), at least t: one long step is drawn often.

    The default of the authors' CIFAR-10 code (py-meanflow), whose means are -0.6 and -4 since its
    t = 1 is noise; `sampler` is not asked.
    """
    t, s = logit_normal(0.6, 1.6)(n, generator), logit_normal(4.0, 1.6)(n, generator)
    return t, torch.maximum(t, s)


def intervals(
    draw: IntervalSampler,
    sampler: TimeSampler,
    n: int,
    generator: Generator,
    share_start: float = 0.0,
    share_end: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """(t, s) of `draw`; shares of the rows start at t = 0, and independently end at s = 1.

    Without these shares the one interval that one-step sampling uses, (0, 1), is practically never
    drawn.
    """
    t, s = draw(sampler, n, generator)
    t = torch.where(torch.rand(n, generator=generator) < share_start, 0.0, t)
    s = torch.where(torch.rand(n, generator=generator) < share_end, 1.0, s)
    return t, s


TIMES: dict[str, TimeSampler] = {
    "uniform": uniform,
    "logit-normal": logit_normal(),
    # The logit-normal hardly ever draws the ends, where the first and last steps of a solver stand.
    "logit-normal-uniform": mixture(logit_normal(), uniform, 0.2),
    "mode": mode(),
    "u-shaped": u_shaped(),
}
# A network that was trained at one of these times alone can be asked there alone.
ENDS: dict[str, TimeSampler] = {"t0": always(0.0), "t1": always(1.0)}
INTERVALS: dict[str, IntervalSampler] = {
    "sorted": sorted_draws,
    "cifar-paper": cifar_paper,
    "cifar-separate": cifar_separate,
}
