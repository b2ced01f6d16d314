"""The commands that train: the progress bar; when Ctrl-C keeps what is learnt, where the model comes
from, names."""

import signal
from types import SimpleNamespace

import pytest
import torch
from tqdm import tqdm

from flowdemo import checkpoints
from flowdemo.cli import main
from flowdemo.cli import train as cli_train
from flowdemo.training import finetune as tuning
from flowdemo.training.finetune import Rehearsal
from flowdemo.training.trainer import Progress
from tests.conftest import make_model
from tests.data.pictures import lay
from tests.drawings import drawn, png
from tests.hub.fixtures import REPO, files_of


@pytest.fixture
def run(tiny, tmp_path, capsys):
    """Runs `finetune` on two crosses; returns exit code, output and error."""
    where = lay(tmp_path / "own", {f"cross/{k}.png": png(drawn(k)) for k in range(2)})

    def call(model, *more):
        with pytest.raises(SystemExit) as done:
            main.main(["finetune", model, "--data", str(where), "--steps", "20", *more])
        return done.value.code, *capsys.readouterr()

    # A shell starts what runs in the background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield call
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def interrupted(monkeypatch):
    """Has Ctrl-C pressed so many times after the event that a test names."""

    def at(after, times=1):
        real = tuning.finetune

        def events(*args):
            for event in real(*args):
                yield event
                for _ in range(times * after(event)):
                    signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(tuning, "finetune", events)

    return at


def is_step(event, step):
    return isinstance(event, Progress) and event.step == step


def test_ctrl_c_before_the_first_step_ends_it_at_once_and_saves_nothing(run, interrupted, tiny):
    interrupted(lambda event: isinstance(event, Rehearsal) and event.made == 2)
    code, out, err = run("tiny", "--name", "mine")
    assert code == 130 and out == "" and err.endswith("\nstopped: nothing is saved\n")
    assert "old classes 3" not in err and not (tiny / "mine").exists()


def test_ctrl_c_after_it_keeps_what_was_learnt(run, interrupted):
    interrupted(lambda event: is_step(event, 2))
    code, out, _ = run("tiny", "--name", "mine")
    assert code == 0 and out.startswith("mine -> ")
    assert checkpoints.load("mine").config.training["images_seen"] == 2 * tuning.BATCH


def test_a_second_ctrl_c_aborts(run, interrupted, tiny):
    interrupted(lambda event: is_step(event, 2), times=2)
    code, out, err = run("tiny", "--name", "mine")
    assert code == 130 and out == "" and err.endswith("\nstopped: nothing is saved\n")
    assert not (tiny / "mine").exists()


def test_a_model_of_the_hub_is_had_first(run, hub):
    hub.add(REPO, files_of(make_model("mnist")))
    code, out, err = run(REPO)
    assert code == 0 and out.startswith("moons-tuned -> "), err
    assert checkpoints.load("moons-tuned").config.finetune.start == REPO


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("tiny", "tiny-tuned"), ("Ann/Digits@0123abc", "digits-tuned"),
        ("ann/digits@refs/pr/1", "digits-tuned"), ("a" * 64, "a" * 58 + "-tuned"),
    ],
)  # fmt: skip
def test_by_default_the_result_is_called_after_the_model(model, name):
    assert cli_train.own_name(model) == name
    checkpoints.check_name(name)


def step_of(number, seconds=2.0, skipped=0):
    rows, state = torch.zeros(1), SimpleNamespace(skipped=skipped)
    return Progress(number, 20, 0.25, 0.5, 1.0, seconds, rows, rows, state)


def test_a_step_is_told_by_loss_error_and_samples_a_second():
    words = cli_train.words(step_of(10), batch=64)
    assert words == "loss 0.2500, error 0.5000, 320 samples/s"
    assert cli_train.words(step_of(10, skipped=2), 64).endswith("320 samples/s, 2 skipped")


def test_the_bar_of_a_resumed_run_counts_its_own_steps_for_the_time_left(monkeypatch):
    bars = []

    class Bar(tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            bars.append(self)

    monkeypatch.setattr(cli_train, "tqdm", Bar)
    events = [cli_train.PairsProgress(500, 500), *(step_of(k) for k in range(11, 21))]
    assert cli_train.shown(iter(events), "x", steps=20, batch=64) is events[-1]
    (bar,) = bars
    assert (bar.initial, bar.n, bar.total) == (10, 20, 20) and "loss 0.2500" in bar.postfix
