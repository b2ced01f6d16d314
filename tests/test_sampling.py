"""`sample`: noise, labels, guidance, cost, limits."""

import threading

import pytest
import torch

from flowdemo.core.noise import noise
from flowdemo.core.solvers import SOLVERS, SolverError
from flowdemo.methods import METHODS
from flowdemo.sampling.request import Request, label_of
from flowdemo.sampling.run import MAX_EVALUATIONS, sample
from tests.conftest import make_model

FIXED = [name for name, each in SOLVERS.items() if not (each.adaptive or each.multistep)]


def test_the_noise_of_a_sample_depends_on_the_seed_and_its_number_alone():
    many, few = noise(7, 20, (2, 3)), noise(7, 5, (2, 3))
    assert torch.equal(many[:5], few)
    assert torch.equal(many[5:8], noise(7, 3, (2, 3), first=5))
    assert not torch.equal(noise(8, 5, (2, 3)), few)
    rows = noise(0, 2000, (50,))
    assert rows.mean().abs() < 0.01 and rows.std() == pytest.approx(1, abs=0.01)
    assert torch.corrcoef(rows[:4]).sub(torch.eye(4)).abs().max() < 0.6


@pytest.mark.parametrize("data", ["moons", "mnist"])
def test_every_method_starts_from_the_same_noise_and_returns_its_last_state(data):
    starts = []
    for method in METHODS:
        made = sample(make_model(data, method, guidance_input=method != "flow-matching"), 4, seed=3)
        states = made.trajectory.states
        starts.append(states[0])
        last = states[-1].clamp(0, 1) if data == "mnist" else states[-1]
        assert torch.equal(made.images if data == "mnist" else made.points, last)
        assert (made.points is None) == (data == "mnist")
        assert made.trajectory.times[[0, -1]].tolist() == [0, 1]
    assert torch.equal(starts[0], starts[1]) and torch.equal(starts[0], starts[2])


def test_states_of_images_are_unnormalised_and_not_clipped():
    made = sample(make_model("mnist"), 2, seed=0)
    torch.testing.assert_close(made.trajectory.states[0], 0.5 + 0.5 * noise(0, 2, (1, 28, 28)))
    assert made.trajectory.states.min() < 0 < 1 < made.trajectory.states.max()


@pytest.mark.parametrize("solver", FIXED)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_nfe_is_exact(solver, guidance):
    """Guidance by two evaluations costs twice; a network that takes the weight costs once."""
    cost = 3 * SOLVERS[solver].evaluations
    two = sample(make_model(), 5, 0, guidance, solver, 3)
    one = sample(make_model(method="reflow", guidance_input=True), 5, 0, guidance, solver, 3)
    assert two.nfe == cost * (1 if guidance == 1 else 2)
    assert one.nfe == cost


def test_one_average_step_is_the_formula():
    model = make_model(method="meanflow", guidance_input=True)
    made = sample(model, 4, 1, 2.0, "average", 1, seed=5)
    x_0 = noise(5, 4, (2,))
    torch.testing.assert_close(made.points, x_0 + model.average_velocity(x_0, 0.0, 1.0, 1, 2.0))
    assert made.nfe == 1


def test_two_average_steps_are_one_after_the_other():
    model = make_model(method="meanflow")
    x = noise(5, 4, (2,))
    for t, s in ((0.0, 0.5), (0.5, 1.0)):
        x = x + 0.5 * model.average_velocity(x, t, s, 1)
    torch.testing.assert_close(sample(model, 4, 1, 1.0, "average", 2, seed=5).points, x)


def test_the_velocity_of_a_meanflow_network_is_its_average_velocity_over_nothing():
    model, x = make_model(method="meanflow"), noise(1, 3, (2,))
    torch.testing.assert_close(model.velocity(x, 0.3, 1), model.average_velocity(x, 0.3, 0.3, 1))


def test_the_weight_of_the_formula_and_of_no_class():
    model, x = make_model(), noise(1, 3, (2,))
    plain, empty = model.velocity(x, 0.3, 1), model.velocity(x, 0.3)
    torch.testing.assert_close(model.velocity(x, 0.3, 1, 2.5), empty + 2.5 * (plain - empty))
    assert torch.equal(model.velocity(x, 0.3, None, 2.5), empty)
    assert torch.equal(model.velocity(x, 0.3, 1, 1.0), plain)


def test_labels_choose_the_classes():
    model = make_model("mnist")
    assert sample(model, 12, "all").labels.tolist() == [*range(10), 0, 1]
    assert sample(model, 3, 7).labels.tolist() == [7, 7, 7]
    assert sample(model, 2, [3, 4]).labels.tolist() == [3, 4]
    assert sample(model, 2).labels.tolist() == [10, 10]
    assert not torch.equal(sample(model, 1, 3).images, sample(model, 1, 4).images)


def test_labels_are_read_from_text():
    classes = ("upper", "lower")
    assert label_of("lower", classes) == 1 and label_of("0", classes) == 0
    assert label_of("0,lower", classes) == (0, 1)
    assert label_of("all", classes) == "all" and label_of("any", classes) == "any"
    with pytest.raises(ValueError, match="upper, lower, all, any"):
        label_of("left", classes)


