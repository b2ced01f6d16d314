"""Training: it learns, goes on as if never stopped, and straightens."""

import json
import math
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from flowdemo import checkpoints
from flowdemo.cards import before
from flowdemo.checkpoints import load
from flowdemo.couplings import Batch, drop_labels, independent, reflow_pairs
from flowdemo.data import DATASETS, points_of
from flowdemo.evaluation.metrics import straightness, wasserstein_2
from flowdemo.noise import noise
from flowdemo.recipe import Recipe
from flowdemo.sampling import sample
from flowdemo.sizes import MLPConfig
from flowdemo.training import trainer
from flowdemo.training.bundled import read_recipe, recipe_names
from flowdemo.training.crew import Crew
from flowdemo.training.draws import random_guidance
from flowdemo.training.pairs import load_pairs, make_pairs, pair_seconds
from flowdemo.training.precision import has_bfloat16
from flowdemo.training.resume import save_state
from flowdemo.training.run import PairsProgress, prepare, run_recipe
from flowdemo.training.sources import chain, check_teacher
from flowdemo.training.trainer import ema_decay
from tests.conftest import make_model

ROOT = Path(__file__).parent.parent


def recipe(method="flow-matching", **changes) -> Recipe:
    net = MLPConfig(
        width=64, depth=2, end_time=method == "meanflow", guidance=method != "flow-matching"
    )
    base = {
        "name": f"moons-{method}", "method": method, "data": "moons", "net": net, "steps": 1500,
        "batch_size": 256, "learning_rate": 2e-3, "ema": 0.99, "guidance": (1.0, 3.0),
        "share_unguided": 0.5,
    }  # fmt: skip
    if method == "reflow":
        base |= {"pairs": {"count": 4000, "solver": "rk4", "steps": 10}, "share_start": 0.25}
    if method == "meanflow":
        base["meanflow"] = {
            "share_interval": 0.75,
            "share_start": 0.25,
            "share_end": 0.25,
            "power": 0,
        }
    if method != "flow-matching":
        base |= {"teacher": "moons-flow-matching", "start_from": "moons-flow-matching"}
    return Recipe(**(base | changes))


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


def test_equal_recipes_give_equal_weights_and_a_stopped_run_goes_on_as_if_never_stopped(trained):
    plan = recipe(steps=60)
    *_, whole = run_recipe(plan, trained / "whole")
    run = run_recipe(plan, trained / "cut")
    for progress in run:
        if progress.step == 25:
            trainer_state = progress.state
            break
    from_disk = trained / "cut" / "training"
    run.close()
    checkpoints_before = list((trained / "cut").glob("*.safetensors"))
    save_state(trainer_state, from_disk)
    *_, resumed = run_recipe(plan, trained / "cut", resume=True)
    assert checkpoints_before == []  # no checkpoint before the end
    for a, b in zip(whole.state.ema.parameters(), resumed.state.ema.parameters(), strict=True):
        assert torch.equal(a, b)
    log = [json.loads(line) for line in (from_disk / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, 61))
    with pytest.raises(ValueError, match="--resume"):
        next(run_recipe(plan, trained / "cut"))


def test_a_step_with_a_bad_gradient_changes_nothing():
    plan = recipe(steps=3)
    state = prepare(plan, None, torch.device("cpu"))
    before = [p.clone() for p in state.net.parameters()]
    loss = sum(p.sum() for p in state.net.parameters()) * float("nan")
    loss.backward()
    trainer.update(state, plan, Crew())
    assert state.step == 1
    assert all(torch.equal(a, b) for a, b in zip(before, state.net.parameters(), strict=True))


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
    w = random_guidance(recipe(share_unguided=0.4), 20_000, torch.Generator().manual_seed(0))
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


def test_pairs_are_the_teachers_flow_from_noise_known_by_its_number(tmp_path):
    teacher = make_model()
    plan = recipe("reflow", pairs={"count": 700, "solver": "heun", "steps": 4})
    made = list(make_pairs(plan, teacher, tmp_path))
    assert made == [(500, 700), (700, 700)]
    pairs = load_pairs(plan, teacher, tmp_path)
    assert torch.equal(pairs.x_0, noise(plan.pairs.seed, 700, (2,)))
    row = 600
    step = teacher.step("heun", pairs.label[row : row + 1], pairs.guidance[row : row + 1])
    x = pairs.x_0[row : row + 1]
    for k in range(4):
        x = step(x, torch.tensor(k / 4), torch.tensor((k + 1) / 4))
    tolerance = 0.05 if has_bfloat16(torch.device("cpu")) else 2e-3  # pairs are made in bfloat16
    torch.testing.assert_close(pairs.x_1[row : row + 1], x, atol=tolerance, rtol=tolerance)


