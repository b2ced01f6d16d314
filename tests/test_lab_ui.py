"""The 2-D Lab behind its page: what is shown, trained, kept and refused, each visitor alone."""

import base64
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from gradio_client import Client

from flowdemo import checkpoints
from flowdemo.data import OWN
from flowdemo.evaluation.fields import SIDE, TIMES, Source, floor, velocity_field
from flowdemo.methods import METHODS
from flowdemo.training.live import LabTraining
from flowdemo.ui.lab import looks
from flowdemo.ui.lab import text as lab_text
from flowdemo.ui.lab import train as lab_train
from flowdemo.ui.lab import view as lab
from flowdemo.ui.lab.controls import (
    SHARED,
    Controls,
    Panels,
    asked_from,
    offered,
    opened_by,
    read,
    take_drawing,
    take_table,
)
from flowdemo.ui.lab.looks import Pairs, Place, back_to_noise, likelihood, two_kinds
from flowdemo.ui.lab.train import Asked, fresh_title, give_files, save_model
from flowdemo.ui.lab.view import View, link, measure, run, table
from flowdemo.ui.lab.workspace import EXACT, MAX_MODELS, Workspace
from flowdemo.ui.shared import text
from flowdemo.ui.shared.work import Stopped, Switch
from tests.pages import query_of, runner_of

SHOWN = (EXACT, "two-gaussians-flow-matching", "two-gaussians-meanflow")
VALUES = ("two-gaussians", list(SHOWN), 60, "any", 1.0, "euler", 4, 3)
TABLE = "x,y\n" + "\n".join(f"{k % 7},{k % 5}" for k in range(40))
QUICK = LabTraining("two-gaussians", steps=12)
CHAIN = ("flow-matching", "reflow", "reflow", "meanflow")


def train(plan, workspace):
    return lab_train.train(Asked(plan, workspace))


def train_chain(plan, workspace):
    return lab_train.train_chain(Asked(plan, workspace))


def press_train(workspace, plan, switch=None):
    """A press on Train with the controls as the plan has them."""
    runner = runner_of(lab_train.TRAIN_ONE)
    return runner.press(switch or Switch(), workspace, *vars(plan).values())


def at(data, title, **where):
    """A model of the plane, to look at."""
    workspace = Workspace()
    return Place(workspace.source(data), title, workspace.model(data, title), **where)


def films_of(text: str) -> list[dict]:
    return json.loads(text)["films"]


def floats(encoded: str, kind="<f4") -> np.ndarray:
    return np.frombuffer(base64.b64decode(encoded), kind)


def places(film: dict) -> np.ndarray:
    return floats(film["data"], "<i2") * film["scale"] / 32767


