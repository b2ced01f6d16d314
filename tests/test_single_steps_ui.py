"""Checkpoints that know single times: the app offers the steps that they make, and no others."""

from dataclasses import replace

import pytest

from flowdemo.checkpoints import save
from flowdemo.cli.main import main
from flowdemo.evaluation.compare import resolve
from flowdemo.sampling import presets
from flowdemo.sampling.request import Request
from flowdemo.ui.compare import add_row
from flowdemo.ui.compare.invert import goes_back
from flowdemo.ui.generate.controls import default_request, properties
from flowdemo.ui.generate.view import measure, numbers, run
from flowdemo.ui.lab.workspace import Workspace
from flowdemo.ui.shared.models import by_data, configs, load
from tests.conftest import make_model

DISTILLED = "mnist-reflow-distilled"


@pytest.fixture
def only_inverts(trained):
    model = make_model("mnist", "reflow", solver="euler", steps=1)
    changed = model.config.model_copy(update={"trained_times": "t1"})
    save(replace(model, config=changed), trained / "back")
    return "back"


def test_generate_and_the_adder_offer_one_euler_step_that_cannot_be_changed():
    p = properties(default_request(DISTILLED))
    assert p["solver"]["choices"] == ["euler"]
    assert (p["steps"]["value"], p["steps"]["interactive"]) == (1, False)
    assert properties(default_request("mnist-reflow"))["steps"]["interactive"] is True
    solver, steps, _ = add_row.offer(DISTILLED)
    assert solver["choices"] == ["euler"] and steps["interactive"] is False


def test_it_is_sampled_and_no_straightness_is_claimed():
    *_, view = run(default_request(DISTILLED))
    assert list(measure(view)) == []  # the numbers stay as they are
    *_, followed = run(default_request("mnist-reflow"))
    assert "\u2013" in numbers(view) and "…" in numbers(followed)


def test_other_steps_are_refused_by_name(capsys):
    with pytest.raises(ValueError, match=r"makes 1 step\(s\), not 4"):
        resolve([Request.parse(f"{DISTILLED}:euler:4")], load)
    with pytest.raises(SystemExit):
        main(["sample", DISTILLED, "--steps", "2"])
    assert "makes 1 step(s), not 2" in capsys.readouterr().err


def test_ready_made_rows_take_the_models_that_can_make_them():
    models = {name: config for name, config in configs().items() if config.data == "mnist"}
    rows = presets.preset("Equal NFE: 1, 2, 4, 8", models)
    assert {row.model for row in rows} & {DISTILLED, "mnist-reflow"} == {"mnist-reflow"}
    resolve(rows, load)


def test_what_only_inverts_is_offered_there_alone(only_inverts):
    assert only_inverts not in by_data()["mnist"]["reflow"]
    assert goes_back(configs()[only_inverts]) and not goes_back(configs()[DISTILLED])
    assert goes_back(configs()["mnist-reflow"])


def test_the_lab_draws_velocities_that_exist_at_every_time_in_the_plane_as_it_is(trained):
    usual = make_model("moons", "reflow", solver="euler", steps=1)
    changes = {"step": {"trained_times": "t0"}, "scaled": {"std": (2.0, 1.0)}, "usual": {}}
    for name, change in changes.items():
        save(replace(usual, config=usual.config.model_copy(update=change)), trained / name)
    shown = Workspace().titles("moons")
    assert "usual" in shown and "step" not in shown and "scaled" not in shown
