"""Drawn digits look like those of MNIST, and variations of pictures stay close to them."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from flowdemo.checkpoints import load
from flowdemo.core.noise import generator
from flowdemo.data.augment import SHIFT, affine, augment, flip
from flowdemo.data.digits import to_digit
from flowdemo.data.statistics import BATCH, statistics
from flowdemo.evaluation.classifier import judge
from flowdemo.sampling.run import sample


def seven(ink, paper, mode="RGB", place=(60, 90), size=(400, 300)):
    picture = Image.new(mode, size, paper)
    x, y = place
    draw = ImageDraw.Draw(picture)
    draw.line([(x, y), (x + 90, y), (x + 40, y + 150)], fill=ink, width=16, joint="curve")
    return picture


@pytest.mark.parametrize(
    ("ink", "paper", "mode"),
    [
        ("white", "black", "RGB"), ("black", "white", "RGB"), ("#123456", "#ffeedd", "RGB"),
        ((0, 0, 0, 255), (0, 0, 0, 0), "RGBA"), ((255, 255, 255, 255), (0, 0, 0, 0), "RGBA"),
        (255, 0, "L"),
    ],
)  # fmt: skip
def test_a_drawing_is_light_on_dark_of_mnists_size_and_place(ink, paper, mode):
    digit = to_digit(seven(ink, paper, mode))
    assert digit.shape == (1, 28, 28) and digit.dtype == torch.float32
    assert digit.min() == 0 and 0.9 < digit.max() <= 1
    rows, columns = torch.nonzero(digit[0] > 0.2, as_tuple=True)
    assert rows.max() - rows.min() + 1 == 20 and columns.max() - columns.min() + 1 <= 20
    mass = digit[0] / digit.sum()
    assert (mass.sum(1) * torch.arange(28)).sum() == pytest.approx(13.5, abs=0.6)
    assert (mass.sum(0) * torch.arange(28)).sum() == pytest.approx(13.5, abs=0.6)
    assert judge("mnist").look(digit[None])[1].item() == 7


def test_the_place_and_the_size_of_the_drawing_do_not_matter():
    here = to_digit(seven("white", "black"))
    there = to_digit(seven("white", "black", place=(200, 20)))
    torch.testing.assert_close(here, there, atol=0.02, rtol=0)


def test_a_digit_of_mnists_kind_stays_what_it_is():
    made = sample(load("mnist-reflow"), 10, "all", 2.0, seed=1).images
    pictures = [Image.fromarray((pixels[0].numpy() * 255).astype(np.uint8)) for pixels in made]
    _, seen = judge("mnist").look(torch.stack([to_digit(picture) for picture in pictures]))
    assert (seen == torch.arange(10)).sum() >= 9


@pytest.mark.parametrize("colour", ["white", "black", "#777777"])
def test_an_empty_page_says_so(colour):
    with pytest.raises(ValueError, match="nothing on the picture"):
        to_digit(Image.new("RGB", (100, 100), colour))


def test_a_huge_page_is_refused():
    with pytest.raises(ValueError, match="too large"):
        to_digit(Image.new("L", (6000, 6000)))


def blobs(n=16, side=28):
    """A smooth light spot in the middle of the dark."""
    place = torch.arange(side) - (side - 1) / 2
    spot = torch.exp(-(place[:, None] ** 2 + 2 * place[None] ** 2) / 20)
    return spot.expand(n, 1, side, side).clone()


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 32, 32), (2, 3, 20, 32)])
def test_strength_zero_changes_nothing(shape):
    images = torch.rand(shape, generator=generator(0))
    moved = augment(images, generator(1), strength=0.0)
    torch.testing.assert_close(moved, images, atol=1e-5, rtol=0)


def test_the_generator_alone_decides():
    images = blobs()
    torch.manual_seed(0)
    one = augment(images, generator(3))
    torch.manual_seed(1)
    assert torch.equal(augment(images, generator(3)), one)
    assert not torch.equal(augment(images, generator(4)), one)
    assert (one[0] - one[1]).abs().max() > 0.05  # each picture its own way
    assert one.shape == images.shape and one.dtype == torch.float32
    assert one.min() >= 0 and one.max() <= 1


def test_what_is_seen_stays_inside_and_near_its_place():
    images = blobs(256)
    moved = augment(images, generator(0))
    mass, before = moved.sum((1, 2, 3)), images[0].sum()
    assert (mass > 0.8 * before).all() and (mass < 1.25 * before).all()
    place = torch.arange(28.0) - 13.5
    x = (moved.sum((1, 2)) * place).sum(1) / mass
    y = (moved.sum((1, 3)) * place).sum(1) / mass
    for shift in (x, y):
        # Two pixels each way, turned and scaled, are less than three.
        assert 28 * SHIFT / 2 < shift.abs().max() < 3 and shift.mean().abs() < 0.3


def test_the_colour_of_the_edge_comes_in_from_outside():
    images = torch.full((8, 3, 32, 32), 0.7)
    torch.testing.assert_close(augment(images, generator(0)), images, atol=1e-5, rtol=0)


def test_a_turn_of_a_picture_that_is_not_square_is_a_turn():
    """Lengths and right angles in pixels stay."""
    (A,) = affine(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]), aspect=2.0)
    S = torch.diag(torch.tensor([2.0, 1.0]))
    turn = S @ A[:, :2] @ torch.linalg.inv(S)
    torch.testing.assert_close(turn @ turn.T, torch.eye(2), atol=1e-6, rtol=0)
    assert turn[1, 0] == pytest.approx(np.sin(np.radians(12)), abs=1e-6)


def test_half_are_mirrored_and_the_others_stay():
    images = torch.rand(400, 3, 8, 8, generator=generator(0))
    flipped = flip(images, generator(1))
    same = (flipped == images).all(-1).all(-1).all(-1)
    mirrored = (flipped == images.flip(-1)).all(-1).all(-1).all(-1)
    assert (same ^ mirrored).all() and 160 < mirrored.sum() < 240
    assert torch.equal(flip(images, generator(1)), flipped)


@pytest.mark.parametrize("shape", [(3, 1, 5, 7), (BATCH + 3, 3, 4, 4)])
def test_statistics_are_numpys(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images[:, -1] //= 3
    mean, std = statistics(torch.from_numpy(images))
    pixels = images.astype(np.float64) / 255
    assert mean == pytest.approx(pixels.mean((0, 2, 3)), abs=1e-12)
    assert std == pytest.approx(pixels.std((0, 2, 3)), abs=1e-12)


def test_statistics_of_one_colour_and_of_nothing():
    mean, std = statistics(torch.full((4, 1, 2, 2), 51, dtype=torch.uint8))
    assert mean == pytest.approx((0.2,)) and std == (0.0,)
    for nothing in (torch.zeros(0, 1, 2, 2).byte(), torch.zeros(1, 1, 2, 2)):
        with pytest.raises(ValueError, match="at least one picture of uint8"):
            statistics(nothing)
