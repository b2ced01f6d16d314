"""Times drawn where the loss is large: by which probability, and without a bias."""

import pytest
import torch

from flowdemo.couplings import Batch
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.paths import linear
from flowdemo.recipe import Recipe
from flowdemo.resampling import RESAMPLERS, LossSecondMoment, Resampler
from flowdemo.times import uniform
from flowdemo.training.resume import load_state, save_state
from flowdemo.training.run import prepare, run_recipe


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


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


def test_bins_without_any_error_are_equal():
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


def test_training_remembers_raw_errors_at_their_times(tmp_path):
    """Adaptive weights and importance weights change the loss, not what is remembered."""
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


class Counting:
    """Another sampler that learns: it remembers how many errors it was told of."""

    def __init__(self):
        self.told = torch.zeros(1)

    def __call__(self, n, generator):
        return torch.rand(n, generator=generator)

    def weights(self, t):
        return torch.zeros_like(t)

    def update(self, t, errors):
        self.told += len(errors)

    def state_dict(self):
        return {"told": self.told}

    def load_state_dict(self, tensors):
        self.told = tensors["told"]


def test_a_second_sampler_that_learns_needs_no_more_than_its_entry(monkeypatch, tmp_path):
    monkeypatch.setitem(RESAMPLERS, "counting", Counting)
    assert all(isinstance(make(), Resampler) for make in RESAMPLERS.values())
    assert not isinstance(uniform, Resampler)
    plan = recipe(steps=3).model_copy(update={"times": "counting"})
    *_, last = run_recipe(plan, tmp_path / "x")
    assert last.state.times.told == 3 * plan.batch_size and last.loss == 0 < last.error
    again = prepare(plan, None, torch.device("cpu"))
    assert load_state(again, tmp_path / "x" / "training")
    assert again.times.told == 3 * plan.batch_size
