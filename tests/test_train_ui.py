"""The Train tab behind its page: what is offered, runs, and what becomes of their results."""

import zipfile
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from flowdemo.checkpoints import load, read_config, save
from flowdemo.evaluation.compare import compare as run_rows
from flowdemo.evaluation.compare import resolve
from flowdemo.sampling.request import Request
from flowdemo.training.finetune import Tuned
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.trainer import Progress
from flowdemo.ui.compare import view as compare
from flowdemo.ui.generate import controls
from flowdemo.ui.generate.controls import default_request, properties
from flowdemo.ui.shared import text
from flowdemo.ui.shared.models import by_data
from flowdemo.ui.shared.work import Stopped, Switch
from flowdemo.ui.train import tab as train_tab
from flowdemo.ui.train import view as train
from flowdemo.ui.train.controls import add_drawing
from flowdemo.ui.train.view import TAB, Clock, Curve, View
from tests.conftest import make_model
from tests.drawings import PLAN, VALUES, basket_of, pad, press, run
from tests.pages import runner_of, states_of


def views_of(states) -> list[View]:
    return [state for state in states if not isinstance(state, str)]


def test_only_networks_that_can_learn_are_offered(tiny):
    save(make_model("mnist", "reflow"), tiny / "pairs")
    save(make_model("moons"), tiny / "points")
    fixed = make_model("mnist", "meanflow").config
    plan = read_recipe("mnist-meanflow", ["net.guidance=false", "guidance=[1,1]", "share_unguided=0.25",
                                          "teacher=null", "meanflow.omega=2"])  # fmt: skip
    trained_in = fixed.model_copy(update={"recipe": plan})
    save(replace(make_model("mnist", "meanflow"), config=trained_in), tiny / "guided")
    assert "guided" in by_data()["mnist"]["meanflow"]
    names = train.offered()
    assert names[0] == "mnist-meanflow" and {"mnist-flow-matching", "tiny"} <= set(names)
    assert not {"pairs", "points", "guided", "mnist-reflow", "moons-meanflow"} & set(names)


def test_a_step_that_is_left_out_does_not_end_the_curve():
    curve = Curve()
    for step, loss in enumerate((1.0, float("nan"), 2.0), start=1):
        curve = curve.then(Progress(step, 3, loss, loss, 0.0, 0.0, None, None, None))
    assert [step for step, *_ in curve.points] == [1, 3]
    assert curve.mean == pytest.approx((1.05, 1.05))


def test_what_went_wrong_is_said_with_the_result(tiny):
    model = make_model("mnist", "meanflow", guidance_input=True)
    cost = {"images_seen": 144, "hours": 0, "machine": "here"}
    model = replace(model, config=model.config.model_copy(update={"training": cost}))
    last = Progress(3, 3, 1.0, 1.0, 0.0, 0.0, None, None, None)
    tuned = Tuned(model, 3, None, None, "too fast")
    words = train.finished(tuned, replace(PLAN, name="mine"), ["7"], Curve(), last).note
    assert words.startswith("Too fast. Done: mine")


def test_a_run_ends_as_a_checkpoint_that_every_tab_takes(tiny):
    *states, last = run(PLAN, "tiny", basket_of())
    assert any("Rehearsing" in state for state in states if isinstance(state, str))
    assert any(v.samples and "cross (learning)" in v.samples for v in views_of(states))
    assert [step for step, *_ in last.curve.points] == [1, 2, 3]
    config = read_config(tiny / "mine")
    assert config.classes == (*"0123456789", "cross") and config.finetune.start == "tiny"
    assert "mine" in by_data()["mnist"]["meanflow"]
    _, _, models = controls.refresh("mine")
    assert ("mine", "mine") in models["choices"]
    assert "cross" in properties(default_request("mine"))["label"]["choices"]
    rows = list(run_rows(*resolve([Request("tiny", 3), Request("mine")], load)))
    assert [row.samples.labels.tolist() for row in rows] == [[0, 1, 2]] * 2
    report = last.report
    assert (report["name"], report["steps"], report["images_seen"]) == ("mine", 3, 3 * 48)
    assert 0 <= report["accuracy_after"] <= 1 and f"{report['accuracy_after']:.1%}" in last.numbers


def test_a_press_updates_the_page_and_its_last_update_can_be_opened(tiny):
    shown = states_of(runner_of(TAB), *press(Switch(), None, basket_of(), "tiny", *VALUES))
    assert "Rehearsing" in shown[0]["status"] and shown[-1]["status"].startswith("Done: mine")
    shown = [state for state in shown if isinstance(state["view"], View)]
    last = shown[-1]
    # What an earlier run left can be opened until there are steps.
    after = [state["after"]["visible"] for state in shown]
    assert len(after) > 1 and after[-1] is True and not any(after[:-1])
    for state in shown[:-1]:
        assert isinstance(state["loss"], dict) == isinstance(state["samples"], dict)  # skipped
        assert state["numbers"] == ""
    assert "steps" in last["numbers"]
    assert list(last["loss"].columns) == ["step", "loss"] and len(last["error"]) == 3
    assert (last["view"].name, last["name"]) == ("mine", "tiny-mine")
    with zipfile.ZipFile(last["files"]) as file:
        assert sorted(file.namelist()) == [
            "mine/README.md", "mine/config.json", "mine/model.safetensors",
        ]  # fmt: skip
    switch = Switch()
    tabs, *updates = train_tab.open_in_generate(switch, last["view"])
    assert tabs.selected == "generate" and updates[0]["value"] == "mine"
    assert updates[2]["value"] == "cross" and switch.newest == 2
    tabs, rows, *_ = train_tab.open_in_compare(switch, last["view"])
    request = SimpleNamespace(query_params={})
    (nothing,) = runner_of(compare.TAB).opened(request, switch, rows, 2, "all", 1)
    assert nothing == [gr.skip()] * len(nothing)  # nothing runs a second time
    assert rows.splitlines() == ["tiny:average:2:1", "mine:average:2:1"]


