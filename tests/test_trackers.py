"""Where the numbers of a run go beside its log, and what a dry run says."""

import sys
import time
from types import SimpleNamespace

import pytest
import torch

from flowdemo import checkpoints
from flowdemo.checkpoints import save
from flowdemo.cli.main import main
from flowdemo.config.recipe import Recipe
from flowdemo.training import trackers
from flowdemo.training.dataset import coupling_of
from flowdemo.training.estimate import estimate
from flowdemo.training.pairs import make_pairs
from flowdemo.training.run import prepare
from flowdemo.training.trainer import train
from tests.conftest import make_model

PLAN = {"name": "small-moons", "method": "flow-matching", "data": "moons", "net": {"kind": "mlp"},
        "steps": 3, "batch_size": 8}  # fmt: skip


def command(tmp_path, *more):
    file = tmp_path / "small-moons.json"
    file.write_text(Recipe(**PLAN).model_dump_json())
    with pytest.raises(SystemExit) as done:
        main(["train", str(file), *more])
    return done.value.code


def test_tensorboard_gets_every_number_and_a_second_time_on_resume(trained, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert command(tmp_path, "--log", "tensorboard") == 0
    assert checkpoints.load("small-moons").config.recipe.steps == 3
    events = accumulator.EventAccumulator(str(trained / "small-moons/training/tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
    assert "error" in events.Tags()["scalars"] and "gradient" in events.Tags()["scalars"]
    assert command(tmp_path, "--log", "tensorboard") == 1  # started already
    assert command(tmp_path, "--log", "tensorboard", "--resume") == 0


def test_trackio_is_told_the_same(monkeypatch, tmp_path):
    """By a stand-in with the package's surface: init, log(metrics, step=), finish."""
    said = []
    random_pairs = SimpleNamespace(
        init=lambda **given: said.append(given["name"]),
        log=lambda metrics, step: said.append((step, metrics)),
        finish=lambda: said.append("end"),
    )
    monkeypatch.setitem(sys.modules, "trackio", random_pairs)
    monkeypatch.setattr(trackers, "needed", lambda package: None)
    with trackers.TRACKERS["trackio"](Recipe(**PLAN), tmp_path) as track:
        track(7, {"step": 7, "loss": 0.5, "error": None, "bins": [1.0, None]})
    assert said == ["small-moons", (7, {"loss": 0.5, "error at t 0.0": 1.0}), "end"]


def test_what_is_not_installed_or_known_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    assert command(tmp_path, "--log", "trackio", "--out", str(tmp_path / "x")) == 1
    assert "pip install trackio" in capsys.readouterr().err
    assert command(tmp_path, "--log", "paper") == 1
    assert "there are: none, tensorboard, trackio" in capsys.readouterr().err


def test_a_dry_run_says_what_it_will_take_and_writes_nothing(trained, tmp_path, capsys):
    assert command(tmp_path, "--dry-run") == 0
    said = capsys.readouterr().out
    assert '"learning_rate": 0.001' in said and "parameters: " in said and "time: " in said
    assert [file.name for file in trained.iterdir()] == ["small-moons.json"]


def test_an_estimate_of_memory_is_that_of_the_tensors():
    plan = Recipe(**PLAN)
    one, more = estimate(plan), estimate(plan.model_copy(update={"batch_size": 800}))
    state = prepare(plan, None, torch.device("cpu"))
    next(train(plan, state, coupling_of(plan), 2))
    kept = [*state.net.parameters(), *(p.grad for p in state.net.parameters())]
    kept += [*state.ema.parameters()]
    kept += [x for row in state.optimizer.state.values() for x in row.values() if x.ndim]
    assert one.bytes_of_weights == sum(x.numel() * x.element_size() for x in kept) > 200_000
    grown = more.bytes_of_activations - one.bytes_of_activations
    half = estimate(plan.model_copy(update={"batch_size": 404})).bytes_of_activations
    assert half - one.bytes_of_activations == pytest.approx(grown / 2, rel=0.05)  # a row, a share


@pytest.mark.whole
def test_an_estimate_of_time_is_near_what_a_run_takes(trained, tmp_path):
    """Within a factor of six, since other work may come between."""
    teacher = make_model()
    save(teacher, trained / "moons-flow-matching")
    pairs = {"count": 4000, "solver": "heun", "steps": 20, "processes": 32}
    changes = {"method": "reflow", "teacher": "moons-flow-matching", "pairs": pairs, "steps": 60}
    plan = Recipe(**(PLAN | changes))
    guess = estimate(plan)
    alone = plan.model_copy(update={"pairs": plan.pairs.model_copy(update={"processes": 1})})
    began = time.perf_counter()
    list(make_pairs(alone, teacher, tmp_path))  # 32 processes would share its threads
    assert 1 / 6 < guess.seconds_of_pairs / (time.perf_counter() - began) < 6
    flow = Recipe(**(PLAN | {"steps": 60}))
    *_, last = train(flow, prepare(flow, None, torch.device("cpu")), coupling_of(flow), 2)
    assert 1 / 6 < guess.seconds_of_steps / last.seconds < 6
