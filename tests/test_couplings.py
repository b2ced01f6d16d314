"""Mini-batch optimal transport within each class, and the adaptive weight of the loss."""

import itertools
from copy import deepcopy

import pytest
import torch
from torch import nn

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import COUPLINGS, Batch, independent, optimal_transport
from flowdemo.core.paths import cosine
from flowdemo.core.times import uniform
from flowdemo.methods import METHODS
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.methods.losses import adaptive, squared_error
from flowdemo.methods.meanflow import MeanFlowOptions
from flowdemo.training.run import run_recipe


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def given(labels, shape=(2,), seed=0):
    """A coupling that always draws the same batch, with these labels, and that batch."""
    labels, g = torch.tensor(labels), rng(seed)
    x_0, x_1 = (torch.randn(len(labels), *shape, generator=g) for _ in range(2))
    batch = Batch(x_0, 2 * x_1 + labels.reshape(-1, *[1] * len(shape)), labels)
    return (lambda n, generator: batch), batch


def cost(batch, rows=slice(None)):
    return (batch.x_1[rows] - batch.x_0[rows]).square().sum().item()


def assigned(labels, **options):
    coupling, before = given(labels, **options)
    return before, optimal_transport(coupling)(len(labels), rng())


@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_within_each_class_no_permutation_of_the_noise_costs_less(shape, seed):
    labels = [0, 2, 0, 2, 2, 0, 2, 0, 2, 5]
    before, after = assigned(labels, shape=shape, seed=seed)
    for label in (0, 2, 5):
        rows = (before.label == label).nonzero()[:, 0]
        best = min(
            (before.x_1[rows] - before.x_0[list(order)]).square().sum().item()
            for order in itertools.permutations(rows.tolist())
        )
        assert cost(after, rows) == pytest.approx(best, rel=1e-5)


def test_data_labels_and_weights_stay_and_noise_never_leaves_its_class():
    _, before = given([k % 3 for k in range(30)])
    weighed = Batch(before.x_0, before.x_1, before.label, torch.rand(30, generator=rng(9)))
    copy = deepcopy(weighed)
    after = optimal_transport(lambda n, generator: weighed)(30, rng())
    assert torch.equal(after.x_1, copy.x_1) and torch.equal(after.label, copy.label)
    assert torch.equal(after.guidance, copy.guidance)
    for label in range(3):
        mine = after.label == label
        rows = {tuple(x.tolist()) for x in after.x_0[mine]}
        assert rows == {tuple(x.tolist()) for x in copy.x_0[mine]}
    assert torch.equal(weighed.x_0, copy.x_0)  # a coupling may keep its batch


def test_the_noise_is_fresh_and_the_draws_go_by_the_generator():
    data = torch.arange(20.0).reshape(10, 2)
    coupling = optimal_transport(independent(data, torch.zeros(10).long()))
    one, again, other = (coupling(16, rng(seed)) for seed in (1, 1, 2))
    assert one.x_0.shape == (16, 2) and torch.equal(one.x_0, again.x_0)
    assert not torch.equal(one.x_0, other.x_0)
    assert {tuple(x) for x in one.x_1.tolist()} <= {tuple(x) for x in data.tolist()}


def recipe(**changes):
    base = {"name": "x", "method": "flow-matching", "data": "moons", "steps": 1}
    return Recipe(**(base | {"net": {"kind": "mlp"}} | changes))


def test_training_goes_by_the_recipes_coupling(tmp_path):
    """Two steps from equal weights with equal draws; only the pairing differs."""
    trained = {}
    for coupling in COUPLINGS:
        plan = recipe(coupling=coupling, steps=2, batch_size=64)
        *_, last = run_recipe(plan, tmp_path / coupling)
        trained[coupling] = last.state.net.out.weight.detach().clone()
    assert not torch.equal(trained["ot"], trained["independent"])


class Zero(nn.Module):
    def forward(self, x, t, s=None, label=None, guidance=None):
        return 0 * x


@pytest.mark.parametrize("power", [0.0, 0.75, 2.0])
def test_the_power_weighs_flow_matching_as_the_adaptive_weight(power):
    """A network that answers 0 has the error |u_t|^2; each sample's, not the batch's, is weighed."""
    _, batch = given([0] * 12)
    t = torch.linspace(0, 1, 12)
    error = squared_error(cosine().sample(batch.x_0, batch.x_1, t)[1])
    method = FlowMatching(cosine(), lambda n, generator: t, power)
    loss = method(Zero(), method.timed(batch, rng())).loss
    torch.testing.assert_close(loss, error / (error + 1e-3) ** power)
    torch.testing.assert_close(loss, adaptive(error, power, MeanFlowOptions().c))


@pytest.mark.parametrize("method", ["flow-matching", "reflow"])
def test_the_power_of_a_recipe_reaches_its_loss(method):
    pairs = {"pairs": {"count": 1}, "teacher": "moons-flow-matching"}
    plan = recipe(method=method, power=0.5, **(pairs if method == "reflow" else {}))
    assert METHODS[method].loss(plan, uniform).power == 0.5