def test_what_a_request_leaves_open_is_the_checkpoints_own():
    model = make_model("mnist", "meanflow", guidance_input=True)
    asked = Request(model.name).completed(model)
    assert vars(asked) == {
        "model": model.name, "n": 16, "label": "all", "guidance": 1.0, "solver": "average",
        "steps": 2, "tolerance": None, "seed": 0,
    }  # fmt: skip
    assert asked.completed(model) == asked
    assert Request(solver="euler").completed(model).steps == 20
    assert Request(solver="dopri5").completed(model).tolerance == 1e-3


def test_a_request_comes_back_from_its_link():
    model = make_model()
    for asked in (Request(label=1, guidance=2.5, n=3), Request(solver="dopri5", label="any")):
        complete = asked.completed(model)
        query = {key: str(value) for key, value in complete.query(model.config.classes).items()}
        assert query["label"] in (*model.config.classes, "any")
        assert Request.from_query(query).completed(model) == complete


def test_the_settings_of_samples_are_plain_json():
    made = sample(make_model(), 2, [0, 1], seed=3)
    assert made.settings == {
        "model": "moons-flow-matching", "revision": "test", "n": 2, "label": [0, 1],
        "solver": "euler", "steps": 2, "tolerance": None, "guidance": 1.0, "seed": 3,
    }  # fmt: skip
    assert sample(make_model(), 2).settings["label"] is None
    assert sample(make_model(), 2, x_0=made.x_0).settings["seed"] is None


def test_equal_requests_give_equal_pictures_whatever_else_draws():
    model, stop = make_model("mnist"), threading.Event()
    first = sample(model, 3, "all", 2.0, "heun", 4, seed=1).images

    def disturb():
        while not stop.is_set():
            torch.randn(100)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(3):
            assert torch.equal(sample(model, 3, "all", 2.0, "heun", 4, seed=1).images, first)
    finally:
        stop.set()
        thread.join()
    assert not torch.equal(sample(model, 3, "all", 2.0, "heun", 4, seed=2).images, first)


@pytest.mark.parametrize("solver", [n for n, s in SOLVERS.items() if s.adaptive])
def test_an_adaptive_run_records_the_states_it_accepted(solver):
    made = sample(make_model(), 4, 0, solver=solver, tolerance=1e-4)
    assert len(made.trajectory.times) == len(made.trajectory.states) > 2
    assert (made.trajectory.times.diff() > 0).all()
    fine = sample(make_model(), 4, 0, solver="rk4", steps=200).points
    torch.testing.assert_close(made.points, fine, atol=0.05, rtol=0)
    ends = sample(make_model(), 4, 0, solver=solver, tolerance=1e-4, keep_trajectory=False)
    assert len(ends.trajectory.times) == 2 and torch.equal(ends.points, made.points)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"solver": "leapfrog"}, "offers no solver 'leapfrog', but euler"),
        ({"solver": "average"}, "offers no solver"),
        ({"steps": 0}, r"steps must lie in \[1, 1000\]"),
        ({"steps": 1001}, "steps must lie"),
        ({"guidance": 0.5}, r"guidance must lie in \[1, 4\]"),
        ({"guidance": float("nan")}, "guidance must lie"),
        ({"label": 2}, "no class 2; moons-flow-matching has 0 to 1"),
        ({"label": [0, 1]}, "2 labels were given for 16 samples"),
        ({"n": 0}, "n must lie in"),
        ({"seed": -1}, "seed must lie in"),
        ({"solver": "dopri5", "steps": 5}, "chooses its steps"),
        ({"solver": "dopri5", "tolerance": 1e-12}, "tolerance must lie in"),
        ({"solver": "euler", "tolerance": 1e-3}, "takes steps, not a tolerance"),
        ({"n": 10_000, "steps": 1000, "solver": "rk4"}, "choose fewer samples or steps"),
        ({"n": 300_000}, "n must lie in"),
        ({"n": 200_000, "solver": "dopri5"}, "too large to keep"),
        ({"n": 200_000, "steps": 80}, "too large to keep"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(request_, message):
    with pytest.raises(ValueError, match=message) as error:
        sample(make_model(), **request_)
    assert "\n" not in str(error.value)


def test_the_work_of_an_adaptive_run_is_bounded_too():
    with pytest.raises(SolverError, match="too many evaluations"):
        sample(make_model(), 4, solver="dopri5", tolerance=1e-6, max_evaluations=40)
    assert MAX_EVALUATIONS["image"] >= 10_000


def test_a_caller_can_stop_a_run():
    heard = []

    def watch(rows):
        heard.append(rows)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(make_model(), 4, steps=100, watch=watch)
    assert heard == [0, 4, 8]


@pytest.mark.parametrize(("extra", "fine"), [(0, True), (4, True), (2, False), (6, False)])
def test_noise_of_a_padded_model_fits_and_no_other_that_is_larger(extra, fine):
    model = make_model("mnist")
    x_0 = torch.randn(2, 1, 28 + extra, 28 + extra)
    if not fine:
        with pytest.raises(ValueError, match="x_0 must be of shape"):
            sample(model, 2, x_0=x_0)
        return
    margin = extra // 2
    inner = x_0[..., margin : 28 + margin, margin : 28 + margin]
    assert torch.equal(sample(model, 2, x_0=x_0).images, sample(model, 2, x_0=inner).images)
