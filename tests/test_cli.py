"""The command line, in processes of its own and in this one."""

import json
import resource
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowdemo.checkpoints import save
from flowdemo.cli import main
from flowdemo.output import images
from flowdemo.sampling import run as sampling
from flowdemo.sampling.run import sample
from tests.conftest import make_model

ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(trained, capsys):
    """Runs a command with two small models in place; returns exit code, output and error."""
    for data in ("mnist", "moons"):
        model = make_model(data, "meanflow" if data == "mnist" else "flow-matching")
        save(model, trained / f"small-{data}")

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main.main([str(a) for a in arguments])
        return stop.value.code, *capsys.readouterr()

    return call


def test_a_png_is_the_grid_of_the_samples(run, tmp_path):
    code, out, _ = run("sample", "small-mnist", "--n", 6, "--label", 7, "--out", tmp_path / "a.png")
    assert code == 0 and "NFE 2" in out
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    expected = images.image_grid(sample(flow("small-mnist"), 6, 7).images)
    assert np.array_equal(picture, np.asarray(expected))
    assert picture.shape == (4 * (2 * 29 - 1), 4 * (3 * 29 - 1))


def flow(name):
    return main.get(name, False)


def test_an_npz_has_the_promised_arrays(run, tmp_path):
    run(
        "sample", "small-mnist", "--n", 3, "--steps", 4, "--out", tmp_path / "a.npz", "--trajectory"
    )
    with np.load(tmp_path / "a.npz") as made:
        assert made["images"].shape == (3, 28, 28) and made["images"].dtype == np.uint8
        assert made["labels"].tolist() == [0, 1, 2] and made["times"].tolist() == [
            0,
            0.25,
            0.5,
            0.75,
            1,
        ]
        assert made["trajectory"].shape == (5, 3, 28, 28)
        last = np.clip(made["trajectory"][-1], 0, 1) * 255
        assert np.abs(last - made["images"]).max() <= 0.5001
    run("sample", "small-moons", "--n", 3, "--out", tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as made:
        assert sorted(made) == ["labels", "points"] and made["points"].shape == (3, 2)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("name", ["small-mnist", "small-moons"])
def test_an_animation_has_a_frame_a_state(run, tmp_path, suffix, name):
    out = tmp_path / f"a{suffix}"
    assert run("sample", name, "--n", 2, "--solver", "euler", "--steps", 5, "--out", out)[0] == 0
    assert Image.open(out).n_frames == 6


def test_json_prints_what_was_asked_and_what_it_cost(run):
    arguments = ["--n", 2, "--solver", "rk4", "--steps", 3, "--guidance", 2, "--json"]
    code, out, _ = run("sample", "small-moons", *arguments)
    made = json.loads(out)
    assert code == 0 and made["nfe"] == 24 and made["seconds"] > 0 and made["straightness"] > 0
    assert (made["model"], made["solver"], made["steps"]) == ("small-moons", "rk4", 3)


def test_many_samples_need_no_trajectory(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "MAX_STATES", 10 * 28 * 28)
    many = ("sample", "small-mnist", "--n", 4, "--steps", 3, "--out", tmp_path / "a.npz")
    assert run(*many)[0] == 0
    code, _, error = run(*many, "--trajectory")
    assert code == 1 and "too large to keep" in error


def test_an_adaptive_solver_takes_a_tolerance(run):
    loose, tight = (
        json.loads(
            run("sample", "small-moons", "--solver", "dopri5", "--tolerance", t, "--json")[1]
        )
        for t in (1e-2, 1e-5)
    )
    assert loose["nfe"] < tight["nfe"]


def test_models_lists_what_is_there(run, trained):
    rows = json.loads(run("models", "--json")[1])
    mine = {row["name"]: row for row in rows if row["where"] == "trained here"}
    assert mine["small-mnist"]["method"] == "meanflow" and mine["small-mnist"]["data"] == "mnist"
    (trained / "bad").mkdir()
    (trained / "bad" / "config.json").write_text("{}")
    listed = run("models")[1]
    assert "small-moons" in listed and "bad" in listed and "broken: " in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "nothing"], "no model 'nothing'; there are:"),
        (["sample", "small-mnist", "--label", "12"], "no class 12"),
        (["sample", "small-mnist", "--label", "dog"], "no class 'dog'"),
        (["sample", "small-mnist", "--solver", "magic"], "no solver 'magic'"),
        (["sample", "small-mnist", "--steps", "0"], "steps must lie in"),
        (["sample", "small-mnist", "--out", "x.bmp"], "end it in .png, .gif, .webp, .npz"),
        (["sample", "small-mnist", "--out", "/proc/nowhere/x.png"], "nowhere"),
        (["sample", "/tmp", "--folder"], "no config.json"),
        (["train", "nothing"], "no recipe 'nothing'"),
        (["train", "moons-reflow", "--set", "steps=0"], "steps"),
        (["evaluate", "nothing"], "no model"),
    ],
)
def test_an_error_is_one_clear_line(run, arguments, message):
    code, out, err = run(*arguments)
    assert code == 1 and message in err and err.count("\n") == 1 and out == ""


def test_training_from_the_command_line_leaves_a_checkpoint(run, trained):
    small = [
        "--set",
        "steps=3",
        "--set",
        "batch_size=8",
        "--set",
        "net.width=16",
        "--out",
        trained / "new",
    ]
    code, out, _ = run("train", "moons-flow-matching", *small)
    assert code == 0 and "new" in out
    assert run("sample", "new", "--n", 2)[0] == 0
    code, _, err = run("train", "moons-flow-matching", *small)
    assert code == 1 and "--resume" in err


def test_evaluate_measures_and_writes_what_it_measured(run, trained):
    path = trained / "numbers.json"
    common = ["evaluate", "small-moons", "--n", 50, "--guidance", 1, "--write", "--json", path]
    assert run(*common, "--nfe", 2)[0] == 0
    assert run(*common, "--nfe", 4)[0] == 0
    rows = flow("small-moons").config.results["rows"]
    assert [(row["nfe"], row["n"]) for row in rows] == [(2, 50), (4, 50)]  # merged
    assert (
        rows[1]["wasserstein_2"]
        == json.loads(path.read_text())["small-moons"]["rows"][0]["wasserstein_2"]
    )
    card = (trained / "small-moons" / "README.md").read_text()
    assert f"| {rows[0]['wasserstein_2']:.3f} | 50 |" in card


def test_python_dash_m_and_debug(run):
    call = [sys.executable, "-m", "flowdemo", "sample", "nothing"]
    plain = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
    assert plain.returncode == 1 and plain.stderr.startswith("flowdemo: no model 'nothing'")
    with pytest.raises(ValueError, match="no model 'nothing'"):
        main.main(["sample", "nothing", "--debug"])
    code, _, error = run("sample", "nothing", "--nonsense")
    assert code == 2 and "Traceback" not in error


@pytest.mark.parametrize("suffix", [".png", ".gif", ".npz"])
def test_a_full_disk_leaves_no_half_written_file(run, tmp_path, suffix):
    folder = tmp_path / "out"
    folder.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        code, _, error = run("sample", "small-mnist", "--out", folder / f"a{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1 and error.count("\n") == 1 and "File too large" in error
    assert list(folder.iterdir()) == []


def test_a_port_that_is_taken_is_one_line(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["app.py", "--host", "127.0.0.1", "--port", port])
        with pytest.raises(SystemExit, match="FlowDemo cannot start"):
            runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
