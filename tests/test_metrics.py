"""Metrics against closed forms, and the in-repo classifier against its claims."""

import itertools
import math

import pytest
import torch

from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.metrics import frechet_distance, moments, straightness, wasserstein_2
from flowdemo.evaluation.plane import plane
from flowdemo.evaluation.report import evaluate, merge
from flowdemo.noise import noise
from flowdemo.plots import rates
from tests.conftest import make_model


def test_the_frechet_distance_of_gaussians_is_the_closed_form():
    a, b = torch.diag(torch.tensor([1.0, 4.0])), torch.diag(torch.tensor([9.0, 1.0]))
    shift = torch.tensor([3.0, 4.0])
    expected = 25 + (1 - 3) ** 2 + (2 - 1) ** 2
    assert frechet_distance(torch.zeros(2), a, shift, b) == pytest.approx(expected)
    g = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(2, 2, generator=g, dtype=torch.float64))
    turned = (q @ m.double() @ q.T for m in (a, b))  # the distance does not know the axes
    first, second = turned
    assert frechet_distance(torch.zeros(2), first, q @ shift.double(), second) == pytest.approx(
        expected
    )
    assert frechet_distance(shift, a, shift, a) == pytest.approx(0, abs=1e-6)


def test_moments_are_mean_and_covariance():
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]])
    mean, covariance = moments(x)
    assert mean.tolist() == [3, 3]
    torch.testing.assert_close(covariance, torch.tensor([[4.0, -1.0], [-1.0, 7.0]]).double())


def test_wasserstein_2_is_the_best_assignment():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(6, 2, generator=g), torch.randn(6, 2, generator=g)
    best = min(
        (a - b[list(order)]).square().sum(1).mean().item()
        for order in itertools.permutations(range(6))
    )
    assert wasserstein_2(a, b) == pytest.approx(math.sqrt(best))
    moved = a + torch.tensor([3.0, 4.0])
    assert wasserstein_2(a, moved[torch.randperm(6, generator=g)]) == pytest.approx(5)


def test_straightness_is_zero_for_straight_and_the_integral_for_bent():
    x_0 = noise(0, 10, (2,))
    assert straightness(lambda x, t: torch.ones_like(x), x_0) == pytest.approx(0, abs=1e-9)
    # v = 2 t c: chord c, integral of (1 - 2 t)^2 = 1/3
    bent = straightness(lambda x, t: 2 * t[:, None] * torch.ones_like(x), x_0)
    assert bent == pytest.approx(1 / 3, abs=1e-3)


def test_speed_and_turning_of_a_quarter_circle():
    t = torch.linspace(0, 1, 101)
    angle = math.pi / 2 * t
    states = torch.stack([angle.cos(), angle.sin()], 1)[:, None]
    middles, speed, inner, turning = rates(states.numpy(), t.numpy())
    assert speed == pytest.approx(math.pi / 2 / math.sqrt(2), rel=1e-3)
    assert turning == pytest.approx(90, rel=1e-2)
    assert len(middles) == 100 and len(inner) == 99


def test_the_grid_of_evaluate_knows_what_a_model_can_do():
    two = [(r.nfe, r.steps, r.guidance) for r in evaluate(make_model(), 20, (1, 2, 4), (1.0, 2.0))]
    assert two == [(1, 1, 1), (2, 2, 1), (4, 4, 1), (2, 1, 2), (4, 2, 2)]  # two evaluations a step
    one = make_model(method="meanflow", guidance_input=True)
    rows = list(evaluate(one, 20, (1, 2), (1.0, 2.0)))
    assert [(r.nfe, r.steps, r.solver) for r in rows] == [(1, 1, "average"), (2, 2, "average")] * 2


def test_merging_rows_keeps_order_and_takes_the_newer():
    old = [{"nfe": 1, "guidance": 1.0, "n": 10}, {"nfe": 4, "guidance": 1.0, "n": 10}]
    new = [{"nfe": 2, "guidance": 1.0, "n": 20}, {"nfe": 4, "guidance": 1.0, "n": 20}]
    assert [(r["nfe"], r["n"]) for r in merge(old, new)] == [(1, 10), (2, 20), (4, 20)]


@pytest.mark.parametrize("data", ["mnist", "moons"])
def test_the_plane_projects_samples_where_the_real_ones_lie(data):
    flat = plane(data)
    if data == "moons":
        states = torch.randn(2, 3, 2)
        assert torch.equal(flat.project(states), states)
        return
    assert flat.points.shape == (1500, 2) and set(flat.labels.tolist()) == set(range(10))
    torch.testing.assert_close(flat.components.T @ flat.components, torch.eye(2), atol=1e-3, rtol=0)
    centre = flat.project(flat.mean.reshape(1, 1, 1, 28, 28))
    torch.testing.assert_close(centre, torch.zeros(1, 1, 2), atol=1e-4, rtol=0)
    assert flat.points[:, 0].var() > flat.points[:, 1].var() > 1  # in order of variance
    assert len(flat.anchors(tuple("0123456789"))) == 10


def test_a_data_set_without_a_judge_has_none():
    assert judge("moons") is None
