"""The Generate tab by its functions, and the app over HTTP."""

import inspect
import threading
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client
from PIL import Image
from plotly.graph_objects import Figure

from flowdemo import checkpoints
from flowdemo.checkpoints import folders, load, save
from flowdemo.methods import METHODS
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import sample
from flowdemo.ui import app
from flowdemo.ui.generate import controls
from flowdemo.ui.generate import view as generate
from flowdemo.ui.generate.controls import (
    default_request,
    find_class,
    guidable,
    opened_by,
    properties,
)
from flowdemo.ui.generate.view import View, export_run, is_live, link, numbers, run
from flowdemo.ui.lab.workspace import Workspace
from flowdemo.ui.models import events as shelf_events
from flowdemo.ui.shared.player import film
from flowdemo.ui.shared.work import TIMED, Stopped, Switch, in_background, yielding
from tests.conftest import make_model
from tests.pages import query_of, runner_of

DIGITS = Request("mnist-meanflow", n=4, seed=42)


def complete(*fields, **named) -> Request:
    request = Request(*fields, **named)
    return request.completed(load(request.model))


def last(request: Request) -> View:
    *_, view = run(request)
    return view


def test_a_run_ends_in_a_view_of_its_samples():
    view = last(DIGITS)
    made = sample(load("mnist-meanflow"), 4, "all", seed=42)
    assert np.array_equal(view.row.samples.images, made.images)
    shown = {name: show(view) for name, show in generate.VIEW.items()}
    assert shown["picture"].size == (4 * (4 * 29 - 1), 4 * 28)
    assert isinstance(shown["trajectories"], Figure) and isinstance(shown["rates"], Figure)
    assert ">1</dd>" in shown["numbers"] and "…" in shown["numbers"]  # straightness to come


def test_the_straightness_follows_the_picture():
    view = last(replace(DIGITS, n=2))
    *_, measured = generate.measure(view)
    assert "…" in numbers(view) and "…" not in numbers(measured)
    assert "…" not in numbers(replace(view, pending=False))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_one_colour(method):
    view = last(Request(f"moons-{method}", n=20, solver="euler", steps=3))
    assert METHODS[method].colour in numbers(view)
    assert generate.trajectories(view).data[1].line.color == METHODS[method].colour


def test_a_wrong_request_is_an_error_in_words():
    for changes, message in (
        ({"model": "none"}, "no model"),
        ({"label": "x"}, "no class"),
        ({"guidance": 99.0}, "guidance must lie"),
        ({"steps": 0}, "steps must lie"),
        ({"n": 64, "solver": "rk4", "steps": 1000}, "choose fewer"),
    ):
        with pytest.raises(ValueError, match=message):
            last(replace(DIGITS, **changes))


def test_a_public_app_allows_less(monkeypatch):
    big = replace(DIGITS, n=32, solver="rk4", steps=200)
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    with pytest.raises(ValueError, match="exceed the limit of 20000"):
        last(big)
    assert controls.properties(default_request("mnist-meanflow"))["n"]["maximum"] == 32


