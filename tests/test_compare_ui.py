"""The Compare tab by its functions."""

import json
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from flowdemo.checkpoints import load, save
from flowdemo.ui.compare import add_row
from flowdemo.ui.compare import view as compare
from flowdemo.ui.compare.controls import SHARED, choose_preset, lines_of, of_preset, opened_by, read
from flowdemo.ui.compare.view import beside, export_rows, films, link, measure, nearest, run, table
from flowdemo.ui.shared import text
from flowdemo.ui.shared.work import Stopped, Switch
from tests.conftest import make_model
from tests.pages import query_of, runner_of, states_of

POINTS = "moons-flow-matching:euler:4\nmoons-meanflow"


def views(rows, n=20, label="all", seed=42, wanted=lambda: True):
    states = run(read(rows, n, label, seed), wanted)
    return [state for state in states if not isinstance(state, str)]


def test_rows_appear_as_they_finish_and_share_one_player():
    first, second = views(POINTS)
    assert (len(first.rows), len(second.rows)) == (1, 2)
    shown = json.loads(films(second))["films"]
    assert [len(film["times"]) for film in shown] == [5, 2]
    assert shown[0]["caption"].startswith("moons-flow-matching, euler, 4 step(s), w = 1: NFE 4")
    assert shown[0]["colour"] == "#0072B2" and shown[1]["colour"] == "#009E73"
    assert table(second).count("<tr") == 3 and table(second).count("…") == 4  # numbers to come


def test_the_slow_numbers_follow_row_by_row():
    *_, view = views(POINTS)
    steps = [state for state in measure(view) if state is not None]
    assert [table(state).count("…") for state in steps] == [2, 0]
    assert [row.rmse is None for row in steps[0].rows] == [False, True]


def test_the_exported_numbers_are_those_of_the_table():
    *_, view = views(POINTS)
    *_, view = measure(view)
    update = export_rows(view)
    (path,) = [f for f in update["value"] if f.endswith(".json")]
    for row in json.loads(Path(path).read_text())["rows"]:
        assert f"{row['rmse']:.4f}" in table(view) and f"{row['straightness']:.3f}" in table(view)


def test_only_the_rows_on_the_page_are_measured_there():
    """The measuring of one comparison may have waited while another one took its place."""
    *_, view = views(POINTS)
    assert len(list(runner_of(compare.TAB).measure(showing(None), view))) == 1


def showing(view):
    switch = Switch()
    switch.shown = view
    return switch


def test_a_stopped_measurement_says_that_nothing_more_comes():
    *_, view = views(POINTS)
    for action, count in (("stop", 1), ("begin", 0)):
        switch = showing(view)
        states = runner_of(compare.TAB).measure(switch, view)
        next(states)
        getattr(switch, action)()
        late = [state[0] for state in states if isinstance(state[0], str)]
        # After Stop; but a comparison that began meanwhile has the table for itself.
        assert len(late) == count and all("…" not in t and "\u2013" in t for t in late)


def test_an_error_leaves_no_progress_behind():
    rows = "moons-flow-matching:euler:900\nmoons-flow-matching:dopri5@1e-6"
    runner, seen = runner_of(compare.TAB), []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(gr.Error, match="larger tolerance"):
        patch.setenv("FLOWDEMO_PUBLIC", "1")
        for state in runner.press(Switch(), rows, 1000, "all", 0):
            seen.append(state)
    states = states_of(runner, *seen)
    assert states[-1]["status"] == text.IDLE
    assert any(isinstance(state["view"], compare.View) for state in states)  # of the first row


def test_points_of_all_rows_are_at_one_scale():
    rows = "two-gaussians-flow-matching:euler:1\ntwo-gaussians-meanflow"
    *_, view = views(rows, n=50)
    first, second = json.loads(films(view))["films"]
    assert first["extent"] == second["extent"]
    furthest = max(row.samples.trajectory.states.abs().max().item() for row in view.rows)
    assert first["extent"] == pytest.approx(1.08 * furthest, abs=1e-3)
    a, b = beside(view, "1. x", "2. y")
    assert a.size == b.size


def test_a_comparison_stops_between_and_inside_rows():
    rows = "moons-flow-matching:euler:2\nmoons-flow-matching:euler:200"
    long, seen = read(rows, 1000, "all", 42), []

    def wanted():
        return len(seen) < 1

    with pytest.raises(Stopped):
        for state in run(long, wanted):
            if not isinstance(state, str):
                seen.append(state)
    assert len(seen) == 1 and len(seen[0].rows) == 1


def test_quality_is_that_of_the_cards_and_nothing_else():
    *_, view = views(POINTS)
    figure, accuracy, timing = view.quality
    assert accuracy is None  # of points
    names = list(dict.fromkeys(row.request.model for row in view.rows))
    assert {t.name.partition(",")[0] for t in figure.data} == set(names) and len(names) == 2
    for name in names:
        measured_rows = load(name).config.results["rows"]
        for w in {row["guidance"] for row in measured_rows}:
            (trace,) = [t for t in figure.data if t.name == f"{name}, w = {w:g}"]
            wanted = [(r["nfe"], r["wasserstein_2"]) for r in measured_rows if r["guidance"] == w]
            assert list(zip(trace.x, trace.y, strict=True)) == wanted
    assert [dot.x[0] for dot in timing.data] == [4, 1]


def test_an_unmeasured_checkpoint_has_no_curve(trained):
    save(make_model(), trained / "moons-new")
    *_, view = views("moons-new:euler:2", n=2)
    assert view.quality[:2] == (None, None)
    *_, view = views("moons-new:euler:2\nmoons-reflow:euler:1", n=2)
    assert {t.name.partition(",")[0] for t in view.quality[0].data} == {"moons-reflow"}


