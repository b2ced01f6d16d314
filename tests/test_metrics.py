"""Metrics against closed forms, and the in-repo classifier against its claims."""

import itertools
import math

import pytest
import torch

from flowdemo.core.noise import noise
from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.metrics import (
    curvature,
    energy_distance,
    frechet_distance,
    moments,
    sliced_wasserstein_2,
    straightness,
    wasserstein_2,
)
from flowdemo.evaluation.plane import plane
from flowdemo.evaluation.report import evaluate, merge
from flowdemo.output.plots import rates
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


def test_sliced_distance_of_a_shift_is_the_shift_over_the_root_of_the_dimension():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(3000, 3, generator=generator)
    shift = torch.tensor([1.0, -2.0, 2.0])
    sliced = sliced_wasserstein_2(a, a + shift, generator, 4000)
    assert sliced == pytest.approx(3 / math.sqrt(3), rel=0.03)  # E (theta . s)^2 = |s|^2 / d
    assert sliced_wasserstein_2(a, a, generator) == 0
    line = torch.tensor([[0.0], [1.0], [5.0]])
    moved = torch.tensor([[6.0], [0.0], [1.0]])  # sorted: 0, 1, 6
    expected = math.sqrt(1 / 3)
    assert sliced_wasserstein_2(line, moved, generator, 5) == pytest.approx(expected)


def test_energy_distance_by_hand():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0]])
    # 2 * (1 + 1) / 2 - (0 + 2 + 2 + 0) / 4 - 0
    assert energy_distance(a, b) == pytest.approx(1.0)
    assert energy_distance(a, a) == pytest.approx(0.0, abs=1e-12)
    assert energy_distance(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])) == pytest.approx(10)


def test_energy_distance_of_two_gaussians_has_its_closed_form():
    """For N(m, 1) on the line E|z| with z ~ N(m, 2) is 2/sqrt(pi) exp(-m^2/4) + m erf(m/2)."""
    generator = torch.Generator().manual_seed(1)
    m = 1.5
    a = torch.randn(4000, 1, generator=generator)
    b = torch.randn(4000, 1, generator=generator) + m
    folded = 2 / math.sqrt(math.pi) * math.exp(-(m**2) / 4) + m * math.erf(m / 2)
    expected = 2 * folded - 2 * 2 / math.sqrt(math.pi)
    assert energy_distance(a, b) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("radius", [0.5, 2.0])
def test_curvature_of_a_circle_is_one_over_its_radius(radius):
    times = torch.linspace(0, 1, 201)
    angle = 2.0 * times.double()
    circle = radius * torch.stack([angle.cos(), angle.sin()], dim=1)[:, None]
    line = times[:, None, None].double() ** 2 * torch.tensor([[[3.0, 4.0]]]) + 1
    assert curvature(circle, times) == pytest.approx(1 / radius, rel=1e-3)
    assert curvature(line, times) == pytest.approx(0, abs=1e-3)  # faster and faster, but straight
    both = torch.cat([circle, line], dim=1)
    assert curvature(both, times) == pytest.approx(0.5 / radius, rel=1e-2)


def test_where_time_begins_later_straightness_asks_nothing_before():
    """A constant velocity is straight from there, too, and x' = x t is as bent as by hand."""
    asked = []

    def constant(x, t):
        asked.append(t.min().item())
        return torch.ones_like(x)

    assert straightness(constant, torch.zeros(3, 2), eps=0.2) == pytest.approx(0, abs=1e-10)
    assert min(asked) == pytest.approx(0.2)
    # v = t: x_1 - x_0 = (1 - eps^2) / 2, the mean velocity m = (1 + eps) / 2, and
    # mean over t in [eps, 1] of (m - t)^2 = (1 - eps)^2 / 12.
    eps = 0.2
    found = straightness(lambda x, t: t[:, None].expand_as(x), torch.zeros(3, 2), 400, eps)
    assert found == pytest.approx((1 - eps) ** 2 / 12 / ((1 + eps) / 2) ** 2, rel=1e-3)
