"""Training times: their densities, intervals, and times drawn by the loss seen there."""

import math

import pytest
import torch

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch
from flowdemo.core.paths import linear
from flowdemo.core.resampling import LossSecondMoment
from flowdemo.core.times import (
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
    with_start,
)
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.training.run import prepare, run_recipe
from flowdemo.training.state_file import load_state, save_state

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


def logit_normal_density(mean, std):
    """The logit-normal density (arXiv:2403.03206, eq. 19)."""

    def density(t):
        t = t.clamp(1e-9, 1 - 1e-9)
        z = (torch.logit(t) - mean) / std
        return torch.exp(-0.5 * z**2) / (t * (1 - t))

    return density


def mode_density(scale):
    """t = f(u) falls from 1 to 0 with u, so its density at f(u) is 1 / |f'(u)|."""
    u = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    f = 1 - u - scale * (torch.cos(math.pi / 2 * u) ** 2 - 1 + u)
    slope = -1 - scale * (1 - math.pi / 2 * torch.sin(math.pi * u))
    assert (slope < 0).all()  # f is monotone

    def density(t):  # at the u whose f is nearest below
        row = (len(u) - 1 - torch.searchsorted(f.flip(0), t)).clamp(0, len(u) - 1)
        return -1 / slope[row]

    return density


DENSITIES = {  # u-shaped: the sum of two exponentials
    f"u-shaped {a}": (u_shaped(a), lambda t, a=a: torch.exp(a * t) + torch.exp(a * (1 - t)))
    for a in (1.0, 4.0, 10.0)
}
DENSITIES |= {
    f"logit-normal {m} {s}": (logit_normal(m, s), logit_normal_density(m, s))
    for m, s in ((0.0, 1.0), (-1.0, 0.5), (2.0, 2.0))
}
DENSITIES |= {f"mode {s}": (mode(s), mode_density(s)) for s in (0.0, 0.81, 1.29)}


@pytest.mark.parametrize("name", DENSITIES)
def test_times_have_the_density_of_their_formula(name):
    sampler, density = DENSITIES[name]
    expected = integral(density, POINTS)
    torch.testing.assert_close(distribution(sampler, POINTS), expected, atol=4e-3, rtol=0)


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
    start = (with_start(uniform, 0.25)(N, rng()) == 0).float().mean()
    assert start.item() == pytest.approx(0.25, abs=5e-3)
    low = (TIMES["logit-normal-uniform"](N, rng()) < 0.01).float().mean()
    assert low.item() == pytest.approx(0.2 * 0.01, rel=0.2)  # of the logit-normal alone: 2e-6


def test_the_papers_cifar_times_are_two_sorted_draws():
    """t of the smaller, s of the larger: P(larger < x) = F(x)^2, P(smaller > x) = (1 - F(x))^2."""
    t, s = cifar_paper(refuses, N, rng())
    assert (t <= s).all() and not torch.equal(t, s)
    f = integral(logit_normal_density(2, 2), POINTS)
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
    if name == "sorted":  # others draw s = 1 themselves, up to rounding
        assert one.float().mean().item() == pytest.approx(0.25, abs=5e-3)
    assert one[zero].float().mean().item() == pytest.approx(
        one[~zero].float().mean().item(), abs=8e-3
    )


def filled(errors, **options) -> LossSecondMoment:
    """A sampler whose bin i has seen the errors of row i, in this order."""
    errors = torch.tensor(errors)
    bins, history = errors.shape
    sampler = LossSecondMoment(bins, history, **options)
    middle = (torch.arange(bins) + 0.5) / bins
    for column in errors.T:
        sampler.update(middle, column)
    return sampler