def test_a_killed_pair_run_makes_only_what_is_missing(tmp_path):
    teacher, plan = (
        make_model(),
        recipe("reflow", pairs={"count": 1500, "solver": "euler", "steps": 2}),
    )
    run = make_pairs(plan, teacher, tmp_path)
    next(run)
    run.close()
    first = (tmp_path / "pairs-00000000.safetensors").stat().st_mtime_ns
    assert len(list(make_pairs(plan, teacher, tmp_path))) == 3
    assert (tmp_path / "pairs-00000000.safetensors").stat().st_mtime_ns == first
    whole = load_pairs(plan, teacher, tmp_path)
    assert len({float(x) for x in whole.x_0[:, 0]}) == 1500  # no noise twice
    assert whole.guidance[whole.label == 2].eq(1).all() and whole.label.eq(2).any()


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
    with pytest.raises(ValueError, match="does not fit moons-flow-matching, its start"):
        prepare(
            plan.model_copy(update={"net": MLPConfig(width=16, depth=3)}),
            teacher,
            torch.device("cpu"),
        )


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
    }.items():
        with pytest.raises(ValueError, match=message):
            read_recipe("moons-meanflow", [change])
    with pytest.raises(ValueError, match="no recipe 'x'; there are"):
        read_recipe("x")


def test_pairs_are_reported_before_the_steps(trained):
    plan = recipe(steps=2)
    list(run_recipe(plan, trained / plan.name))
    student = recipe("reflow", steps=2, pairs={"count": 10, "solver": "euler", "steps": 2})
    kinds = [type(p).__name__ for p in run_recipe(student, trained / student.name)]
    assert kinds == [PairsProgress.__name__, "Progress", "Progress"]
    cost = load("moons-reflow").config.training
    assert cost["images_seen"] == 2 * 256 and math.isfinite(cost["hours"])
    assert [(name, x["images_seen"]) for name, x in cost["chain"].items()] == [(plan.name, 2 * 256)]
    assert "Trained before it" in (trained / student.name / "README.md").read_text()


def test_a_chain_of_checkpoints_counts_each_once():
    def named(name, training):
        model = make_model()
        config = model.config.model_copy(update={"name": name, "training": training})
        return replace(model, config=config)

    first = named("a", {"images_seen": 10, "hours": 1.0})
    cost = {"images_seen": 5, "hours": 0.5, "chain": chain([first])}
    second = named("b", cost)
    both = chain([first, second])  # the teacher, and a start that came from the same teacher
    assert both == {
        "a": {"images_seen": 10, "hours": 1.0},
        "b": {"images_seen": 5, "hours": 0.5},
    }
    (line,) = before({"images_seen": 1, "hours": 0.25, "chain": both})
    assert "All together 16 samples in 1.75 hours" in line


def test_a_run_does_not_go_on_with_another_teacher(trained):
    plan = recipe(steps=2)
    list(run_recipe(plan, trained / plan.name))
    student = recipe("meanflow", steps=2)
    next(run_recipe(student, trained / student.name))
    shutil.rmtree(trained / plan.name)
    list(run_recipe(recipe(steps=3), trained / plan.name))
    with pytest.raises(ValueError, match="another recipe or teacher"):
        next(run_recipe(student, trained / student.name, resume=True))


def test_the_time_of_pairs_survives_a_killed_run(tmp_path):
    teacher = make_model()
    plan = recipe("reflow", pairs={"count": 1000, "solver": "euler", "steps": 2})
    run = make_pairs(plan, teacher, tmp_path)
    next(run)
    run.close()
    with safe_open(tmp_path / "pairs-00000000.safetensors", framework="pt") as file:
        first = float(file.metadata()["seconds"])
    list(make_pairs(plan, teacher, tmp_path))
    assert pair_seconds(plan, tmp_path) > first > 0


