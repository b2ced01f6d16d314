"""The best weights so far: compared where nothing but the weights differs."""

from dataclasses import replace

import pytest
import torch

from flowdemo.core.noise import generator
from flowdemo.methods.losses import Terms
from flowdemo.training import best as keeping
from flowdemo.training import finetune as tuning
from flowdemo.training.best import best_of
from flowdemo.training.rehearsal import TuningLoss
from tests.test_finetune import TUNED, loss_for, model, tuned


class Weight:
    """An objective that is the network's only weight."""

    def timed(self, batch, generator):
        return batch

    def __call__(self, net, batch):
        value = net.weight.detach().flatten()
        return Terms(value, value)


class Rows:
    """A batch that is nothing."""

    def to(self, device):
        return self


def after(step, weight):
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, weight)
    return type("State", (), {"step": step, "ema": net, "device": torch.device("cpu")})()


def test_the_least_is_kept_and_of_equals_the_later():
    best = best_of(Weight(), lambda g: Rows(), 0)
    for step, weight in ((10, 3.0), (20, 1.0), (30, 2.0), (40, 1.0), (50, float("nan"))):
        best.look(after(step, weight))
    assert (best.step, best.objective, best.weights["weight"].item()) == (40, 1, 1)


def test_what_is_kept_does_not_go_on_learning():
    best, state = best_of(Weight(), lambda g: Rows(), 0), after(10, 1.0)
    best.look(state)
    torch.nn.init.constant_(state.ema.weight, 5.0)
    assert best.weights["weight"].item() == 1


def test_something_is_kept_even_where_no_objective_is_finite_until_one_is():
    best = best_of(Weight(), lambda g: Rows(), 0)
    best.look(after(10, float("nan")))
    assert best.step == 10 and best.weights
    best.look(after(20, 7.0))
    best.look(after(30, float("nan")))
    assert (best.step, best.objective) == (20, 7)


@pytest.mark.parametrize("method", TUNED)
def test_two_looks_at_the_same_weights_find_the_same(method):
    """Rows, noise, times and variations are drawn once: even the last bit is that of before."""
    origin = model(method)
    config = tuning.tuned_config(
        tuning.FineTuning("mine", 9), origin, torch.rand(6, 1, 28, 28), ["star"] * 6
    )
    state = tuning.tuning_state(tuning.FineTuning("mine", 9), origin, config, torch.full((6,), 10))
    loss = TuningLoss(
        origin, loss_for(config), torch.rand(6, 1, 28, 28), torch.full((6,), 10),
        torch.randn(20, 1, 28, 28), torch.arange(20) % 10, 11, 16,
    )  # fmt: skip
    best = best_of(loss, loss.draw, 0)
    found = []
    for step in (10, 20):
        state.step = step
        best.look(state)
        found.append(best.objective)
    assert found[0] == found[1] > 0 and best.step == 20
    g = generator(0)
    assert torch.equal(loss.timed(loss.draw(g), g).t, best.batch.t)


def test_a_run_that_gets_worse_ends_with_its_best(monkeypatch):
    """The objective at the fixed batch grows from the second look on; the weights are of the first."""
    call, looks = TuningLoss.__call__, []

    def worse(self, net, batch):
        terms = call(self, net, batch)
        if torch.is_grad_enabled():
            return terms
        looks.append(len(looks))
        return replace(terms, loss=terms.loss * 0 + looks[-1])

    monkeypatch.setattr(keeping, "LOOK", 2)
    monkeypatch.setattr(tuning, "LOOK", 2)
    monkeypatch.setattr(TuningLoss, "__call__", worse)
    whole = tuned(model(), steps=6)
    assert looks == [0, 1, 2] and (whole.step, whole.model.revision) == (2, "step 2")
    monkeypatch.setattr(TuningLoss, "__call__", call)
    stopped = iter([True, False])
    *_, two = tuning.finetune(
        tuning.FineTuning("mine", steps=6), model(), torch.rand(6, 1, 28, 28, generator=generator(1)),
        ["star"] * 6, wanted=lambda: next(stopped),
    )  # fmt: skip
    weights = (made.model.net.state_dict() for made in (whole, two))
    assert all(torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))