def test_a_bin_is_drawn_by_the_root_mean_square_of_its_errors():
    """sqrt((9 + 16 + 0) / 3), sqrt((1 + 1 + 1) / 3) and nothing, a tenth of it uniform."""
    sampler = filled([[3.0, 4.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], uniform=0.1)
    a, b = (25 / 3) ** 0.5, 1.0
    p = [0.9 * a / (a + b) + 0.1 / 3, 0.9 * b / (a + b) + 0.1 / 3, 0.1 / 3]
    torch.testing.assert_close(sampler.probabilities(), torch.tensor(p, dtype=torch.float64))
    t = sampler(100_000, rng())
    assert t.dtype == torch.float32 and t.min() >= 0 and t.max() <= 1
    for row, share in enumerate(p):
        inside = (t >= row / 3) & (t < (row + 1) / 3)
        assert inside.float().mean().item() == pytest.approx(share, abs=5e-3)
        assert (3 * t[inside] - row).mean().item() == pytest.approx(0.5, abs=0.02)
    torch.testing.assert_close(sampler.weights(torch.tensor([0.1, 0.5, 1.0])),
                               torch.tensor([1 / (3 * q) for q in p]))  # fmt: skip


def test_all_bins_are_equal_until_each_is_full():
    sampler = LossSecondMoment(bins=4, history=3)
    for _ in range(3):
        sampler.update(torch.tensor([0.1, 0.3, 0.6]), torch.tensor([9.0, 1.0, 1.0]))
    sampler.update(torch.tensor([0.9, 0.99]), torch.tensor([1.0, 1.0]))
    quarters = torch.full((4,), 0.25, dtype=torch.float64)
    assert torch.equal(sampler.probabilities(), quarters)  # the last has two of three
    sampler.update(torch.tensor([1.0]), torch.tensor([1.0]))
    assert sampler.probabilities()[0] > 0.7
    torch.testing.assert_close(filled([[0.0], [0.0]]).probabilities(),
                               torch.tensor([0.5, 0.5], dtype=torch.float64))  # fmt: skip


def test_a_new_error_pushes_out_the_oldest():
    sampler = filled([[1.0, 2.0, 3.0]])
    sampler.update(torch.tensor([0.5, 0.5, 0.5, 0.5]), torch.tensor([4.0, 5.0, 6.0, 7.0]))
    assert sorted(sampler.errors[0].tolist()) == [5, 6, 7] and sampler.counts.tolist() == [7]


def steep(t):
    """A loss that is much larger at one end."""
    return 0.05 + 4 * t**3


def test_the_weighted_loss_has_the_mean_over_uniform_times():
    """E[weight] = 1, and E[weight f(t)] is the integral of f: 0.05 + 1."""
    sampler = LossSecondMoment(bins=10, history=5)
    middle = (torch.arange(10) + 0.5) / 10
    for _ in range(5):
        sampler.update(middle, steep(middle))
    t = sampler(400_000, rng())
    weight, f = sampler.weights(t), steep(t)
    assert weight.mean().item() == pytest.approx(1, abs=0.02)
    assert (weight * f).mean().item() == pytest.approx(1.05, abs=0.01)
    assert f.mean() > 2  # without weights it would not be
    even = steep(torch.rand(400_000, generator=rng()))
    assert (weight * f).std() < 0.4 * even.std()  # which is what it is for


class Zero(torch.nn.Module):
    def forward(self, x, t, s=None, label=None, guidance=None):
        return 0 * x


def test_weights_multiply_the_loss_and_not_the_error():
    sampler = filled([[1.0], [3.0]])
    x_0, x_1 = (torch.randn(8, 2, generator=rng(i)) for i in range(2))
    loss = FlowMatching(linear(), sampler)
    batch = loss.timed(Batch(x_0, x_1, torch.zeros(8).long()), rng())
    terms = loss(Zero(), batch)
    raw = (x_1 - x_0).square().mean(1)
    torch.testing.assert_close(terms.error, raw)
    torch.testing.assert_close(terms.loss, sampler.weights(batch.t) * raw)
    assert len(set(batch.weight.tolist())) == 2
    plain = FlowMatching(linear(), lambda n, g: torch.rand(n, generator=g))
    assert plain.timed(batch, rng()).weight is None


def recipe(**changes):
    base = {"name": "x", "method": "flow-matching", "data": "moons", "steps": 40, "batch_size": 64}
    net = {"kind": "mlp", "width": 16, "depth": 1}
    return Recipe(**(base | {"net": net, "times": "loss-second-moment"} | changes))


def test_training_records_raw_errors_at_their_times(tmp_path):
    """Adaptive and importance weights change the loss, not the recorded errors."""
    seen = LossSecondMoment()
    for progress in run_recipe(recipe(power=0.75), tmp_path / "x"):
        seen.update(progress.t, progress.errors)
    times = progress.state.times
    assert torch.equal(seen.errors, times.errors) and torch.equal(seen.counts, times.counts)
    assert progress.step == 40 and (times.counts >= 10).all()
    assert abs(progress.loss - progress.error) > 0.1  # here they do differ
    assert times.probabilities().std() > 0


def test_its_memory_is_saved_with_the_state(tmp_path):
    first = prepare(recipe(), None, torch.device("cpu"))
    first.times.update(torch.rand(500, generator=rng()), torch.rand(500, generator=rng(1)))
    save_state(first, tmp_path)
    again = prepare(recipe(), None, torch.device("cpu"))
    assert load_state(again, tmp_path)
    assert torch.equal(again.times.errors, first.times.errors)
    assert torch.equal(again.times(9, rng()), first.times(9, rng()))
    again.times.update(torch.tensor([0.5]), torch.tensor([2.0]))  # it goes on
    assert again.times.counts.sum() == first.times.counts.sum() + 1