def test_a_run_that_was_killed_goes_on(trained):
    """Killed between two saves by the system, not by an exception that could be caught."""
    plan = recipe(steps=400)
    (trained / "plan.json").write_text(plan.model_dump_json())
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from flowdemo.training.bundled import read_recipe\n"
        "from flowdemo.training import desk, run; torch.set_num_threads(1); desk.SAVE_SECONDS = 0.05\n"
        "for p in run.run_recipe(read_recipe(sys.argv[1]), Path(sys.argv[2])):\n"
        "    print(p.step, flush=True)"
    )
    arguments = [sys.executable, "-c", code, str(trained / "plan.json"), str(trained / "killed")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for line in process.stdout:
            if int(line) >= 150:
                process.kill()
                break
    assert not (trained / "killed" / "model.safetensors").exists()
    first, *_, last = run_recipe(plan, trained / "killed", resume=True)
    assert first.step > 1  # from a saved state, not from the start
    *_, whole = run_recipe(plan, trained / "whole")
    assert last.step == 400
    for a, b in zip(whole.state.ema.parameters(), last.state.ema.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("moons-flow-matching", ["pairs.count=10"], "nothing else, needs 'pairs'"),
        ("moons-flow-matching", ["net.guidance=true"], "no input 'guidance'"),
        ("moons-flow-matching", ["net.end_time=true"], "nothing else, needs a net with 'end_time'"),
        ("moons-flow-matching", ["meanflow.power=0"], "nothing else, needs 'meanflow' options"),
        ("moons-meanflow", ["share_start=0.5"], "meanflow.share_start"),
        ("moons-reflow", ["teacher=null"], "needs a 'teacher'"),
        ("moons-flow-matching", ["path=crooked"], "must be one of linear, cosine"),
    ],
)
def test_what_would_train_something_else_is_refused(name, changes, message):
    with pytest.raises(ValueError, match=message):
        read_recipe(name, changes)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("moons-reflow", ["teacher=two-gaussians-flow-matching"], "makes two-gaussians, not moons"),
        ("moons-meanflow", ["path=cosine"], "has another path"),
        ("moons-meanflow", ["guidance=[1, 9]"], r"guided in \[1, 4\] only"),
        (
            "moons-meanflow",
            ["meanflow.omega=0.5", "meanflow.kappa=0.9", "net.guidance=false", "guidance=[1, 1]"],
            r"guided in \[1, 4\] only",
        ),
        ("moons-meanflow", ["net.width=64"], "does not fit moons-flow-matching, its start"),
        ("mnist-meanflow-stage-1", ["teacher=nobody"], "no model 'nobody'"),
        ("mnist-meanflow", ["start_from=mnist-meanflow-stage-1"], "train mnist-meanflow-stage-1"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused_before_anything_is_written(
    trained, name, changes, message
):
    with pytest.raises(ValueError, match=message):
        next(run_recipe(read_recipe(name, changes), trained / "x"))
    assert list(trained.iterdir()) == []


def test_missing_data_leave_no_started_run(trained, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_DATA", str(trained / "nowhere"))
    with pytest.raises(FileNotFoundError):
        next(run_recipe(read_recipe("mnist-flow-matching"), trained / "x"))
    assert list(trained.iterdir()) == []


def test_pictures_of_samples_are_drawn_while_training(trained):
    drawn = []
    plan = recipe(steps=7)
    list(
        run_recipe(
            plan, trained / "x", draw_samples=lambda m, p: drawn.append(p.name), sample_every=3
        )
    )
    assert drawn == [f"samples-00000{step}.png" for step in (3, 6, 7)]  # and at the end


def test_a_full_disk_while_saving_leaves_the_state_before(tmp_path):
    state = prepare(recipe(), None, torch.device("cpu"))
    save_state(state, tmp_path)
    before = (tmp_path / "training.safetensors").read_bytes()
    state.step = 5
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="is the disk full"):
            save_state(state, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["training.safetensors"]
    assert (tmp_path / "training.safetensors").read_bytes() == before


@pytest.mark.parametrize("change", [{"mean": (0.1,)}, {"shape": (1, 32, 32), "crop": 2}])
def test_a_teacher_of_another_shape_or_scale_is_refused(change):
    teacher = make_model("mnist")
    teacher = replace(teacher, config=teacher.config.model_copy(update=change))
    with pytest.raises(ValueError, match="another shape or scale"):
        check_teacher(read_recipe("mnist-reflow"), teacher)
