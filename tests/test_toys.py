"""The distributions in the plane: where their parts lie, and what their labels say."""

import math

import pytest
import torch

from flowdemo.data import DATASETS, OWN, points_of
from flowdemo.data.toys import TOYS

N = 20_000


@pytest.mark.parametrize("name", TOYS)
def test_points_are_finite_reproducible_and_of_equally_likely_classes(name):
    points, labels = points_of(name, N, seed=3)
    again, _ = points_of(name, N, seed=3)
    classes = len(DATASETS[name].classes)
    assert points.shape == (N, 2) and torch.isfinite(points).all() and torch.equal(points, again)
    assert points.abs().max() < 9
    shares = torch.bincount(labels, minlength=classes) / N
    assert len(shares) == classes and (shares - 1 / classes).abs().max() < 0.02


def test_every_toy_is_a_data_set_and_the_other_way_round():
    assert {*TOYS, OWN} == {name for name, info in DATASETS.items() if not info.is_image}


def polar(name):
    points, labels = points_of(name, N, seed=0)
    turns = torch.atan2(points[:, 1], points[:, 0]) / (2 * math.pi) % 1
    return points, labels, points.norm(dim=1), turns


def test_eight_gaussians_stand_in_a_circle():
    points, labels, _, _ = polar("eight-gaussians")
    for k, (x, y) in enumerate(
        [
            (4, 0),
            (2.83, 2.83),
            (0, 4),
            (-2.83, 2.83),
            (-4, 0),
            (-2.83, -2.83),
            (0, -4),
            (2.83, -2.83),
        ]
    ):
        part = points[labels == k]
        assert torch.allclose(part.mean(0), torch.tensor([x, y]).float(), atol=0.05)
        assert torch.allclose(part.std(0), torch.tensor(0.35), atol=0.02)


def test_the_board_has_eight_dark_squares_evenly_filled():
    points, _ = points_of("checkerboard", N, seed=0)
    cell = ((points + 4) / 2).floor().long()
    assert cell.min() >= 0 and cell.max() <= 3
    counts = torch.bincount(4 * cell[:, 0] + cell[:, 1], minlength=16).reshape(4, 4)
    dark = (torch.arange(4)[:, None] + torch.arange(4)) % 2 == 0
    assert (counts[~dark] == 0).all()
    assert (counts[dark] / N - 1 / 8).abs().max() < 0.01


def test_rings_have_their_radii():
    _, labels, radius, _ = polar("rings")
    for k, wanted in enumerate((1.0, 2.5, 4.0)):
        assert radius[labels == k].median() == pytest.approx(wanted, abs=0.03)
        assert radius[labels == k].std() == pytest.approx(0.1, abs=0.02)


def test_one_arm_of_the_spirals_is_the_other_turned_round():
    _, labels, radius, turns = polar("spirals")
    along = ((turns - 1.5 * radius / 4 - labels / 2 + 0.5) % 1 - 0.5)[radius > 1.5].abs()
    assert along.median() < 0.03 and along.quantile(0.99) < 0.12
    inner, outer = (radius < 2).float().mean(), (radius >= 2).float().mean()
    assert outer / inner == pytest.approx(3, rel=0.1)  # as the areas


def test_the_blades_of_the_pinwheel_are_a_fifth_of_a_turn_apart():
    _, labels, radius, turns = polar("pinwheel")
    along = (turns - 0.14 * radius - labels / 5 + 0.5) % 1 - 0.5
    assert along[radius > 1].abs().median() < 0.02
    assert (along[radius > 1].abs() < 0.1).float().mean() > 0.97


def test_the_roll_winds_outwards():
    _, _, radius, turns = polar("swiss-roll")
    off = (turns - radius * 2.25 / 4 + 0.5) % 1 - 0.5
    assert off.abs().max() < 0.4 and off.abs().median() < 0.06
    assert radius.min() > 0.8 and radius.max() < 4.6