def test_a_name_that_is_taken_gets_a_number_and_one_that_is_none_is_refused(tiny):
    basket = basket_of(1)
    names = [list(run(replace(PLAN, steps=1), "tiny", basket))[-1].name for _ in range(2)]
    assert names == ["mine", "mine-2"]
    assert train.fresh_name("x-mine") == "x-mine" and train.fresh_name("a/B-mine-3") == "b-mine"
    with pytest.raises(gr.Error, match="is no name"):
        list(press(Switch(), None, basket, "tiny", "../x", *VALUES[1:]))


def test_stop_keeps_what_is_learnt_and_before_that_nothing(tiny):
    left = iter([True] * 14)  # ten classes, and a few steps
    *_, last = run(replace(PLAN, steps=500), "tiny", basket_of(), lambda: next(left, False))
    assert last.name == "mine" and 1 <= last.report["steps"] < 20
    left = iter([True] * 4)
    with pytest.raises(Stopped):
        list(run(replace(PLAN, name="none"), "tiny", basket_of(), lambda: next(left, False)))
    switch = Switch()
    switch.begin()
    switch.stop()  # while it waits for its turn
    states = list(press(switch, None, basket_of(), "tiny", "none", *VALUES[1:]))
    assert states[-1][0] == text.STOPPED and not (tiny / "none").exists()


def test_of_presses_that_wait_only_the_newest_runs_and_of_what_was_gathered_at_it(tiny):
    switch, basket = Switch(), basket_of(1, "cross")
    first = train_tab.begin(switch, basket)
    switch.stop()
    add_drawing(basket, "tiny", "ring", pad())
    second = train_tab.begin(switch, basket)
    add_drawing(basket, "tiny", "late", pad())
    basket.data = "cifar10"  # another checkpoint was chosen
    states = list(press(switch, first, basket, "tiny", "none", *VALUES[1:]))
    assert [state[0] for state in states] == [text.STOPPED] and not (tiny / "none").exists()
    list(press(switch, second, basket, "tiny", *VALUES))
    assert read_config(tiny / "mine").finetune.classes == ("cross", "ring")
    assert basket.asked is None  # the copy is not kept
    with pytest.raises(ValueError, match="added for another network"):
        list(run(PLAN, "tiny", basket))


def test_what_is_learnt_is_kept_when_the_page_is_closed(tiny):
    states = run(replace(PLAN, steps=500), "tiny", basket_of())
    next(state for state in states if isinstance(state, View))
    states.close()
    assert read_config(tiny / "mine").classes[-1] == "cross"
    states = run(replace(PLAN, name="none"), "tiny", basket_of())
    next(states)
    states.close()
    assert not (tiny / "none").exists()


def test_a_run_that_was_cut_says_so_and_counts_the_time_that_it_has(tiny, monkeypatch):
    *states, last = run(replace(PLAN, steps=500, seconds=0.01), "tiny", basket_of(1))
    assert "The time was over after 1 of 500 steps" in last.note
    assert any("about 0 s left" in state for state in states if isinstance(state, str))
    for minutes in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="minutes must be more than 0"):
            train.allowed(replace(PLAN, seconds=minutes))
    now = [0.0]
    monkeypatch.setattr(train.time, "perf_counter", lambda: now[0])
    clock = Clock(60)

    def told(step, at):
        now[0] = at
        return clock.said(Progress(step, 100, 1.0, 1.0, 0.0, 2.0, None, None, None))

    assert told(10, 20.0) == "Step 10 of 100, about 18 s left"  # 2 s for ten, without drawing
    assert told(30, 28.0) == "Step 30 of 100, about 28 s left"  # 0.4 s each, drawing and all
    assert told(31, 59.0) == "Step 31 of 100, about 1 s left"  # then it ends


def test_a_curve_is_thinned_out_and_drawing_leaves_the_time_to_training(monkeypatch):
    curve = Curve()
    for step in range(1, 1300):
        curve = curve.then(Progress(step, 1300, 1.0, step, 0.0, 0.0, None, None, None))
    steps = [step for step, *_ in curve.points]
    assert len(steps) <= train.POINTS and steps == sorted(set(steps)) and steps[-1] > 1280
    assert curve.points[-1][1] == pytest.approx(1) and curve.points[-1][2] < 1290
    now = [0.0]
    monkeypatch.setattr(train.time, "perf_counter", lambda: now[0])
    clock = Clock()

    def slow():
        now[0] += 3
        return "drawn"

    assert clock.draw(slow) == "drawn"
    for passed, due in ((15, None), (6, "drawn")):
        now[0] += passed
        assert clock.draw(slow) == due
