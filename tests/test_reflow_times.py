"""Reflow at single times: what is trained, stored and refused, and second reflow."""

import json

import pytest
import torch
from PIL import Image
from torch import nn

from flowdemo.checkpoints import load, save
from flowdemo.cli.train import draw_samples
from flowdemo.config.recipe import Recipe
from flowdemo.core.noise import noise
from flowdemo.evaluation.report import evaluate
from flowdemo.methods.reflow import Pairs
from flowdemo.model import Model
from flowdemo.nets import build_net
from flowdemo.output.images import export
from flowdemo.sampling.inversion import invert
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import sample
from flowdemo.training.batches import time_sampler
from flowdemo.training.run import run_recipe
from flowdemo.training.teachers import check_teacher
from tests.conftest import make_model

TEACHER = "moons-flow-matching"
NET = {"kind": "mlp", "width": 16, "depth": 2}


def recipe(**changes):
    base = {
        "name": "student", "method": "reflow", "data": "moons", "steps": 3, "batch_size": 8,
        "teacher": TEACHER, "net": NET, "pairs": {"count": 40, "solver": "euler", "steps": 2},
    }  # fmt: skip
    return Recipe(**(base | changes))


@pytest.fixture
def taught(trained):
    """A teacher with random weights among the checkpoints."""
    save(make_model(), trained / TEACHER)
    return trained


def student(taught, **changes):
    plan = recipe(**changes)
    list(run_recipe(plan, taught / plan.name, draw_samples=draw_samples, sample_every=2))
    return load(plan.name)


class Asked(nn.Module):
    """A network that notes the times at which it is asked."""

    def __init__(self, net):
        super().__init__()
        self.net, self.times = net, []
        self.anchor = next(net.parameters())

    def forward(self, x, t, *rest):
        self.times += sorted(set(t.tolist()))
        return self.net(x, t, *rest)


def asked(model):
    object.__setattr__(model, "net", Asked(model.net))
    return model


@pytest.mark.parametrize("eps", [0.0, 0.01])
@pytest.mark.parametrize("times", ["t0", 1, 4])
def test_sampling_asks_at_the_times_that_were_trained_and_at_no_others(taught, times, eps):
    model = student(taught, times=times, eps=eps)
    k = 1 if times == "t0" else times
    assert (model.config.trained_times, model.config.eps) == (times, eps)
    assert model.solvers == ("euler",) and not model.is_followed
    drawn = time_sampler(recipe(times=times, eps=eps))(400, torch.Generator().manual_seed(0))
    begins = [eps + i * (1 - eps) / k for i in range(k)]
    assert sorted(set(drawn.tolist())) == pytest.approx(begins)
    made = sample(asked(model), 5, 0)
    assert model.net.times == pytest.approx(begins) and made.nfe == k
    assert made.trajectory.times.tolist() == pytest.approx([*begins, 1.0])
    with pytest.raises(ValueError, match=rf"makes {k} step\(s\), not 2"):
        sample(model, 5, 0, steps=2)
    with pytest.raises(ValueError, match="offers no solver 'heun', but euler"):
        sample(model, 5, 0, solver="heun")
    with pytest.raises(ValueError, match="only goes from noise to data"):
        invert(model, torch.zeros(1, 2), Request())


