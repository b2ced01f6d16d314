"""Points in the plane: tables that people bring, and the built-in distributions."""

import math

import pytest
import torch

from flowdemo.data import DATASETS, OWN, points_of
from flowdemo.data.points import fitted, parse_points
from flowdemo.data.toys import TOYS

ROWS = [(k, -0.5 * k) for k in range(12)]


def table(between=",", before="", after=""):
    return before + "".join(f"{x}{between}{y}\n" for x, y in ROWS) + after


@pytest.mark.parametrize("between", [",", ";", "\t", " ", ", ", " ; ", "   ", " \t "])
def test_two_numbers_a_line_are_points_whatever_stands_between(between):
    points = parse_points(table(between))
    assert points.dtype == torch.float32 and points.tolist() == [list(row) for row in ROWS]


@pytest.mark.parametrize(
    ("before", "after"),
    [("x,y\n", ""), ("\n\nlength;height\n", ""), ("  \n", "\n\n \n"), ("one title\n", ""),
     ("\ufeff", "")],
)  # fmt: skip
def test_a_line_of_titles_and_empty_lines_are_no_points(before, after):
    assert parse_points(table(before=before, after=after)).tolist() == [list(row) for row in ROWS]


def test_lines_may_end_as_on_any_system_and_numbers_have_exponents():
    text = table().replace("\n", "\r\n") + "  1e3 , -2.5E-1  \n.5,+7"
    assert parse_points(text)[-2:].tolist() == [[1000, -0.25], [0.5, 7]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3,four", "line 15 must be two numbers, not '3,four'"),
        ("x,y", "line 15 must be two numbers"),  # titles stand above, once
        ("1,2,3", "line 15 must be two numbers, not '1,2,3'"),
        ("7", "line 15 must be two numbers"),
        ("1,,2", "line 15 must be two numbers"),
        ("nan,1", "line 15 must be finite numbers, not 'nan,1'"),
        ("1,inf", "line 15 must be finite numbers"),
        ("-Infinity 0", "line 15 must be finite numbers"),
        ("1e999,0", "line 15 must be finite numbers"),
        ("1e38,0", "line 15 must be finite numbers"),  # its square is infinite
    ],
)
def test_a_line_that_is_no_point_is_named(line, message):
    """After a title, an empty line and twelve points it is the fifteenth."""
    with pytest.raises(ValueError, match=message):
        parse_points("x,y\n\n" + table() + line + "\n5,5\n")


def test_a_first_line_with_one_number_in_it_is_no_title():
    with pytest.raises(ValueError, match="line 1 must be two numbers, not '2024,y'"):
        parse_points(table(before="2024,y\n"))


def test_a_long_line_is_quoted_in_part():
    with pytest.raises(ValueError, match=r"line 13 .* 'a{40}'$"):
        parse_points(table(after=500 * "a"))


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), (" \n\n", 0), ("1,2", 1), ("x,y\n1,2\n", 1), ("x,y", 0)]
)
def test_too_few_points_are_refused_with_their_number(text, count):
    with pytest.raises(ValueError, match=f"10 to 20000 points are needed, not {count}$"):
        parse_points(text)


def test_as_many_points_as_are_allowed_are_taken_and_not_one_more():
    assert len(parse_points("1,2\n" * 10)) == 10
    with pytest.raises(ValueError, match=r"not 9$"):
        parse_points("1,2\n" * 9)
    assert len(parse_points("1,2\n" * 20_000)) == 20_000
    with pytest.raises(ValueError, match=r"not 20001$"):
        parse_points("1,2\n" * 20_001)
    with pytest.raises(ValueError, match="larger than 2 MB"):
        parse_points("1,2\n" * 500_001)


def radius(points):
    """Root mean square distance from 0."""
    return points.square().sum(1).mean().sqrt().item()


def test_fitted_points_have_mean_zero_radius_three_and_their_shape():
    points = torch.tensor([[0.0, 0.0], [8.0, 0.0], [8.0, 2.0], [0.0, 2.0]])
    # About (4, 1) each corner lies sqrt(17) away.
    expected = 3 / math.sqrt(17) * torch.tensor([[-4.0, -1.0], [4, -1], [4, 1], [-4, 1]])
    torch.testing.assert_close(fitted(points), expected)
    g = torch.Generator().manual_seed(0)
    cloud = fitted(torch.randn(500, 2, generator=g) * torch.tensor([40.0, 0.1]))
    assert radius(cloud) == pytest.approx(3, rel=1e-5) and cloud.mean(0).norm() < 1e-5
    assert cloud.std(0)[0] / cloud.std(0)[1] == pytest.approx(400, rel=0.1)


@pytest.mark.parametrize("offset", [1e6, -1e8])
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_points_far_away_are_fitted_as_those_near_by(offset, scale):
    """Coordinates of a map, say: what is small beside their offset is the shape."""
    points = torch.tensor([[0.0, 0.0], [256.0, 0.0], [0.0, 1024.0], [512.0, 64.0]])
    away = (points + offset).double() * scale
    torch.testing.assert_close(fitted(away), fitted(points), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [1e-20, 1e25])
def test_points_of_any_size_are_fitted(size):
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 4.0]])
    torch.testing.assert_close(fitted(size * points), fitted(points))


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.1, -7.3), (1e6 + 0.3, 1.0)])
def test_points_in_one_place_are_refused(place):
    with pytest.raises(ValueError, match="all lie in one place"):
        fitted(torch.tensor([place]).repeat(37, 1))


def test_points_that_differ_by_rounding_alone_are_refused():
    place = torch.tensor(1e6)
    beside = torch.nextafter(place, place + 1)
    for pair in ([place, beside], [-beside, -place]):
        with pytest.raises(ValueError, match="all lie in one place"):
            fitted(torch.stack(pair)[:, None].repeat(10, 2))


def test_points_on_a_line_are_fitted():
    line = torch.stack([torch.arange(20.0), torch.full((20,), 5.0)], dim=1)
    assert radius(fitted(line)) == pytest.approx(3) and fitted(line)[:, 1].abs().max() == 0


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
    for k in range(8):
        centre = 4 * torch.tensor([math.cos(math.pi * k / 4), math.sin(math.pi * k / 4)])
        part = points[labels == k]
        assert torch.allclose(part.mean(0), centre, atol=0.05)
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
