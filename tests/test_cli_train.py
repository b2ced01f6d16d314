"""The command `finetune`: when Ctrl-C keeps what is learnt, where the model comes from, names."""

import signal

import pytest

from flowdemo import checkpoints, cli, cli_train
from flowdemo.training import finetune as tuning
from flowdemo.training.finetune import Rehearsal
from flowdemo.training.trainer import Progress
from tests.conftest import make_model
from tests.drawings import drawn, png
from tests.hub import fixtures
from tests.hub.fixtures import REPO, files_of
from tests.small_pictures import lay

hub = fixtures.hub


@pytest.fixture
def run(tiny, tmp_path, capsys):
    """Runs `finetune` on two crosses; returns exit code, output and error."""
    where = lay(tmp_path / "own", {f"cross/{k}.png": png(drawn(k)) for k in range(2)})

    def call(model, *more):
        with pytest.raises(SystemExit) as done:
            cli.main(["finetune", model, "--data", str(where), "--steps", "20", *more])
        return done.value.code, *capsys.readouterr()

    before = signal.getsignal(signal.SIGINT)
    yield call
    assert signal.getsignal(signal.SIGINT) is before


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