def test_a_step_from_eps_is_of_the_length_that_is_left(taught):
    model = student(taught, times="t0", eps=0.01)
    made = sample(model, 3, [0, 1, 0], seed=4)
    x_0 = noise(4, 3, (2,))
    v = model.velocity(x_0, 0.01, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(made.points, model.unnormalise(x_0 + 0.99 * v))


@pytest.mark.parametrize("eps", [0.0, 0.01])
def test_what_was_trained_at_the_end_inverts_in_one_step_and_does_nothing_else(taught, eps):
    model = student(taught, times="t1", eps=eps)  # while it trains no samples are drawn of it
    x_1 = torch.tensor([[0.5, -1.0], [1.5, 0.2]])
    result = invert(asked(model), x_1, Request(label=[0, 1], solver="rk4", steps=9))
    assert model.net.times == [1.0] and result.nfe == 1
    normalised = model.normalise(x_1)
    v = model.velocity(normalised, 1.0, torch.tensor([0, 1]))
    torch.testing.assert_close(result.x_0, normalised - (1 - eps) * v)
    assert result.trajectory.times.tolist() == pytest.approx([1.0, eps])
    with pytest.raises(ValueError, match=r"only goes from data to noise.*invert with it"):
        sample(model, 2, 0)


@pytest.mark.parametrize(("times", "rows"), [("t0", [1]), (4, [4]), ("uniform", [1, 4, 8])])
def test_only_rows_that_it_can_do_are_measured(taught, times, rows):
    model = student(taught, times=times)
    measured = list(evaluate(model, 10, (1, 4, 8), (1.0,)))
    assert [row.nfe for row in measured] == rows and {row.solver for row in measured} == {"euler"}


def test_pairs_go_by_an_adaptive_solver_by_default():
    pairs = recipe(pairs={"count": 1}).pairs
    assert (pairs.solver, pairs.tolerance, pairs.steps) == ("dopri5", 1e-5, None)


@pytest.mark.parametrize("times", ["t0", "t1", 2])
def test_a_teacher_of_single_times_is_followed_by_its_own_steps_alone(taught, times):
    teacher = student(taught, times=times, name="first")
    with pytest.raises(ValueError, match="first knows its velocity at single times"):
        check_teacher(recipe(teacher="first", pairs={"count": 1}), teacher)
    net = NET | {"end_time": True}
    mean = {"method": "meanflow", "pairs": None, "meanflow": {}, "net": net}
    with pytest.raises(ValueError, match="first knows its velocity at single times"):
        check_teacher(recipe(teacher="first", **mean), teacher)
    own = recipe(teacher="first", pairs={"count": 4, "solver": "euler", "steps": 2})
    if times == 2:  # a step that makes what two steps made
        list(run_recipe(own, taught / "second"))
    else:
        steps = 2 if times == "t0" else 1  # one that only inverts makes not even its own
        pairs = {"count": 4, "solver": "euler", "steps": steps}
        with pytest.raises(ValueError, match="first knows its velocity at single times"):
            check_teacher(own.model_copy(update={"pairs": Pairs(**pairs)}), teacher)


def test_reflow_of_reflow_goes_by_the_weight_as_input_and_its_card_lists_all(taught):
    guided = {"guidance": (1.0, 3.0), "net": NET | {"guidance": True}}
    student(taught, name="first", **guided)
    pairs = {"count": 40, "solver": "heun", "steps": 4}
    last = student(
        taught, name="second", teacher="first", start_from="first", pairs=pairs, **guided
    )
    assert last.config.guidance == (1.0, 3.0)
    assert list(last.config.training["chain"]) == ["first"]  # the teacher was never trained
    config = json.loads((taught / TEACHER / "config.json").read_text())
    config["training"] = {"images_seen": 7, "hours": 1.0, "machine": "loom"}
    (taught / TEACHER / "config.json").write_text(json.dumps(config))
    student(taught, name="third", **guided)
    student(taught, name="fourth", teacher="third", pairs=pairs, **guided)
    card = (taught / "fourth" / "README.md").read_text()
    assert list(load("fourth").config.training["chain"]) == [TEACHER, "third"]
    assert TEACHER in card and "third" in card


@pytest.mark.parametrize("classes", [10, 25])
def test_the_picture_of_a_run_shows_ten_classes_at_most(classes, tmp_path):
    """A data set of 1,000 classes would else be sampled 2,000 times, again and again."""
    model = make_model("mnist")
    config = model.config.model_copy(update={"classes": tuple(map(str, range(classes)))})
    draw_samples(
        Model(config, build_net(config.net, config.shape, classes).eval()), tmp_path / "x.png"
    )
    with Image.open(tmp_path / "x.png") as picture, Image.open(sampled(model, tmp_path)) as twenty:
        assert picture.size == twenty.size


def sampled(model, folder):
    """A picture of twenty samples."""
    export(sample(model, 20, 0), folder / "twenty.png")
    return folder / "twenty.png"
