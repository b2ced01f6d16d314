"""Training: it learns, goes on as if never stopped, and straightens."""

from pathlib import Path

import pytest
import torch

from flowdemo import checkpoints
from flowdemo.checkpoints import load
from flowdemo.core.couplings import Batch, drop_labels, independent, reflow_pairs
from flowdemo.core.noise import noise
from flowdemo.data import DATASETS, points_of
from flowdemo.evaluation.metrics import straightness, wasserstein_2
from flowdemo.nets import build_net
from flowdemo.nets.sizes import MLPConfig
from flowdemo.sampling.run import sample
from flowdemo.training import trainer
from flowdemo.training.batches import random_guidance
from flowdemo.training.recipe_files import read_recipe, recipe_names
from flowdemo.training.run import prepare, run_recipe
from flowdemo.training.teachers import take_over
from flowdemo.training.trainer import ema_decay
from tests.conftest import make_model
from tests.plans import recipe

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """The three methods trained on the moons, one after the other, and where they are."""
    root = tmp_path_factory.mktemp("family")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "TRAINED", root)
        for method in ("flow-matching", "reflow", "meanflow"):
            plan = recipe(method)
            for _ in run_recipe(plan, root / plan.name):
                pass
        yield {name: load(f"moons-{name}") for name in ("flow-matching", "reflow", "meanflow")}


def distance(model, steps, n=1000):
    real, labels = points_of("moons", n, seed=77)
    return wasserstein_2(sample(model, n, labels.tolist(), steps=steps).points, real)


def test_every_method_learns_the_data(family):
    """W2 of noise to the moons is about 1.7, of two real draws about 0.1."""
    real, _ = points_of("moons", 1000, seed=77)
    nothing = wasserstein_2(noise(0, 1000, (2,)), real)
    assert distance(family["flow-matching"], 50) < 0.2 * nothing
    assert distance(family["reflow"], 1) < 0.25 * nothing
    assert distance(family["meanflow"], 1) < 0.25 * nothing


def test_one_euler_step_of_flow_matching_is_poor_which_is_why_the_others_exist(family):
    assert distance(family["flow-matching"], 1) > 2 * distance(family["reflow"], 1)
    assert distance(family["flow-matching"], 1) > 2 * distance(family["meanflow"], 1)


def test_reflow_straightens(family):
    labels, x_0 = torch.arange(500) % 2, noise(1, 500, (2,))
    bent, straight = (
        straightness(lambda x, t, name=name: family[name].velocity(x, t, labels), x_0)
        for name in ("flow-matching", "reflow")
    )
    assert straight < bent / 10


@pytest.mark.parametrize("method", ["reflow", "meanflow"])
def test_the_weight_input_gives_the_teachers_guided_samples_in_one_step(family, method):
    labels = torch.arange(400) % 2
    guided = sample(family["flow-matching"], 400, labels.tolist(), 3.0, "rk4", 20).points
    plain = sample(family["flow-matching"], 400, labels.tolist(), 1.0, "rk4", 20).points
    one = sample(family[method], 400, labels.tolist(), 3.0, steps=1).points
    to_guided, to_plain = ((one - x).norm(dim=1).median() for x in (guided, plain))
    assert to_guided < 0.5 * to_plain


def test_the_average_starts_short_and_is_the_formula():
    assert ema_decay(0, 0.999) == 0.1 and ema_decay(10**6, 0.999) == 0.999
    decays = [ema_decay(n, 0.999) for n in range(0, 20_000, 100)]
    assert decays == sorted(decays)
    ema, net = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    expected = 0.9 * ema.weight + 0.1 * net.weight
    trainer.average(ema, net, 0.9)
    torch.testing.assert_close(ema.weight, expected)


def test_the_learning_rate_warms_up_and_ends_at_zero():
    plan = recipe(steps=100, warmup=10, learning_rate=1.0)
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    rates = []
    for step in range(101):
        trainer.set_learning_rate(optimizer, plan, step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1, abs=0.05)
    assert rates[50] == pytest.approx(0.5) and rates[100] == pytest.approx(0)


