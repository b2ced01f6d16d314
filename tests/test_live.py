"""Live training: a plan becomes a recipe, snapshots stand still, and small runs learn."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from flowdemo import load
from flowdemo.core.noise import noise
from flowdemo.data import OWN
from flowdemo.evaluation.fields import Source, distance, floor
from flowdemo.evaluation.metrics import straightness
from flowdemo.sampling.run import sample
from flowdemo.training import live, trainer
from flowdemo.training.live import LOSSES, MAX_STEPS, LabTraining, Snapshot, live_recipe, train_live
from flowdemo.training.run import PairsProgress
from flowdemo.training.trainer import Progress
from tests.conftest import make_model

DATA = "two-gaussians"
TWO = Source(DATA)
NEVER = 1e9  # seconds between snapshots: only the last one


def records(plan, teacher=None, every=NEVER, source=TWO):
    """All that a run yields, with a quarter of the usual pairs."""
    recipe = live_recipe(plan, "lab-test", teacher)
    if recipe.pairs:
        few = recipe.pairs.model_copy(update={"count": 2000})
        recipe = recipe.model_copy(update={"pairs": few})
    return list(train_live(recipe, source.coupling(), teacher, every))


def model_of(plan, teacher=None, source=TWO):
    return records(plan, teacher, source=source)[-1].model


@pytest.fixture(scope="module")
def flow():
    return model_of(LabTraining(DATA, steps=300))


def weights(model):
    return torch.cat([p.flatten() for p in model.net.parameters()])


def w2(model, steps=20):
    return distance(TWO, sample(model, 400, "all", steps=steps))


def bend(model):
    """The straightness of the class-conditional flow."""
    labels = torch.arange(400) % 2
    return straightness(lambda x, t: model.velocity(x, t, labels), noise(1, 400, (2,)))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (LabTraining(DATA, steps=0), r"steps must lie in \[1, 20000\], not 0"),
        (LabTraining(DATA, steps=MAX_STEPS + 1), "not 20001"),
        (LabTraining(DATA, loss="huber"), "no loss 'huber'; there are: squared, adaptive"),
        (LabTraining(DATA, "reflow"), "train flow matching first"),
        (LabTraining(DATA, coupling="none"), "no coupling 'none'; there are: independent, ot"),
        (LabTraining(DATA, path="bent"), "no path 'bent'; there are: linear, cosine"),
        (LabTraining(DATA, times="late"), "no times 'late'; there are: uniform"),
        (LabTraining("none"), "no data set 'none'"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_words(plan, message):
    with pytest.raises(ValueError, match=message):
        live_recipe(plan, "lab-test")


def test_a_teacher_must_make_the_same_data():
    plan, teacher = LabTraining("moons", "reflow", steps=1), make_model(DATA)
    with pytest.raises(ValueError, match=f"makes {DATA}, not moons"):
        next(train_live(live_recipe(plan, "lab-test", teacher), TWO.coupling(), teacher))


def test_a_wish_reaches_its_recipe():
    plan = LabTraining("moons", "flow-matching", "cosine", "ot", "logit-normal", "adaptive", 77, 5)
    recipe = live_recipe(plan, "lab-test")
    assert (recipe.name, recipe.data, recipe.method) == ("lab-test", "moons", "flow-matching")
    assert (recipe.path, recipe.coupling, recipe.times) == ("cosine", "ot", "logit-normal")
    assert (recipe.power, recipe.steps, recipe.seed) == (LOSSES["adaptive"], 77, 5)
    mean = live_recipe(LabTraining("moons", "meanflow", coupling="ot", loss="adaptive"), "lab-test")
    assert (mean.coupling, mean.power, mean.meanflow.power) == ("ot", 0, LOSSES["adaptive"])
    assert live_recipe(LabTraining("moons", "meanflow"), "lab-test").meanflow.power == 0


@pytest.mark.parametrize("method", ["reflow", "meanflow"])
def test_the_teachers_path_and_sizes_win(method):
    teacher = make_model("moons")  # linear, 16 wide
    plan = LabTraining("moons", method, path="cosine", coupling="ot")
    recipe = live_recipe(plan, "lab-test", teacher)
    assert recipe.path == "linear" and (recipe.net.width, recipe.net.depth) == (16, 2)
    assert recipe.teacher == recipe.start_from == "moons-flow-matching"
    assert recipe.coupling == ("independent" if method == "reflow" else "ot")


@pytest.mark.parametrize("every", [0.0, NEVER])
def test_progress_comes_after_every_step_and_a_snapshot_after_the_last(every, trained):
    run = records(LabTraining(DATA, steps=7), every=every)
    steps = [x.step for x in run if isinstance(x, Progress)]
    snapshots = [x.progress.step for x in run if isinstance(x, Snapshot)]
    assert steps == [1, 2, 3, 4, 5, 6, 7]
    assert snapshots == (steps if every == 0 else [7])
    assert isinstance(run[-1], Snapshot) and run[-1].model.revision == "step 7"
    assert not list(trained.iterdir())  # no file is left


def test_snapshots_come_soon_and_then_every_so_many_seconds_of_training(monkeypatch):
    """By a clock on which each step takes a second."""
    monkeypatch.setattr(trainer, "time", SimpleNamespace(perf_counter=itertools.count().__next__))
    run = records(LabTraining(DATA, steps=10), every=3.0)
    assert [x.progress.step for x in run if isinstance(x, Snapshot)] == [1, 5, 9, 10]


def test_snapshots_are_the_averaged_weights_of_their_step_and_stand_still():
    seen = []
    recipe = live_recipe(LabTraining(DATA, steps=12), "lab-test")
    for record in train_live(recipe, TWO.coupling(), every=0.0):
        if isinstance(record, Snapshot):
            average = torch.cat([p.flatten() for p in record.progress.state.ema.parameters()])
            seen.append((record.model, average.clone()))
    assert len(seen) == 12
    for model, then in seen:
        assert torch.equal(weights(model), then)
    assert not torch.equal(weights(seen[-2][0]), weights(seen[-1][0]))


def test_equal_seeds_give_equal_weights_whatever_else_draws():
    plan = LabTraining(DATA, steps=10)
    torch.manual_seed(1)
    one = weights(model_of(plan))
    torch.manual_seed(2)
    assert torch.equal(weights(model_of(plan)), one)
    assert not torch.equal(weights(model_of(LabTraining(DATA, steps=10, seed=1))), one)


def test_a_run_that_is_closed_early_leaves_its_last_snapshot_to_use():
    recipe = live_recipe(LabTraining(DATA, steps=1000), "lab-test")
    run = train_live(recipe, TWO.coupling(), every=0.0)
    latest = None
    for record in run:
        if isinstance(record, Snapshot):
            latest = record
        if latest and latest.progress.step == 5:
            break
    run.close()
    assert latest.model.config.training["images_seen"] == 5 * recipe.batch_size
    assert torch.isfinite(sample(latest.model, 10, "all", 2.0, steps=5).points).all()


def test_flow_matching_learns_in_three_hundred_steps(flow):
    """An untrained net leaves the noise about where it is, far from both Gaussians."""
    untrained = model_of(LabTraining(DATA, steps=1))
    assert w2(untrained) > 3
    least = floor(TWO, sample(flow, 400, "all", steps=20))
    assert w2(flow) < 0.2 * w2(untrained) and w2(flow) < 2 * least


def test_optimal_transport_makes_the_flow_of_a_class_straight(flow):
    """Of a Gaussian the optimal map is a shift; with independent pairs straightness is 0.05."""
    assert bend(flow) > 0.04
    assert bend(model_of(LabTraining(DATA, coupling="ot", steps=300))) < 0.1 * bend(flow)


def test_reflow_straightens_so_that_one_step_is_enough(flow):
    run = records(LabTraining(DATA, "reflow", steps=150), flow)
    made = [(x.made, x.wanted) for x in run if isinstance(x, PairsProgress)]
    assert made == [(500, 2000), (1000, 2000), (1500, 2000), (2000, 2000)]
    assert isinstance(run[4], Progress)  # pairs come first
    straight = run[-1].model
    unlabelled = noise(1, 400, (2,))
    before, after = (straightness(model.velocity, unlabelled) for model in (flow, straight))
    assert after < before / 10
    one, many = (sample(m, 400, None, steps=k).points for m, k in ((straight, 1), (flow, 50)))
    assert (one - many).norm(dim=1).median() < 0.5  # each noise goes where the teacher took it
    assert straight.config.training["chain"].keys() == {"lab-test"}


def test_every_pair_is_another_and_ends_where_the_teacher_takes_it(flow, monkeypatch):
    kept = []
    monkeypatch.setattr(live, "reflow_pairs", lambda pairs: kept.append(pairs) or TWO.coupling())
    records(LabTraining(DATA, "reflow", steps=1), flow)
    (pairs,) = kept
    assert len(pairs.x_0.unique(dim=0)) == len(pairs.x_1) == len(pairs.label) == 2000
    rows = (pairs.label == 1) & (pairs.guidance == 1)
    again = sample(flow, int(rows.sum()), 1, solver="rk4", steps=40, x_0=pairs.x_0[rows]).points
    assert rows.any() and (pairs.x_1[rows] - again).norm(dim=1).median() < 0.05


def test_reflow_of_a_reflow_starts_where_that_one_stopped(flow):
    first = model_of(LabTraining(DATA, "reflow", steps=20), flow)
    second = model_of(LabTraining(DATA, "reflow", steps=1), first)
    assert second.config.net.guidance
    a, b = (sample(m, 50, "all", 2.0, steps=1).points for m in (first, second))
    assert (a - b).norm(dim=1).max() < 0.1


def test_meanflow_learns_the_velocity_of_its_teacher_and_not_that_of_the_data():
    """A teacher with random weights is far from the data, and so is its student."""
    cost = {"images_seen": 0, "hours": 0, "machine": "none"}
    teacher = make_model(DATA)
    teacher = replace(teacher, config=teacher.config.model_copy(update={"training": cost}))
    student = model_of(LabTraining(DATA, "meanflow", steps=100), teacher)
    x, t, labels = noise(0, 400, (2,)), torch.linspace(0, 1, 400), torch.arange(400) % 2
    learnt, taught, real = (m.velocity(x, t, labels) for m in (student, teacher, TWO.exact()))
    assert (learnt - taught).norm(dim=1).mean() < 0.2 * (taught - real).norm(dim=1).mean()


def test_meanflow_from_a_teacher_samples_in_one_step(flow):
    mean = model_of(LabTraining(DATA, "meanflow", loss="adaptive", steps=150), flow)
    assert mean.config.defaults.solver == "average"
    assert w2(mean, 1) < 0.5 * w2(flow, 1)


@pytest.mark.parametrize("method", ["reflow", "meanflow"])
def test_own_points_have_one_class_and_no_guidance(method):
    g = torch.Generator().manual_seed(0)
    mine = Source(OWN, torch.randn(50, 2, generator=g))
    start = model_of(LabTraining(OWN, steps=3), source=mine)
    model = model_of(LabTraining(OWN, method, steps=3), start, mine)
    assert not model.config.net.guidance and model.config.guidance == (1, 1)
    assert torch.isfinite(sample(model, 5).points).all()


def test_a_shipped_teacher_of_one_class_keeps_its_weight_input_and_a_jump_is_no_teacher():
    plan = LabTraining("checkerboard", "reflow", steps=1)
    teacher = load("checkerboard-reflow")
    (*_, last) = train_live(
        live_recipe(plan, "lab-x", teacher), Source("checkerboard").coupling(), teacher
    )
    assert last.model.config.net.guidance and last.progress.step == 1
    with pytest.raises(ValueError, match="only jumps"):
        live_recipe(plan, "lab-x", load("checkerboard-meanflow"))