@pytest.mark.parametrize("name", list(folders()))
def test_every_model_opens_with_a_run_that_a_public_app_allows(name, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    request = default_request(name)
    assert len(last(replace(request, guidance=2.0)).row.samples.labels) == request.n


def test_a_broken_checkpoint_does_not_keep_the_app_from_starting(trained):
    folder = trained / "mnist-meanflow"
    save(load("mnist-meanflow"), folder)
    assert controls.first_request().model == "mnist-meanflow"
    (folder / "model.safetensors").unlink()
    assert controls.first_request().model != "mnist-meanflow"
    app.build_app()


def test_what_is_kept_for_an_hour_does_not_turn_into_another_visitors_run():
    """Gradio sets a state that has expired to its first value."""
    states = [block for block in app.build_app().blocks.values() if isinstance(block, gr.State)]
    kept = [state for state in states if state.time_to_live == 3600]
    assert [state.value for state in kept] == [Workspace()]  # that of an HTTP client


def test_what_a_model_does_not_offer_cannot_be_chosen():
    flow = properties(default_request("mnist-flow-matching"))
    mean = properties(default_request("mnist-meanflow"))
    assert "average" not in flow["solver"]["choices"] and "average" in mean["solver"]["choices"]
    assert flow["steps"]["visible"] and not flow["tolerance"]["visible"]
    adaptive = properties(complete("mnist-flow-matching", solver="dopri5"))
    assert adaptive["tolerance"]["visible"] and not adaptive["steps"]["visible"]
    assert properties(default_request("moons-reflow"))["label"]["choices"] == [
        "all", "upper", "lower", "any",
    ]  # fmt: skip


def test_another_model_keeps_what_it_can():
    old = Request(
        "mnist-flow-matching", n=9, label="7", guidance=2.5, solver="rk4", steps=12, seed=5
    )
    new = controls.moved(old, "mnist-meanflow")
    assert (new.n, new.label, new.guidance, new.seed) == (9, 7, 2.5, 5)
    assert (new.solver, new.steps) == ("average", 1)
    points = controls.moved(old, "moons-reflow")
    assert points.label == "all" and points.n == 500


def values_of(query) -> list:
    """The values of the controls after a link was opened."""
    updates, _ = opened_by(query)
    return [update["value"] for update in updates[:8]]


def test_a_link_brings_the_same_request_back():
    asked = Request("moons-reflow", n=7, label="upper", guidance=1.5, solver="dopri5",
                    tolerance=1e-4, seed=3)  # fmt: skip
    query = query_of(link(last(asked)))
    assert controls.read(*values_of(query)) == asked
    assert query["rev"] == load("moons-reflow").revision
    with pytest.raises(ValueError):
        opened_by({"model": "moons-reflow", "n": "many"})


def test_only_cheap_runs_follow_the_sliders():
    two = complete("mnist-flow-matching", solver="euler", steps=2)
    assert is_live(default_request("mnist-meanflow")) and is_live(two)
    assert not is_live(replace(two, guidance=2.0))
    assert not is_live(complete("mnist-flow-matching", solver="dopri5"))


def test_the_player_gets_every_state_or_an_even_choice_with_both_ends():
    few = film(sample(load("mnist-meanflow"), 2, steps=3))
    assert few["numbers"] == [0, 1, 2, 3] and few["states"] == 4 and few["times"][-1] == 1
    many = film(sample(load("moons-flow-matching"), 4, solver="euler", steps=400))
    assert len(many["numbers"]) == 101 and many["numbers"][0] == 0 and many["numbers"][-1] == 400


def test_a_run_that_is_not_kept_any_more_says_so():
    with pytest.raises(gr.Error, match="press Generate"):
        export_run(None)
    assert len(list(runner_of(generate.TAB).measure(Switch(), None))) == 1  # nothing is measured


def test_only_the_run_on_the_page_is_measured_there():
    switch, runner = Switch(), runner_of(generate.TAB)
    values = [*vars(replace(DIGITS, n=2, guidance=1.0, solver="average", steps=1)).values()][:-1]
    views = []
    for seed in (1, 2):
        list(runner.press(switch, *values, seed))
        views.append(switch.shown)
    before, shown = views
    assert len(list(runner.measure(switch, before))) == 1
    *_, (html, view) = runner.measure(switch, shown)
    assert "straightness" in html and "…" not in html and view.row.straightness > 0


def endless(beats):
    """Work that goes on until it is stopped, for ten seconds at most."""

    def work(watch):
        for beat in range(1000):
            watch(beat)
            beats.append(beat)
            time.sleep(0.01)

    return work


def test_closing_a_run_stops_its_work():
    beats = []
    running = in_background(endless(beats), every=0.02)
    next(running)
    running.close()
    time.sleep(0.1)
    reached = len(beats)
    time.sleep(0.1)
    assert len(beats) == reached < 1000


@pytest.mark.parametrize("action", ["stop", "begin"])
def test_a_run_ends_when_it_is_stopped_or_another_begins(action):
    switch, beats = Switch(), []
    wanted = switch.wanted()
    running = in_background(endless(beats), wanted, every=0.02)
    next(running)
    getattr(switch, action)()
    with pytest.raises(Stopped):
        list(running)
    assert len(beats) < 1000 and not wanted()
    assert switch.wanted()() == (
        action == "begin"
    )  # what waits is stopped too, what is new goes on


def test_the_endpoints_are_the_promised_ones(server):
    """A snapshot: a change here breaks other people's scripts."""
    api = Client(server, verbose=False).view_api(return_format="dict", print_info=False)
    named = {
        name: [p["parameter_name"] for p in info["parameters"]]
        for name, info in api["named_endpoints"].items()
    }
    assert named == {
        "/generate": ["model", "n", "label", "guidance", "solver", "steps", "tolerance", "seed"],
        "/compare": ["spec", "n", "label", "seed"],
        "/models": [],
        "/pull": ["repo"],
        "/lab_train": [
            "data", "method", "path", "coupling", "times", "loss", "steps", "seed", "points",
        ],
        "/lab_sample": ["data", "model", "n", "label", "guidance", "solver", "steps", "seed"],
        "/finetune": [
            "model", "files", "data", "class_name", "name", "steps", "learning_rate", "frozen", "seed",
        ],
    }  # fmt: skip
    assert api["unnamed_endpoints"] == {}


def test_generate_over_http_returns_files_and_numbers(server):
    files, numbers = Client(server, verbose=False).predict(
        model="mnist-reflow", n=3, label="7", guidance=2.0, seed=5, api_name="/generate"
    )
    made = sample(load("mnist-reflow"), 3, 7, 2.0, seed=5)
    by_suffix = {Path(f).suffix: f for f in files}
    assert set(by_suffix) == {".png", ".gif", ".webp", ".npz", ".json"}
    with np.load(by_suffix[".npz"]) as arrays:
        assert np.abs(arrays["images"] / 255.0 - made.images.squeeze(1).numpy()).max() <= 2 / 255
    assert Image.open(by_suffix[".png"]).size == (4 * (2 * 29 - 1), 4 * (2 * 29 - 1))
    assert (
        numbers["nfe"] == 1 and numbers["model"] == "mnist-reflow" and numbers["straightness"] > 0
    )


def test_compare_over_http_returns_files_and_the_numbers_of_every_row(server):
    spec = "moons-flow-matching:euler:4,moons-meanflow:average:1:2"
    files, rows = Client(server, verbose=False).predict(spec=spec, n=5, seed=3, api_name="/compare")
    assert {Path(f).suffix for f in files} == {".png", ".json", ".csv"}
    assert [(row["model"], row["nfe"], row["guidance"]) for row in rows] == [
        ("moons-flow-matching", 4, 1), ("moons-meanflow", 1, 2),
    ]  # fmt: skip
    assert all(row["rmse"] > 0 and row["straightness"] > 0 for row in rows)


def test_an_error_over_http_says_what_is_wrong_and_the_app_stays_up(server):
    client = Client(server, verbose=False)
    with pytest.raises(Exception, match=r"no class '?11"):
        client.predict(model="mnist-meanflow", label="11", api_name="/generate")
    with pytest.raises(Exception, match="choose fewer samples or steps"):
        client.predict(
            model="mnist-meanflow", n=4000, solver="rk4", steps=1000, api_name="/generate"
        )
    assert len(client.predict(api_name="/models")) >= 9


def test_two_visitors_at_once_get_their_own_pictures(server):
    jobs = [
        Client(server, verbose=False).submit(
            model="mnist-meanflow", n=2, label=label, seed=seed, api_name="/generate"
        )
        for label, seed in (("3", 1), ("8", 2), ("3", 1))
    ]
    pictures = []
    for job in jobs:
        files, numbers = job.result()
        pictures.append(
            (numbers["label"], Path(next(f for f in files if f.endswith(".png"))).read_bytes())
        )
    assert [label for label, _ in pictures] == [3, 8, 3]
    assert pictures[0][1] == pictures[2][1] != pictures[1][1]


def test_measuring_waits_while_a_timed_run_goes_on():
    seen = []
    watch = yielding(seen.append)
    with TIMED:
        thread = threading.Thread(target=watch, args=[7])
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and seen == [7]
    thread.join(5)
    assert not thread.is_alive()


def test_guidance_rests_while_no_class_is_asked_for():
    request = default_request("mnist-meanflow")
    assert properties(request)["guidance"]["interactive"]
    assert not properties(replace(request, label="any"))["guidance"]["interactive"]
    assert guidable("7")["interactive"] and not guidable("any")["interactive"]


def test_every_event_that_may_say_an_error_is_queued():
    """Gradio shows no message for an error of an event that passes the queue by."""
    unqueued = [fn.fn for fn in app.build_app().fns.values() if fn.fn and fn.queue is False]
    assert len(unqueued) > 10
    speaking = [fn.__name__ for fn in unqueued if "spoken()" in inspect.getsource(fn)]
    assert speaking == []


def test_a_number_in_a_link_is_a_class_where_classes_have_names():
    query = {"model": "moons-flow-matching", "label": "1"}
    assert values_of(query)[2] == "lower"
    assert values_of(query | {"model": "mnist-reflow"})[2] == "1"
    assert values_of(query | {"label": "upper"})[2] == "upper"


def test_of_many_classes_one_is_looked_up():
    """ImageNet's thousand would be a wall of buttons."""
    shown = properties(default_request("imagenet256-flow-matching-sit-s"))
    assert shown["label"]["choices"] == ["all", "tench", "any"]
    assert shown["find"]["visible"] and len(shown["find"]["choices"]) == 1000
    assert find_class("volcano")["choices"] == ["all", "volcano", "any"]
    assert not properties(default_request("mnist-reflow"))["find"]["visible"]


def test_strangers_remove_nothing(monkeypatch, trained):
    checkpoints.save(make_model(), trained / "mine")
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    with pytest.raises(gr.Error, match="nothing can be removed"):
        shelf_events.delete([], "all", "mine")
    assert (trained / "mine").is_dir()
