"""Flows in the plane from within: sources, distances, fields, errors and crossings."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from flowdemo.checkpoints import load
from flowdemo.core.solvers import Trajectory
from flowdemo.data import OWN
from flowdemo.data.toys import MIXTURES
from flowdemo.evaluation.fields import (
    TIMES,
    Source,
    average_field,
    crossings,
    distance,
    floor,
    lattice,
    real_like,
    report,
    velocity_error,
    velocity_field,
)
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import Samples, sample
from tests.conftest import make_model

EIGHT = Source("eight-gaussians")


def points(n=30, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def of(points, labels):
    """Points as if a model had made them."""
    still = Trajectory(torch.tensor([0.0, 1.0]), torch.stack([points, points]))
    request = Request("", len(points), "any", guidance=1.0)
    return Samples(request, "", None, points, labels, still, 1.0, 0.0, points)


def test_a_source_lies_in_the_plane_and_own_points_must_be_there():
    with pytest.raises(ValueError, match="does not lie in the plane"):
        Source("mnist")
    with pytest.raises(ValueError, match="give your own points first"):
        Source(OWN)
    with pytest.raises(ValueError, match="no data set 'x'"):
        Source("x")
    assert Source(OWN, points()).info.classes == ("points",)
    assert EIGHT.info.classes[0] == "E"


@pytest.mark.parametrize("n", [1, 30, 150])
def test_a_draw_of_own_points_is_of_them_and_of_one_class(n):
    mine = points()
    drawn, labels = Source(OWN, mine).draw(n, seed=4)
    assert drawn.shape == (n, 2) and labels.tolist() == [0] * n
    assert {tuple(x) for x in drawn.tolist()} <= {tuple(x) for x in mine.tolist()}


def test_two_draws_of_few_own_points_are_apart_however_many_are_drawn():
    """Drawn without putting back, both would be all points, and their distance 0."""
    source = Source(OWN, points())
    made = sample(source.exact(), 5 * len(points()), steps=1)
    assert floor(source, made) > 0.01


@pytest.mark.parametrize("source", [EIGHT, Source(OWN, points())], ids=["built-in", "own"])
def test_a_draw_goes_by_its_seed(source):
    one, again, other = (source.draw(20, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_training_batches_are_points_of_the_source_with_their_labels():
    mine, g = points(), torch.Generator().manual_seed(0)
    batch = Source(OWN, mine).coupling()(64, g)
    assert {tuple(x) for x in batch.x_1.tolist()} <= {tuple(x) for x in mine.tolist()}
    assert (batch.label == 0).all() and batch.x_0.shape == (64, 2)
    batch = EIGHT.coupling()(4000, g)
    away = (batch.x_1 - MIXTURES["eight-gaussians"][0][batch.label]).norm(dim=1)
    assert away.square().mean().sqrt() == pytest.approx(0.35 * math.sqrt(2), rel=0.05)
    assert len(batch.label.unique()) == 8


def test_the_exact_model_of_a_source_is_of_its_points_and_path():
    mine = torch.tensor([[2.0, 1.0]])
    model = Source(OWN, mine).exact("cosine")
    x, t = points(5), torch.full((5,), 0.5)
    s = 0.05
    alpha = sigma = math.sqrt(0.5)  # at half time; alpha' = pi/2 alpha, sigma' = -alpha'
    slope = (alpha**2 * s**2 - sigma**2) / (alpha**2 * s**2 + sigma**2) * math.pi / 2
    expected = math.pi / 2 * alpha * mine + slope * (x - alpha * mine)
    torch.testing.assert_close(model.velocity(x, t), expected, atol=1e-5, rtol=1e-5)


def test_as_many_real_points_of_each_class_as_there_are_samples():
    labels = torch.tensor([0] * 30 + [5] * 2 + [1] * 7)
    real = real_like(EIGHT, of(torch.zeros(39, 2), labels), seed=3)
    nearest = torch.cdist(real, MIXTURES["eight-gaussians"][0]).argmin(1)
    counts = torch.bincount(nearest, minlength=8)
    assert counts.tolist() == torch.bincount(labels, minlength=8).tolist()
    one_class = torch.full((50,), 7)
    real = real_like(EIGHT, of(torch.zeros(50, 2), one_class), seed=3)
    assert (torch.cdist(real, MIXTURES["eight-gaussians"][0]).argmin(1) == 7).all()
    assert len(real.unique(dim=0)) == 50


def test_without_a_class_real_points_are_of_all():
    real = real_like(EIGHT, of(torch.zeros(400, 2), torch.full((400,), 8)), seed=3)
    nearest = torch.cdist(real, MIXTURES["eight-gaussians"][0]).argmin(1)
    assert len(real) == 400 and len(nearest.unique()) == 8


@pytest.mark.parametrize("source", [EIGHT, Source(OWN, points(1000))], ids=["built-in", "own"])
def test_real_draws_are_at_the_floor_and_a_shifted_cloud_at_its_shift(source):
    drawn, labels = source.draw(400, seed=99)
    real = of(drawn, labels)
    least = floor(source, real)
    assert 0 < least < 0.5
    assert distance(source, real) == pytest.approx(least, rel=0.35)
    shifted = of(drawn + torch.tensor([6.0, 8.0]), labels)
    assert distance(source, shifted) == pytest.approx(10, abs=0.2)


def test_the_floor_knows_the_classes_and_how_many():
    """Ten points of one narrow Gaussian lie farther from ten others than 200 from 200 do."""
    few, many, all_classes = (
        floor(EIGHT, of(torch.zeros(n, 2), labels))
        for n, labels in (
            (10, torch.zeros(10).long()), (200, torch.zeros(200).long()), (10, torch.full((10,), 8))
        )
    )  # fmt: skip
    assert many < few < all_classes


def test_the_lattice_goes_line_by_line_from_below_left():
    expected = [[x, y] for y in (-2.0, 0.0, 2.0) for x in (-2.0, 0.0, 2.0)]
    torch.testing.assert_close(lattice(3, 3), torch.tensor(expected))
    whole = lattice(5.0)
    assert whole.shape == (400, 2)
    assert whole.min() == pytest.approx(-4.75) and whole.max() == pytest.approx(4.75)


@pytest.mark.parametrize("label", [None, 1])
def test_the_velocity_field_is_the_velocity_on_the_lattice(label):
    model, x = make_model(), lattice(4.0)
    field = velocity_field(model, 4.0, label, 2.0)
    assert field.shape == (TIMES, 400, 2)
    for i, t in ((0, 0.0), (3, 0.3), (10, 1.0)):
        torch.testing.assert_close(field[i], model.velocity(x, t, label, 2.0))


@pytest.mark.parametrize("label", [None, 1])
def test_the_average_field_is_the_average_velocity_later_than_now_and_else_zero(label):
    model, x = make_model(method="meanflow", guidance_input=True), lattice(4.0)
    field = average_field(model, 4.0, label, 2.0)
    assert field.shape == (TIMES, TIMES, 400, 2)
    for i in range(TIMES):
        assert (field[i, :i] == 0).all()
    for i, j in ((0, 10), (2, 7), (10, 10)):
        u = model.average_velocity(x, i / 10, j / 10, label, 2.0)
        torch.testing.assert_close(field[i, j], u, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="no average velocity"):
        average_field(make_model(), 4.0)


def test_the_diagonal_of_an_average_field_is_the_velocity():
    model = load("two-gaussians-meanflow")
    average = average_field(model, 5.0, 0, 2.0)
    torch.testing.assert_close(
        average.diagonal().movedim(-1, 0), velocity_field(model, 5.0, 0, 2.0)
    )
    assert (average[0, 10] - average[0, 0]).norm(dim=1).mean() > 0.1  # off it, another field


class Off(nn.Module):
    """A network that misses another one by `by`, for the classes but not for the empty label."""

    def __init__(self, net, by):
        super().__init__()
        self.net, self.by = net, by

    def forward(self, x, t, s=None, label=None, guidance=None):
        away = torch.where(label[:, None] == self.net.empty, 0.0, 1.0) * self.by
        return self.net(x, t, s, label, guidance) + away


@pytest.mark.parametrize("w", [1.0, 3.0])
def test_the_velocity_error_is_the_size_of_a_constant_miss(w):
    """Guided, a miss of the class by c is one of w c; |(0.3, 0.4)| = 0.5."""
    exact = EIGHT.exact()
    samples = sample(exact, 40, "all", w, steps=10)
    assert velocity_error(exact, exact, samples) == 0
    off = replace(exact, net=Off(exact.net, torch.tensor([0.3, 0.4])))
    assert velocity_error(off, exact, samples) == pytest.approx(0.5 * w, rel=1e-4)
    assert velocity_error(off, exact, sample(exact, 40, steps=10)) == 0  # no class, no miss


class Slanted(nn.Module):
    """Misses by t (1, 0): small where the flow begins."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, t, s=None, label=None, guidance=None):
        return self.net(x, t, s, label, guidance) + t[:, None] * torch.tensor([1.0, 0.0])


