"""Comparisons: the same noise for every row, true numbers, and errors before anything is drawn."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from flowdemo.checkpoints import folders, load, read_config, save
from flowdemo.core.noise import noise
from flowdemo.evaluation.compare import FOLLOWED, compare, measure, resolve
from flowdemo.output import comparisons
from flowdemo.sampling.presets import PRESETS, preset
from flowdemo.sampling.request import Request
from tests.conftest import make_model

SMALL = {
    name: make_model("moons", method, guidance_input=method != "flow-matching")
    for name, method in (("a", "flow-matching"), ("b", "reflow"), ("c", "meanflow"))
}
SMALL |= {"digits": make_model("mnist")}
SMALL = {
    name: replace(model, config=model.config.model_copy(update={"name": name}))
    for name, model in SMALL.items()
}


def rows(*texts: str, n=10, label="all", seed=0, load=SMALL.__getitem__, **options):
    requests = [Request.parse(text, n=n, label=label, seed=seed) for text in texts]
    return list(compare(*resolve(requests, load), **options))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("m", {}),
        ("m:euler:4", {"solver": "euler", "steps": 4}),
        ("m:euler:4:2.5", {"solver": "euler", "steps": 4, "guidance": 2.5}),
        ("m:dopri5@1e-4", {"solver": "dopri5", "tolerance": 1e-4}),
        ("m:dopri5@1e-4:2", {"solver": "dopri5", "tolerance": 1e-4, "guidance": 2.0}),
        ("m:dopri5:2", {"solver": "dopri5", "guidance": 2.0}),
        ("m::4", {"steps": 4}),
    ],
)
def test_a_row_is_read(text, fields):
    assert Request.parse(text, n=3) == Request("m", n=3, **fields)


@pytest.mark.parametrize("text", ["", ":euler", "m:euler:x", "m:euler:1:2:3", "m:dopri5@1e-4:2:3"])
def test_what_is_no_row_is_refused(text):
    with pytest.raises(ValueError, match="not of the form"):
        Request.parse(text)


def test_a_completed_row_reads_itself():
    for row in rows("a", "a:dopri5@0.01:2", "b:heun:3:1.5", "c", n=2):
        assert Request.parse(str(row.request), n=2, label="all", seed=0) == row.request


def test_every_row_starts_from_the_same_noise_with_the_same_labels():
    made = rows("a:euler:4", "b", "c:average:2:3", "a:dopri5@1e-2", n=6, seed=5)
    for row in made:
        assert torch.equal(row.samples.trajectory.states[0], noise(5, 6, (2,)))
        assert row.samples.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert [row.samples.nfe for row in made[:3]] == [4, 2, 2]
    assert len({row.samples.points.sum().item() for row in made}) == 4


def test_the_distance_to_the_reference_shrinks_with_the_steps():
    errors = [measure(row).rmse for row in rows("a:euler:2", "a:euler:8", "a:rk4:16", n=20)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 5e-4
    (row,) = rows("a:euler:2", n=20)
    exact = rows("a:rk4:200", n=20)[0].samples.points
    by_hand = (row.samples.points - exact).square().mean().sqrt().item()
    assert measure(row).rmse == pytest.approx(by_hand, rel=1e-2)


def test_without_a_reference_the_other_numbers_stay():
    """A field that no adaptive solver follows at a tight tolerance."""
    model = SMALL["a"]

    class Rough(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))  # so that it has a device

        def forward(self, x, t, *rest):
            return torch.sign(torch.sin(1e6 * t))[:, None] * torch.ones_like(x)

    rough = replace(model, net=Rough(), revision="rough")
    (row,) = rows("a:euler:3", n=4, seed=99, load=lambda name: rough)
    measured = measure(row)
    assert measured.rmse is None and measured.straightness > 0 and measured.seconds > 0


def test_rows_of_one_flow_are_followed_once():
    calls = []
    for row in rows("a:euler:1", "a:heun:2", "a:euler:1:2", n=4, seed=123):
        heard = []
        measure(row, heard.append)
        calls.append(len(heard))
    assert calls[1] < 50 < 250 < min(calls[0], calls[2])  # warm runs alone; one flow a CFG weight


def test_only_the_first_samples_are_followed_to_the_reference():
    many = FOLLOWED["points"] + 1
    label = [0, 1] * (many // 2) + [1]
    (row,) = rows("a:euler:3", n=many, label=label, seed=11)
    (few,) = rows("a:euler:3", n=many - 1, label=label[:-1], seed=11)
    assert measure(row).rmse == pytest.approx(measure(few).rmse, rel=1e-5)


def test_the_reference_of_a_one_step_model_is_its_own_velocity_and_is_kept():
    (row,) = rows("c", n=5, seed=3)
    (fine,) = rows("c:rk4:100", n=5, seed=3)
    seen = []
    measured = measure(row, seen.append)
    expected = (row.samples.points - fine.samples.points).square().mean().sqrt().item()
    assert measured.rmse == pytest.approx(expected, rel=1e-3)
    calls = len(seen)
    measure(row, seen.append)
    assert len(seen) - calls < calls  # the second time without the adaptive run
    (other,) = rows("c", n=5, seed=4)
    assert measure(other).rmse != measured.rmse


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "1 to 16 rows, not 0"),
        (["a"] * 100, "1 to 16 rows, not 100"),
        (["a", "digits"], "must be the same: not a .moons. and digits .mnist."),
        (["a", "b:dopri5:1:4"], "not of the form"),
        (["a", "b:average:1"], "offers no solver 'average'"),
        (["a", "c:average:1:9"], "guidance must lie in"),
        (["a", "b:dopri5@5"], "tolerance must lie in"),
        (["a", "b:euler:0"], "steps must lie in"),
    ],
)
def test_a_wrong_row_is_refused_before_any_is_drawn(texts, message):
    drawn = []
    with pytest.raises(ValueError, match=message):
        rows(*texts, watch=drawn.append)
    assert drawn == []


def test_the_limit_is_that_of_all_rows_together():
    drawn = []
    with pytest.raises(ValueError, match="260 network evaluations exceed the limit of 250"):
        rows("a:euler:10", "a:euler:8:2", n=10, max_evaluations=250, watch=drawn.append)
    assert drawn == []
    assert len(rows("a:euler:10", "a:euler:8:2", n=10, max_evaluations=260)) == 2
    with pytest.raises(ValueError, match="larger tolerance"):  # found while it runs
        rows("a:euler:10", "a:dopri5@1e-5", n=10, max_evaluations=300)


def test_a_comparison_can_be_stopped_inside_a_row():
    class Enough(Exception):
        pass

    def watch(done):
        if done >= 30:
            raise Enough

    made = []
    asked = [Request("a", 10), Request("a", solver="euler", steps=100)]
    with pytest.raises(Enough):
        for row in compare(*resolve(asked, SMALL.__getitem__), watch=watch):
            made.append(row)
    assert [str(row.request) for row in made] == ["a:euler:2:1"]


def test_digits_are_judged_and_the_class_any_is_not():
    (row,) = rows("mnist-meanflow:average:1:2", n=20, load=load)
    assert row.accuracy > 0.8 and row.right.shape == (20,)
    (row,) = rows("mnist-meanflow", n=2, label="any", load=load)
    assert row.right is None and row.numbers()["class_accuracy"] is None


@pytest.mark.parametrize("title", PRESETS)
@pytest.mark.parametrize("data", ["mnist", "moons"])
def test_every_preset_can_be_run(title, data):
    models = {name: read_config(path) for name, path in folders().items()}
    asked = preset(title, {n: c for n, c in models.items() if c.data == data})
    models, complete = resolve([replace(row, n=2) for row in asked], load)
    assert len(set(complete)) == len(asked) > 1
    if title == "Equal NFE: 1, 2, 4, 8":
        nfe = [row.samples.nfe for row in compare(models, complete)]
        assert nfe == [1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8]


def test_a_preset_takes_one_model_of_each_method(trained):
    models = {f"{k}-{m}": make_model(method=m).config for m in ("reflow", "meanflow") for k in "xy"}
    assert [s.model for s in preset("One evaluation each", models)] == ["x-reflow", "x-meanflow"]
    only = preset("Solvers at 16 NFE", {"r": make_model(method="reflow").config})
    assert {spec.model for spec in only} == {"r"}


def test_the_files_hold_what_was_measured(tmp_path):
    made = [measure(row) for row in rows("digits:euler:2", "digits:heun:2:1.5", n=3, seed=7)]
    png, text, table = comparisons.export_all(made, tmp_path)
    assert Image.open(png).width >= 3 * 4 * 28
    content = json.loads(Path(text).read_text())
    assert (content["n"], content["seed"]) == (3, 7)
    assert content["rows"] == [row.numbers() for row in made]
    with open(table, newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["rmse"]) for line in lines] == [row.rmse for row in made]
    assert [float(line["nfe"]) for line in lines] == [2, 8]  # the second is guided by two
    with pytest.raises(ValueError, match=r"end it in \.png"):
        comparisons.export(made, tmp_path / "a.gif")


def test_points_of_all_rows_are_drawn_at_one_scale(tmp_path):
    made = rows("a", "c", n=50)
    comparisons.export(made, tmp_path / "a.png")
    sheet = Image.open(tmp_path / "a.png")
    assert sheet.height == 2 * (480 + 2 * comparisons.CAPTION)


def test_the_command_line_compares(trained, capsys):
    from flowdemo.cli import main  # noqa: PLC0415

    for name in ("a", "c"):
        save(SMALL[name], trained / name)
    with pytest.raises(SystemExit) as stop:
        main.main(
            ["compare", "a:euler:3", "c", "--n", "4", "--json", "--out", str(trained / "x.png")]
        )
    assert stop.value.code == 0 and (trained / "x.png").is_file()
    lines = json.loads(capsys.readouterr().out)
    assert [(line["model"], line["nfe"]) for line in lines] == [("a", 3), ("c", 2)]
    assert all(line["rmse"] is not None and line["seconds"] > 0 for line in lines)
    with pytest.raises(SystemExit) as stop:
        main.main(["compare", "a", "mnist-meanflow"])
    assert stop.value.code == 1 and "must be the same" in capsys.readouterr().err
