"""Runs from start to checkpoint: what they need, leave behind, and go on from."""

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

from flowdemo.checkpoints import load
from flowdemo.checkpoints.cards import chain_lines
from flowdemo.data import dataset
from flowdemo.files import save_tensors
from flowdemo.training import run
from flowdemo.training.estimate import estimate
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.run import PairsProgress, prepare, run_recipe
from flowdemo.training.state_file import load_state, save_state
from flowdemo.training.teachers import check_teacher, costs_of
from tests.conftest import make_model
from tests.plans import recipe

ROOT = Path(__file__).parent.parent


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
    cost = {"images_seen": 5, "hours": 0.5, "chain": costs_of([first])}
    second = named("b", cost)
    both = costs_of([first, second])  # the teacher, and a start that came from the same teacher
    assert both == {
        "a": {"images_seen": 10, "hours": 1.0},
        "b": {"images_seen": 5, "hours": 0.5},
    }
    (line,) = chain_lines({"images_seen": 1, "hours": 0.25, "chain": both})
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


def test_a_run_goes_on_by_the_recipe_it_was_started_with_however_that_is_written(trained):
    """A field that came later has its default; how many processes make the pairs is no matter."""
    list(run_recipe(recipe(steps=2), trained / "moons-flow-matching"))
    student = recipe("reflow", steps=3)
    next(steps := run_recipe(student, trained / "x"))
    steps.close()
    file = trained / "x" / "training" / "recipe.json"
    told = json.loads(file.read_text())
    assert told.pop("weight_decay") == 0 and told["pairs"].pop("processes") == 1
    file.write_text(json.dumps(told))
    pairs = student.pairs.model_copy(update={"processes": 2})
    *_, last = run_recipe(student.model_copy(update={"pairs": pairs}), trained / "x", resume=True)
    assert last.step == 3
    other = student.model_copy(update={"weight_decay": 0.1})
    with pytest.raises(ValueError, match="another recipe or teacher"):
        next(run_recipe(other, trained / "x", resume=True))


@pytest.mark.whole
def test_a_run_that_was_killed_goes_on(trained):
    """Killed between two saves by the system, not by an exception that could be caught."""
    plan = recipe(steps=400)
    (trained / "plan.json").write_text(plan.model_dump_json())
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from flowdemo.training.recipe_files import read_recipe\n"
        "from flowdemo.training import log, run; torch.set_num_threads(1); log.SAVE_SECONDS = 0.05\n"
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


@pytest.mark.parametrize("begin", [estimate, lambda plan: next(run_recipe(plan, Path("nowhere")))])
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("mnist", "net.widths=[64,64,64,64]", "must be divisible by 16 for this 'unet'"),
        ("mnist", 'net={"kind": "mlp"}', r"an 'mlp' works on points of shape \[2\]"),
        ("moons", 'net={"kind": "dit", "dim": 32, "depth": 1, "heads": 1}', "works on images"),
    ],
)
def test_a_net_that_does_not_fit_the_data_is_refused_in_one_line(begin, name, change, message):
    with pytest.raises(ValueError, match=message) as raised:
        begin(read_recipe(f"{name}-flow-matching", [change]))
    assert "\n" not in str(raised.value) and not Path("nowhere").exists()


@pytest.mark.parametrize("begin", [estimate, lambda plan: next(run_recipe(plan, Path("nowhere")))])
def test_a_checkpoint_that_could_not_be_described_is_refused_in_one_line(begin, monkeypatch):
    """Pictures that are all alike have no spread, say."""
    flat = replace(dataset("moons"), std=(0.0, 1.0))
    monkeypatch.setattr(run, "dataset_of", lambda plan: flat)
    with pytest.raises(ValueError, match=r"^moons-flow-matching: std.0: .*greater than 0$"):
        begin(recipe())
    assert not Path("nowhere").exists()


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


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "other", "smaller"])
def test_a_damaged_state_is_refused_by_its_name(tmp_path, damage):
    state = prepare(recipe(), None, torch.device("cpu"))
    save_state(state, tmp_path)
    file = tmp_path / "training.safetensors"
    if damage == "other":
        save_tensors({"x": torch.ones(3)}, file)
    elif damage == "smaller":
        net = recipe().net.model_copy(update={"width": 32})
        save_state(prepare(recipe(net=net), None, torch.device("cpu")), tmp_path)
    else:
        content = {"garbage": b"x" * 5000, "truncated": file.read_bytes()[:-9], "empty": b""}
        file.write_bytes(content[damage])
    with pytest.raises(ValueError, match=r"training\.safetensors is damaged, or") as raised:
        load_state(state, tmp_path)
    assert "\n" not in str(raised.value)
