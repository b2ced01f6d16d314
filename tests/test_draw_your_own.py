"""Ten drawings of a new symbol are enough for flow matching and for MeanFlow in one step."""

import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from flowdemo import load, sample
from flowdemo.data.digits import to_digit
from flowdemo.training.finetune import FineTuning, Tuned, finetune

PAGE, ALIKE = 280, 0.67  # side of a drawing; likeness to the symbol that no digit reaches


def drawing(rng: random.Random) -> Image.Image:
    """A cross in a ring by an unsteady hand, dark on light."""
    page = Image.new("L", (PAGE, PAGE), 255)
    pen = ImageDraw.Draw(page)

    def about(place: float) -> float:
        return place + rng.uniform(-12, 12)

    x, y, r = about(140), about(140), about(90)
    pen.ellipse((x - r, y - r, x + r, y + r), outline=0, width=18)
    q = r / math.sqrt(2)
    pen.line((about(x - q), about(y - q), about(x + q), about(y + q)), fill=0, width=18)
    pen.line((about(x - q), about(y + q), about(x + q), about(y - q)), fill=0, width=18)
    return page


def template(turned: float, size: float) -> torch.Tensor:
    """The ideal symbol (28, 28), light on dark."""
    page = Image.new("L", (PAGE, PAGE), 0)
    pen, r = ImageDraw.Draw(page), 100 * size
    pen.ellipse((140 - r, 140 - r, 140 + r, 140 + r), outline=255, width=22)
    for k in range(2):
        angle = math.radians(turned + 45 + 90 * k)
        x, y = r * math.cos(angle), r * math.sin(angle)
        pen.line((140 - x, 140 - y, 140 + x, 140 + y), fill=255, width=22)
    return torch.from_numpy(np.asarray(page.resize((28, 28), Image.Resampling.BOX)) / 255).float()


TEMPLATES = [template(a, s) for a in (-15, -7, 0, 7, 15) for s in (0.75, 0.85, 0.95, 1.05)]


def likeness(images: torch.Tensor) -> torch.Tensor:
    """The largest normalised correlation with the symbol, turned, sized and moved a little: (n,)."""
    x = images[:, 0] - images[:, 0].mean((1, 2), keepdim=True)
    x = x / x.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-6)
    best = torch.full((len(x),), -1.0)
    for ideal in TEMPLATES:
        t = ideal - ideal.mean()
        r = F.conv2d(x[:, None], (t / t.norm())[None, None], padding=3)
        best = torch.maximum(best, r.flatten(1).amax(1))
    return best


def learnt(name, how, **plan):
    """Likeness of digits by the model as it ships, samples of the new class, and the last event."""
    rng = random.Random(3)
    pictures = torch.stack([to_digit(drawing(rng)) for _ in range(10)])
    origin = load(name)
    digits = likeness(sample(origin, 50, "all", seed=3, **how).images)
    events = finetune(FineTuning("mine", **plan), origin, pictures, ["target"] * 10)
    *_, tuned = (event for event in events if isinstance(event, Tuned))
    return digits, sample(tuned.model, 40, 10, 2.0, seed=5, **how), tuned


def test_a_few_steps_begin_to_learn_the_symbol_and_forget_no_digit():
    digits, made, tuned = learnt("mnist-meanflow", {"steps": 1}, steps=12)
    assert likeness(made.images).mean() > digits.mean() + 0.02
    assert tuned.after >= tuned.before - 0.02


@pytest.mark.whole
@pytest.mark.parametrize(
    ("name", "how"), [("mnist-flow-matching", {"steps": 4}), ("mnist-meanflow", {"steps": 1})]
)
def test_ten_drawings_are_learnt_and_no_digit_is_forgotten(name, how):
    """With the settings that the app begins with."""
    digits, made, tuned = learnt(name, how)
    assert (digits < ALIKE).all()
    assert made.nfe == (8 if name == "mnist-flow-matching" else 1)
    assert (likeness(made.images) > ALIKE).double().mean() >= 0.7
    assert tuned.after >= tuned.before - 0.02