def test_labels_are_dropped_at_the_asked_rate_and_lose_their_weight():
    n = 20_000
    batch = Batch(torch.zeros(n, 2), torch.zeros(n, 2), torch.ones(n).long(), torch.full((n,), 3.0))
    dropped = drop_labels(batch, 0.2, 9, torch.Generator().manual_seed(0))
    gone = dropped.label == 9
    assert gone.float().mean() == pytest.approx(0.2, abs=0.01)
    assert (dropped.guidance[gone] == 1).all() and (dropped.guidance[~gone] == 3).all()


def test_random_weights_fill_the_range_and_a_share_is_one():
    w = random_guidance(
        recipe("reflow", share_unguided=0.4), 20_000, torch.Generator().manual_seed(0)
    )
    assert (w == 1).float().mean() == pytest.approx(0.4, abs=0.02)
    rest = w[w != 1]
    assert rest.min() >= 1 and rest.max() <= 3 and rest.mean() == pytest.approx(2, abs=0.03)


def test_an_independent_coupling_pairs_fresh_noise_with_rows_of_the_data():
    data, labels = torch.arange(10.0)[:, None].expand(10, 2), torch.arange(10)
    batch = independent(data, labels)(1000, torch.Generator().manual_seed(0))
    assert torch.equal(batch.x_1[:, 0].long(), batch.label)
    assert set(batch.label.tolist()) == set(range(10))
    correlation = torch.corrcoef(torch.stack([batch.x_0[:, 0], batch.x_1[:, 0]]))[0, 1]
    assert abs(correlation) < 0.1


def test_reflow_keeps_each_pair_together():
    rows = torch.arange(50.0)
    pairs = Batch(rows[:, None], 10 * rows[:, None], rows.long(), 1 + rows)
    batch = reflow_pairs(pairs)(200, torch.Generator().manual_seed(0))
    assert torch.equal(batch.x_1, 10 * batch.x_0) and len(set(batch.label.tolist())) > 30
    assert torch.equal(batch.guidance - 1, batch.x_0[:, 0])


def test_a_student_starts_as_its_teacher():
    teacher = make_model(method="flow-matching")
    plan = recipe("meanflow", net=MLPConfig(width=16, depth=2, end_time=True, guidance=True))
    state = prepare(plan, teacher, torch.device("cpu"))
    x, t, label = noise(0, 5, (2,)), torch.rand(5), torch.zeros(5, dtype=torch.long)
    student = state.net(x, t, torch.ones(5), label, torch.full((5,), 2.0))
    torch.testing.assert_close(student, teacher.net(x, t, None, label))
    for other in ({"depth": 3}, {"max_frequency": 20.0}):
        net = plan.net.model_copy(update=other)
        with pytest.raises(ValueError, match="does not fit moons-flow-matching, its start"):
            prepare(plan.model_copy(update={"net": net}), teacher, torch.device("cpu"))


def test_a_start_with_other_heads_is_refused_though_its_weights_have_the_same_shapes():
    sizes = make_model("mnist").config.net
    for change, fits in (({"heads": 2}, False), ({"dropout": 0.1}, True)):
        net = sizes.model_copy(update=change)
        a, b = (build_net(one, (1, 28, 28), 10) for one in (net, sizes))
        assert {k: v.shape for k, v in a.state_dict().items()} == {
            k: v.shape for k, v in b.state_dict().items()
        }
        assert take_over(a, b, net, sizes) == fits


@pytest.mark.parametrize("name", recipe_names())
def test_every_bundled_recipe_is_valid_and_named_like_its_file(name):
    plan = read_recipe(name)
    assert plan.name == name and plan.data in DATASETS
    assert plan.teacher is None or plan.teacher in recipe_names()


def test_a_recipe_can_be_changed_by_key_and_value():
    plan = read_recipe("moons-meanflow", ["steps=7", "meanflow.power=0.5", "name=other"])
    assert (plan.steps, plan.meanflow.power, plan.name) == (7, 0.5, "other")
    for change, message in {
        "steps=-1": "steps",
        "colour=red": "colour",
        "steps": "key=value",
        "pairs.count=10": "nothing else, needs 'pairs'",  # a group that the file has not
        "name.first=x": "'name' in 'name.first=x' is no group of settings",
    }.items():
        with pytest.raises(ValueError, match=message):
            read_recipe("moons-meanflow", [change])
    with pytest.raises(ValueError, match="no recipe 'x'; there are"):
        read_recipe("x")