def test_models_of_one_method_have_one_colour_and_marks_of_their_own():
    *_, view = views("mnist-meanflow\nmnist-reflow\nmnist-meanflow-scratch", n=1)
    marks = {
        (t.name.partition(",")[0], t.line.color, t.marker.symbol) for t in view.quality[0].data
    }
    assert {(name, symbol) for name, _, symbol in marks} == {
        ("mnist-meanflow", "circle"), ("mnist-reflow", "circle"),
        ("mnist-meanflow-scratch", "diamond"),
    }  # fmt: skip
    assert len({colour for name, colour, _ in marks if "meanflow" in name}) == 1


def test_a_link_brings_the_comparison_back():
    *_, view = views(POINTS, 7, "upper", 5)
    (rows, n, label, seed, *_), _ = opened_by(query_of(link(view)))
    assert rows == "moons-flow-matching:euler:4:1\nmoons-meanflow:average:1:1"
    assert (n["value"], label["value"], seed) == (7, "upper", 5)


def test_a_link_says_when_the_weights_are_others_now():
    *_, view = views("moons-flow-matching:euler:1\nmoons-reflow:euler:1", 2)
    query = query_of(link(view))
    assert len(query["rev"].split(",")) == 2

    def status(changes):
        request = SimpleNamespace(query_params=query | changes)
        return runner_of(compare.TAB).open_link(request, 7, turn=True)[-2]

    assert status({}) == text.IDLE
    assert "other weights (&lt;b&gt;)" in status({"rev": "<b>"})


def test_the_first_comparison_is_every_method_as_it_is_meant():
    rows, _ = of_preset("As each is meant", "mnist", SHARED)
    assert lines_of(rows).splitlines() == [
        "mnist-flow-matching:euler:50:1", "mnist-reflow:euler:1:1", "mnist-meanflow:average:1:1",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no model of 'nothing'"):
        of_preset("CFG sweep", "nothing", SHARED)


def test_the_columns_of_the_contact_sheet_are_the_classes():
    def chosen(title, data):
        rows, n, label, *_ = choose_preset(Switch(), data, title, 3, "7", 5)
        return rows.count("\n") + 1, n["value"], label["value"]

    assert chosen("Contact sheet: CFG x steps", "mnist") == (9, 10, "all")
    assert chosen("Contact sheet: CFG x steps", "moons") == (9, 3, "all")  # points have no columns
    assert chosen("CFG sweep", "mnist") == (5, 3, "7")  # others keep both


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "1 to 16 rows"),
        ("moons-meanflow\n" * 100, "1 to 16 rows, not 100"),
        ("gone:euler:1", "no model 'gone'"),
        ("moons-meanflow\nmnist-meanflow", "must be the same"),
        ("moons-meanflow:euler:99999", "steps must lie in"),
    ],
)
def test_wrong_rows_are_one_message_and_change_nothing(rows, message):
    with pytest.raises(gr.Error, match=message):
        list(runner_of(compare.TAB).press(Switch(), rows, 4, "all", 0))


def test_a_public_app_takes_fewer_rows(monkeypatch):
    thirteen = "moons-meanflow\n" * 13
    assert len(views(thirteen, n=1)) == 13
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    with pytest.raises(ValueError, match="1 to 12 rows, not 13"):
        views(thirteen, n=1)


def test_what_is_measured_are_the_weights_that_made_the_samples(trained):
    save(make_model(), trained / "moons-mine")
    *_, view = views("moons-mine:euler:2", n=2)
    *_, before = measure(view)
    save(make_model("moons", "reflow", guidance_input=True), trained / "moons-mine")
    *_, after = measure(view)
    assert after.rows[0].rmse == before.rows[0].rmse
    *_, other = measure(views("moons-mine:euler:2", n=2)[-1])
    assert other.rows[0].rmse != before.rows[0].rmse


def test_a_row_is_added_only_if_the_model_offers_it():
    one = add_row.with_row("", "moons-meanflow", "average", 1, 1e-3, 2.0)
    two = add_row.with_row(one + "\n\n", "moons-flow-matching", "dopri5", 1, 1e-4, 1.0)
    assert two == "moons-meanflow:average:1:2\nmoons-flow-matching:dopri5@0.0001:1"
    with pytest.raises(gr.Error, match="offers no solver"):
        add_row.with_row(one, "moons-flow-matching", "average", 1, 1e-3, 1.0)
    solver, steps, _, tolerance = add_row.offered_by("moons-flow-matching")
    assert "average" not in solver["choices"] and steps["visible"] and not tolerance["visible"]


def test_the_nearest_real_images_are_those_of_the_chosen_row():
    *_, view = views("mnist-meanflow:average:1:1\nmnist-reflow:euler:1:1", 3)
    shown = [nearest(view, name) for name in ("1. x", "2. y")]
    assert shown[0][1].tobytes() != shown[1][1].tobytes() and "median" in shown[0][2]
    assert nearest(view, "typed") == [gr.skip()] * 3
    *_, points = views("moons-reflow:euler:1:1", 3)
    assert nearest(points, "1. x")[0] == gr.update(visible=False)


def test_two_rows_lie_beside_each_other():
    *_, view = views("mnist-meanflow\nmnist-reflow", n=4)
    a, b = beside(view, "1. x", "2. y")
    assert a.size == b.size and a.tobytes() != b.tobytes()
    for other in (None, "", "3. z", "0. z", "nonsense"):
        assert beside(view, "1. x", other) == gr.skip()
    assert beside(None, "1. x", "2. y") == gr.skip()


def test_nothing_to_export_says_so():
    with pytest.raises(gr.Error, match="press Compare"):
        export_rows(None)