def cells(table: str) -> list[list[str]]:
    return [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr")[2:]]


@pytest.fixture(scope="module")
def view():
    *_, last = run(read(Workspace(), *VALUES))
    return last


def test_all_panels_start_from_the_same_noise_and_show_only_states_of_the_solver(view):
    shown = films_of(lab.VIEW["films"](view))
    assert [film["caption"] for film in shown] == list(SHOWN)
    states = [places(film).reshape(5, 60, 2) for film in shown]
    assert all(np.allclose(state[0], states[0][0], atol=1e-3) for state in states)
    assert all(film["times"] == [0, 0.25, 0.5, 0.75, 1] for film in shown)
    assert not np.allclose(states[1][-1], states[2][-1], atol=1e-2)


def test_the_numbers_follow_the_films_and_the_exact_velocity_has_no_error(view):
    assert all(row[2:] == ["…"] * 3 for row in cells(table(view)))
    states = [state for state in measure(view) if state is not None]
    assert [row[2] == "…" for row in cells(table(states[0]))] == [False, True, True]
    assert [row[2] for row in cells(table(replace(states[0], pending=False)))][1:] == ["\u2013"] * 2
    apart = floor(view.source, view.rows[0].samples)
    assert f"two real draws {apart:.3f}" in table(states[0]) and "real draws" not in table(view)
    last = cells(table(states[-1]))
    assert last[0][4] == "\u2013"
    assert all(0 < float(row[4]) < 3 for row in last[1:])
    assert [float(row[0]) for row in last] == [4, 4, 4]
    # Four Euler steps leave the Gaussians too narrow; MeanFlow's own steps do not.
    assert float(last[2][2]) < float(last[1][2])


def test_the_error_is_that_along_exact_samples_whatever_else_is_shown(view):
    alone = replace(view, rows=view.rows[1:2])
    *_, all_measured = measure(view)
    *_, one_measured = measure(alone)
    assert all_measured.rows[1].velocity_error == one_measured.rows[0].velocity_error > 0


def test_a_film_of_500_points_and_50_steps_is_small():
    titles = tuple(f"moons-{m}" for m in METHODS)
    *_, last = run(Panels(Workspace(), "moons", titles, replace(SHARED, steps=50)))
    assert len(lab.VIEW["films"](last)) < 1_000_000  # all three together


def test_no_weight_can_be_chosen_where_no_class_is():
    *_, weight = offered(Workspace(), "moons")
    assert weight["interactive"] is False
    for label, free in (("any", False), ("upper", True)):
        query = {"lab": "moons", "label": label, "guidance": "2"}
        (_, *updates), _ = opened_by(query)
        given = dict(zip(Controls.__dataclass_fields__, updates, strict=True))["guidance"]
        assert given["interactive"] is free


def test_models_that_are_gone_are_named_and_none_is_a_message():
    request = replace(SHARED, n=10, steps=1)
    asked = Panels(Workspace(), "two-gaussians", (EXACT, "gone"), request)
    *_, last = run(asked)
    assert "gone" in last.note and len(last.rows) == 1
    with pytest.raises(ValueError, match="choose a model"):
        list(run(replace(asked, titles=())))


def test_a_run_that_waits_can_be_stopped():
    switch = Switch()
    switch.begin()
    switch.stop()
    states = list(runner_of(lab.TAB).press(switch, Workspace(), *VALUES))
    assert states[-1][0] == text.STOPPED and not any(isinstance(s[1], str) for s in states)


def test_a_run_that_another_has_replaced_writes_no_numbers_over_it(view):
    """Two quick choices: the first is measured while the second comes onto the page."""
    switch, runner = Switch(), runner_of(lab.TAB)
    first, second = replace(view), replace(view)
    switch.shown = first
    states = runner.measure(switch, first)
    next(states), next(states)
    switch.shown = second
    assert list(states) == [] and switch.shown is second


def test_arrows_are_those_of_the_network(view):
    film = films_of(lab.VIEW["films"](view))[1]
    arrows = floats(film["field"]["data"], "i1").reshape(TIMES, 1, SIDE**2, 2).astype(float)
    field = velocity_field(view.rows[1].model, film["extent"])[:, None].numpy()
    length = np.linalg.norm(field, axis=-1)
    cosine = (arrows * field).sum(-1) / (length * np.linalg.norm(arrows, axis=-1) + 1e-9)
    assert np.quantile(cosine[length > 1], 0.05) > 0.99


def test_meanflow_has_an_arrow_for_every_pair_of_times_and_others_have_not(view):
    ends = [film["field"]["ends"] for film in films_of(lab.VIEW["films"](view))]
    assert ends == [1, 1, TIMES]


def test_the_error_layer_is_the_distance_to_the_exact_velocity(view):
    exact, learnt, _ = films_of(lab.VIEW["films"](view))
    assert "error" not in exact
    error = floats(learnt["error"]["data"], "u1").reshape(TIMES, -1) / 255
    model, source = view.rows[1].model, Source("two-gaussians")
    fields = [velocity_field(m, learnt["extent"]) for m in (model, source.exact())]
    wanted = (fields[0] - fields[1]).norm(dim=2).numpy()
    shown = wanted < learnt["error"]["worst"]
    assert np.allclose(error[shown] * learnt["error"]["worst"], wanted[shown], atol=0.03)


def test_own_points_are_asked_for_taken_and_shown():
    switch, workspace, runner = Switch(), Workspace(), runner_of(lab.TAB)
    asked = (OWN, [EXACT], 40, "any", 1.0, "euler", 3, 0)
    (only,) = runner.press(switch, workspace, *asked)
    assert only[0] == lab_text.OWN_FIRST
    said, models, file = take_table(switch, workspace, None, TABLE)
    assert "40 points" in said and models["value"] == [EXACT] and file is None
    assert len(workspace.points) == 40
    states = list(runner.press(switch, workspace, *asked))
    (shown,) = [state[1] for state in states if isinstance(state[1], str)]
    real = floats(films_of(shown)[0]["real"]).reshape(-1, 2)
    assert {tuple(p) for p in real.tolist()} <= {tuple(p) for p in workspace.points.tolist()}


@pytest.mark.parametrize(
    "table, message",
    [
        ("", "10 to 20000 points"),
        ("1,2", "10 to 20000 points are needed, not 1"),
        ("a table\n" * 12, "line 2 must be two numbers"),
        ("1,2\n" * 12 + "3,nan\n", "line 13 must be finite"),
        ("1,2,3\n" * 12, "line 1 must be two numbers"),
        ("1,2\n" * 12, "all lie in one place"),
    ],
)
def test_bad_tables_are_refused_and_the_old_points_stay(table, message):
    workspace = Workspace(points=torch.randn(20, 2))
    before = workspace.points
    with pytest.raises(gr.Error, match=message):
        take_table(Switch(), workspace, None, table)
    assert workspace.points is before


def test_a_drawing_is_a_table_and_nothing_drawn_a_message():
    workspace = Workspace()
    said, _ = take_drawing(Switch(), workspace, TABLE)
    assert "40 points" in said and len(workspace.points) == 40
    for nothing in (None, "", "\n"):
        with pytest.raises(gr.Error, match="nothing is drawn"):
            take_drawing(Switch(), workspace, nothing)


def test_a_link_brings_the_panels_back_and_a_wrong_one_is_a_message():
    asked = read(Workspace(), "spirals", ["spirals-reflow"], 200, "all", 2.0, "heun", 7, 5)
    query = query_of(link(View(Source("spirals"), asked, [])))
    assert asked_from(query) == asked
    wrong = [{"n": "x"}, {"n": "5"}, {"steps": "1000"}, {"seed": "-1"}, {"label": "0"}]
    wrong += [{"solver": "dopri5"}, {"label": "x"}, {"lab": "mnist"}, {"lab": OWN}]
    for changes in wrong:
        with pytest.raises(ValueError):
            asked_from({"lab": "moons"} | changes)


def test_a_link_says_when_the_weights_are_others_now(view):
    query = query_of(link(view))
    for changes, said in (({}, text.IDLE), ({"rev": "abc"}, "other weights (abc)")):
        request = SimpleNamespace(query_params=query | changes)
        *_, status, tabs = runner_of(lab.TAB).open_link(request, 9, turn=True)
        assert said in status and tabs.selected == "lab"


def test_the_tab_that_a_link_opens_is_not_run_a_second_time():
    def states(query):
        request = SimpleNamespace(query_params=query)
        return list(runner_of(lab.TAB).opened(request, Switch(), Workspace(), *VALUES))

    (nothing,) = states({"lab": "moons"})
    assert nothing == [gr.skip()] * len(nothing)
    assert any(isinstance(state[1], str) for state in states({}))


def test_training_is_shown_from_its_first_steps_and_its_model_is_kept():
    workspace = Workspace()
    states = list(train(replace(QUICK, steps=150), workspace))
    views = [state for state in states if not isinstance(state, str)]
    drawn = [view for view in views if view.film is not None]
    assert drawn[0].curve.losses[0][0] < 100 and drawn[-1].curve.losses[-1][0] == 150
    assert drawn[-1].curve.floor > 0
    assert list(workspace.models) == ["yours: Flow matching"]
    assert "yours: Flow matching" in views[-1].summary


def test_stop_keeps_what_there_is():
    workspace, switch = Workspace(), Switch()
    plan = LabTraining("two-gaussians", steps=20_000)
    states = press_train(workspace, plan, switch)
    next(states)
    switch.stop()
    assert list(states)[-1][0] == text.STOPPED
    model = workspace.models["yours: Flow matching"]
    assert 0 < model.config.training["images_seen"] < 20_000 * 256


def test_the_chain_learns_each_from_the_one_before():
    workspace = Workspace()
    list(train(replace(QUICK, data="moons"), workspace))
    list(train(QUICK, workspace))
    list(train_chain(QUICK, workspace))
    kept, *models = workspace.models.values()
    assert kept.config.data == "moons"  # of other data nothing is lost
    assert tuple(model.config.method for model in models) == CHAIN
    assert list(workspace.models)[2:4] == ["yours: Reflow", "yours: Reflow 2"]
    teachers = [model.config.recipe.teacher for model in models]
    assert teachers == [None, *(model.config.recipe.name for model in models[:-1])]


def test_a_workspace_keeps_the_newest_models_under_names_of_their_own():
    workspace = Workspace()
    for k in range(MAX_MODELS + 2):
        workspace.keep(fresh_title("reflow", workspace), k)
    assert list(workspace.models.values()) == list(range(2, MAX_MODELS + 2))
    assert fresh_title("reflow", workspace) not in workspace.models


def test_a_chain_that_cannot_begin_loses_nothing():
    workspace = Workspace()
    list(train(QUICK, workspace))
    for plan in (LabTraining(OWN), LabTraining("two-gaussians", path="bent")):
        with pytest.raises(ValueError):
            list(train_chain(plan, workspace))
    assert len(workspace.models) == 1


def test_a_run_on_points_that_were_replaced_meanwhile_is_dropped():
    workspace = Workspace()
    workspace.take(torch.randn(50, 2))
    running = train(LabTraining(OWN, steps=12), workspace)
    next(running)
    workspace.take(torch.randn(60, 2))
    assert "other points" in list(running)[-1] and workspace.models == {}


def test_a_chain_on_points_that_were_replaced_meanwhile_ends_in_words():
    workspace = Workspace()
    list(train(QUICK, workspace))
    workspace.take(torch.randn(50, 2))
    running = train_chain(LabTraining(OWN, steps=12), workspace)
    next(running)
    workspace.take(torch.randn(60, 2))
    with pytest.raises(ValueError, match="train flow matching first"):
        list(running)
    assert list(workspace.models) == ["yours: Flow matching"]  # of the other data


@pytest.mark.parametrize(
    "change", [{"method": "gan"}, {"path": "bent"}, {"times": "never"}, {"seed": -1}, {"steps": 0}]
)
def test_a_wish_for_what_there_is_not_is_one_line(change):
    with pytest.raises(ValueError) as caught:
        list(train(replace(QUICK, **change), Workspace()))
    assert "\n" not in str(caught.value)


def test_reflow_without_a_flow_is_refused():
    with pytest.raises(gr.Error, match="train flow matching first"):
        list(press_train(Workspace(), LabTraining("two-gaussians", "reflow")))


def test_a_public_page_trains_shortly_and_saves_nothing(monkeypatch, trained):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    with pytest.raises(gr.Error, match="at most 3000 steps"):
        list(press_train(Workspace(), LabTraining("moons", steps=3100)))
    workspace = Workspace()
    list(train(QUICK, workspace))
    with pytest.raises(gr.Error, match="public"):
        save_model(workspace, "yours: Flow matching", "mine")
    assert list(trained.iterdir()) == []
    files = give_files(workspace, "yours: Flow matching")["value"]
    assert [file.rsplit("/", 1)[1] for file in files] == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip


def test_a_saved_model_stands_in_the_catalogue(trained):
    workspace = Workspace()
    list(train(QUICK, workspace))
    save_model(workspace, "yours: Flow matching", "two-gaussians-mine")
    assert checkpoints.configs()["two-gaussians-mine"].data == "two-gaussians"
    for name in ("two-gaussians-mine", "moons-reflow", "../x", "", "Capital"):
        with pytest.raises(gr.Error):
            save_model(workspace, "yours: Flow matching", name)
    with pytest.raises(gr.Error, match="train a model first"):
        save_model(workspace, "not there", "name")


def test_conditional_paths_are_straight_and_both_films_start_from_the_same_noise():
    look = two_kinds(Pairs(Source("moons"), "linear", "independent", 1))
    conditional, marginal = films_of(look.shown)
    straight, bent = (places(f).reshape(41, 24, 2) for f in (conditional, marginal))
    assert np.allclose(straight[0], bent[0], atol=1e-3)
    assert np.allclose(np.diff(straight, n=2, axis=0), 0, atol=1e-3)
    assert np.abs(np.diff(bent, n=2, axis=0)).max() > 1e-2


def test_back_to_noise_says_how_far_the_round_trip_misses():
    *_, look = back_to_noise(at("two-gaussians", "two-gaussians-reflow", seed=1))
    error = float(re.search(r"error ([\d.e-]+)", look.words).group(1))
    back, forth = films_of(look.shown)
    ends = [places(film).reshape(51, 300, 2) for film in (back, forth)]
    assert np.sqrt(((ends[0][-1] - ends[1][-1]) ** 2).mean()) == pytest.approx(error, abs=1e-3)
    assert 0 < error < 1e-3


def test_the_likelihood_map_shows_the_density_and_its_integral():
    *_, look = likelihood(at("two-gaussians", EXACT, point=(4.0, 0.0)))
    at_mean = float(re.search(r"= (-?[\d.]+) nats", look.words).group(1))
    assert at_mean == pytest.approx(np.log(0.5 / (2 * np.pi)), abs=2e-3)
    mass = float(re.search(r"integrates to ([\d.]+)", look.words).group(1))
    assert mass == pytest.approx(1, abs=5e-3)
    with pytest.raises(ValueError, match="no 'gone'"):
        at("two-gaussians", "gone")


def test_two_kinds_of_path_can_be_stopped():
    switch = Switch()
    switch.begin()
    switch.stop()
    asked = (switch, Workspace(), "moons", "linear", "independent", 0)
    states = runner_of(looks.CONDITIONAL_PATHS).press(*asked)
    assert [state[0] for state in states] == [text.STOPPED]


def test_a_look_that_is_not_wanted_any_more_stops():
    with pytest.raises(Stopped):
        list(likelihood(at("moons", "moons-flow-matching"), lambda: False))


def test_a_client_trains_and_samples_its_own_model_and_no_other_client_sees_it(server):
    one, other = (Client(server, verbose=False) for _ in range(2))
    files, numbers = one.predict(data="two-gaussians", steps=30, api_name="/lab_train")
    assert numbers["title"] == "yours: Flow matching" and numbers["wasserstein_2"] > 0
    assert sorted(file.rsplit("/", 1)[1] for file in files) == [
        "README.md", "config.json", "curve.csv", "model.safetensors",
    ]  # fmt: skip
    _, mine = one.predict(data="two-gaussians", n=50, api_name="/lab_sample")
    assert mine["model"] == numbers["title"] and mine["nfe"] == 50
    _, theirs = other.predict(data="two-gaussians", n=50, api_name="/lab_sample")
    assert theirs["model"] == EXACT


def test_a_client_brings_its_own_points(server):
    client = Client(server, verbose=False)
    _, numbers = client.predict(points=TABLE, steps=20, api_name="/lab_train")
    files, made = client.predict(data=OWN, n=30, steps=5, api_name="/lab_sample")
    (arrays,) = [file for file in files if file.endswith(".npz")]
    assert np.load(arrays)["points"].shape == (30, 2) and made["model"] == numbers["title"]
    with pytest.raises(Exception, match="no model 'nothing'"):
        client.predict(data="moons", model="nothing", api_name="/lab_sample")
