"""The densities of times, and how often the interval of one-step sampling is drawn."""

import math

import pytest
import torch

from flowdemo.times import (
    ENDS,
    INTERVALS,
    TIMES,
    after,
    cifar_paper,
    cifar_separate,
    discrete,
    intervals,
    logit_normal,
    mixture,
    mode,
    u_shaped,
    uniform,
)

N = 200_000


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def refuses(n, generator):
    """A sampler that must not be asked."""
    raise AssertionError


def distribution(sampler, points):
    """The share of draws below each point."""
    t = sampler(N, rng()).sort().values
    return torch.searchsorted(t, points) / N


def integral(density, points):
    """That share from a density known up to a factor, by the trapezoidal rule."""
    grid = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    whole = torch.cumulative_trapezoid(density(grid), grid)
    whole = torch.cat([torch.zeros(1, dtype=torch.float64), whole / whole[-1]])
    return whole[(points.double() * 100_000).round().long()].float()


POINTS = torch.linspace(0.02, 0.98, 25)


def normal_of_logit(mean, std):
    """The logit-normal density (arXiv:2403.03206, eq. 19)."""

    def density(t):
        t = t.clamp(1e-9, 1 - 1e-9)
        z = (torch.logit(t) - mean) / std
        return torch.exp(-0.5 * z**2) / (t * (1 - t))

    return density


@pytest.mark.parametrize("a", [1.0, 4.0, 10.0])
def test_the_u_shaped_density_is_the_sum_of_two_exponentials(a):
    def density(t):
        return torch.exp(a * t) + torch.exp(a * (1 - t))

    torch.testing.assert_close(
        distribution(u_shaped(a), POINTS), integral(density, POINTS), atol=4e-3, rtol=0
    )


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-1.0, 0.5), (2.0, 2.0)])
def test_the_logit_normal_density_is_that_of_the_paper(mean, std):
    torch.testing.assert_close(
        distribution(logit_normal(mean, std), POINTS),
        integral(normal_of_logit(mean, std), POINTS), atol=4e-3, rtol=0,
    )  # fmt: skip


@pytest.mark.parametrize("scale", [0.0, 0.81, 1.29])
def test_the_mode_density_is_the_derivative_of_its_inverse(scale):
    """t = f(u) falls from 1 to 0 with u, so its density at f(u) is 1 / |f'(u)|."""
    u = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    f = 1 - u - scale * (torch.cos(math.pi / 2 * u) ** 2 - 1 + u)
    slope = -1 - scale * (1 - math.pi / 2 * torch.sin(math.pi * u))
    assert (slope < 0).all()  # it is a density at all: f is monotone

    def density(t):  # at the u whose f is nearest below
        row = (len(u) - 1 - torch.searchsorted(f.flip(0), t)).clamp(0, len(u) - 1)
        return -1 / slope[row]

    torch.testing.assert_close(
        distribution(mode(scale), POINTS), integral(density, POINTS), atol=4e-3, rtol=0
    )


@pytest.mark.parametrize("k", [1, 3, 8])
def test_discrete_times_are_exactly_where_euler_steps_begin(k):
    t = discrete(k)(N, rng())
    wanted = [torch.tensor(i).div(k).item() for i in range(k)]
    assert sorted(set(t.tolist())) == wanted
    for value in wanted:
        assert (t == value).float().mean().item() == pytest.approx(1 / k, abs=5e-3)


def test_after_begins_at_eps_and_reaches_the_end():
    t = after(0.1, uniform)(N, rng())
    assert t.min() >= 0.1 and t.max() <= 1
    assert t.mean().item() == pytest.approx(0.55, abs=2e-3)
    torch.testing.assert_close(t, 0.1 + 0.9 * uniform(N, rng()))
    assert set(after(0.25, discrete(2))(100, rng()).tolist()) == {0.25, 0.625}
    assert set(after(0.25, ENDS["t0"])(9, rng()).tolist()) == {0.25}
    assert set(after(0.25, ENDS["t1"])(9, rng()).tolist()) == {1.0}


def test_a_mixture_draws_each_row_from_one_of_the_two():
    t = mixture(lambda n, g: torch.zeros(n), lambda n, g: torch.ones(n), 0.2)(N, rng())
    assert set(t.tolist()) == {0.0, 1.0} and t.mean().item() == pytest.approx(0.2, abs=3e-3)
    low = (TIMES["logit-normal-uniform"](N, rng()) < 0.01).float().mean()
    assert low.item() == pytest.approx(0.2 * 0.01, rel=0.2)  # of the logit-normal alone: 2e-6


def test_the_papers_cifar_times_are_two_sorted_draws():
    """t of the smaller, s of the larger: P(larger < x) = F(x)^2, P(smaller > x) = (1 - F(x))^2."""
    t, s = cifar_paper(refuses, N, rng())
    assert (t <= s).all() and not torch.equal(t, s)
    f = integral(normal_of_logit(2, 2), POINTS)
    torch.testing.assert_close(distribution(lambda n, g: s, POINTS), f**2, atol=4e-3, rtol=0)
    torch.testing.assert_close(
        1 - distribution(lambda n, g: t, POINTS), (1 - f) ** 2, atol=4e-3, rtol=0
    )


def test_the_separate_cifar_times_have_medians_of_their_own():
    t, s = cifar_separate(refuses, N, rng())
    assert (t <= s).all()
    assert t.median().item() == pytest.approx(1 / (1 + math.exp(-0.6)), abs=5e-3)
    assert s.median().item() == pytest.approx(1 / (1 + math.exp(-4.0)), abs=5e-3)
    # s is t where its own draw lies before: P(N(4, 1.6) < N(0.6, 1.6)) = Phi(-3.4 / (1.6 sqrt 2))
    rate = 0.5 * math.erfc(3.4 / (1.6 * math.sqrt(2)) / math.sqrt(2))
    assert (t == s).float().mean().item() == pytest.approx(rate, abs=4e-3)


@pytest.mark.parametrize(("name", "rate"), [("cifar-paper", 3.2e-3), ("cifar-separate", 7.5e-3)])
def test_one_long_step_is_drawn_as_often_as_by_the_authors(name, rate):
    """P(t < 0.05, s > 0.95) per sample where 75 % of the rows are intervals."""
    draws = [INTERVALS[name](refuses, N, rng(i)) for i in range(4)]
    corner = torch.cat([(t < 0.05) & (s > 0.95) for t, s in draws]).double().mean().item()
    assert 0.75 * corner == pytest.approx(rate, rel=0.06)
    t, s = INTERVALS["sorted"](
        logit_normal(0.4, 1.0), N, rng()
    )  # that of ImageNet: practically never
    assert ((t < 0.05) & (s > 0.95)).double().mean() < 1e-4


@pytest.mark.parametrize("name", INTERVALS)
def test_the_shares_of_starts_and_ends_are_independent(name):
    t, s = intervals(INTERVALS[name], uniform, N, rng(), share_start=0.5, share_end=0.25)
    zero, one = t == 0, s == 1
    assert (t <= s).all() and zero.float().mean().item() == pytest.approx(0.5, abs=5e-3)
    assert one[zero].float().mean().item() == pytest.approx(
        one[~zero].float().mean().item(), abs=8e-3
    )