def test_the_velocity_error_is_the_root_of_the_mean_square_over_the_way():
    """At the four steps' times 0, 1/4, 1/2, 3/4; where the last one ends no velocity is asked."""
    exact = EIGHT.exact()
    samples = sample(exact, 10, "all", steps=4)
    found = velocity_error(replace(exact, net=Slanted(exact.net)), exact, samples)
    assert found == pytest.approx(math.sqrt((0 + 1 + 4 + 9) / 16 / 4), rel=1e-4)


def test_a_trained_network_misses_by_less_than_an_untrained_one():
    exact = Source("two-gaussians").exact()
    samples = sample(exact, 100, "all", steps=20)
    learnt = velocity_error(load("two-gaussians-flow-matching"), exact, samples)
    assert 0 < learnt < 0.5
    assert velocity_error(make_model("two-gaussians"), exact, samples) > 5 * learnt


def ways(*paths):
    """Paths, each a list of places, as states (k, n, 2)."""
    return torch.tensor(paths, dtype=torch.float32).transpose(0, 1)


A_CROSS = [(-1, -1), (1, 1)], [(-1, 1), (1, -1)]


@pytest.mark.parametrize(
    ("paths", "count"),
    [
        (A_CROSS, 1),
        (([(0, 0), (1, 1)], [(0, 1), (1, 2)]), 0),  # parallel
        (([(0, 0), (1, 0)], [(2, 1), (2, -1)]), 0),  # the lines do, the paths do not
        (([(0, 0), (1, 0)], [(5, 5), (5, 6)]), 0),
        ((*A_CROSS, [(0, -9), (0.1, 9)]), 3),  # every pair once
        (([(0, 0), (0, 0)], [(-1, -1), (1, 2)]), 0),  # one stands still
        # In the plane, not at one time: the first is there at once, the second at the end.
        (([(0, 0), (4, 0), (8, 0), (12, 0)], [(1, 9), (1, 6), (1, 3), (1, -1)]), 1),
        # Twice through one another is one pair.
        (([(0, 0), (1, 2), (2, 0), (3, 2)], [(0, 1), (1, 1.1), (2, 0.9), (3, 1)]), 1),
        # Together at the start, as two samples of one noise would be, and then apart.
        (([(0, 0), (1, 1)], [(0, 0), (1, -1)]), 0),
    ],
)  # fmt: skip
def test_crossings_are_pairs_of_paths_that_cross_in_the_plane(paths, count):
    assert crossings(ways(*paths)) == count


