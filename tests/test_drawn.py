"""Drawn digits: as MNIST's are, whatever the colours of the drawing."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from flowdemo.checkpoints import load
from flowdemo.data.drawn import to_digit
from flowdemo.evaluation.classifier import judge
from flowdemo.sampling import sample


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