@pytest.mark.parametrize("axis", [0, 1])
def test_paths_do_not_care_for_order_mirror_or_place(axis):
    states = ways(*A_CROSS, [(0, -9), (0.1, 9)], [(7, 7), (8, 9)])
    assert crossings(states) == crossings(states.flip(1)) == crossings(states.flip(0)) == 3
    mirror = torch.ones(2)
    mirror[axis] = -1
    assert crossings(100 * states * mirror + 1000) == 3


def test_one_path_alone_crosses_nobody_also_where_it_crosses_itself():
    loop = [(0, 0), (2, 0), (2, 2), (1, -1)]
    assert crossings(ways(loop)) == 0
    assert crossings(ways(loop, [(50, 50), (51, 50), (52, 50), (53, 50)])) == 0


def test_the_report_of_real_points_is_near_nothing_and_of_moved_ones_is_the_move():
    source = Source("two-gaussians")
    made = sample(source.exact(), 300, "all", solver="rk4", steps=20)
    here = report(source, made)
    there = report(source, replace(made, points=made.points + torch.tensor([0.0, 3.0])))
    assert here["wasserstein_2"] < 2 * here["floor_wasserstein_2"]
    assert there["wasserstein_2"] == pytest.approx(3, abs=0.3)
    assert there["sliced_wasserstein_2"] == pytest.approx(3 / 2**0.5, abs=0.3)
    assert here["energy_distance"] < 0.1 < 1 < there["energy_distance"]
    assert 0 < here["curvature"] < 1
    assert "curvature" not in report(source, sample(source.exact(), 20, steps=1))
