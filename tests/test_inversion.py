"""Inversion: there and back is where one was, and the noise is that which made the sample."""

import math

import pytest
import torch

from flowdemo.checkpoints import load
from flowdemo.core.noise import noise
from flowdemo.sampling.inversion import between, invert, round_trip_error
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import sample
from tests.conftest import make_model


@pytest.mark.parametrize("name", ["mnist-flow-matching", "mnist-reflow", "mnist-meanflow"])
def test_a_sample_goes_back_to_the_noise_that_made_it(name):
    model, fine = load(name), {"solver": "rk4", "steps": 20}
    made = sample(model, 2, "all", seed=4, **fine)
    back = invert(model, made.trajectory.states[-1], Request(label=[0, 1], **fine))
    x_0 = noise(4, 2, (1, 28, 28))
    # Not equal to it: the flow contracts to the digits, so the way back magnifies small errors.
    assert torch.nn.functional.cosine_similarity(back.x_0.flatten(), x_0.flatten(), 0) > 0.95
    again = sample(model, 2, "all", x_0=back.x_0, **fine)
    assert round_trip_error(made.images, again.images) < 0.02
    assert again.settings["seed"] is None
    assert back.trajectory.times[0] == 1 and back.trajectory.times[-1] == 0 and back.nfe == 80


def test_an_adaptive_round_trip_of_points_is_exact_to_its_tolerance():
    model = make_model(guidance_input=True)
    x_1 = torch.tensor([[1.0, -0.5], [2.0, 0.3]])
    tight = {"solver": "dopri5", "tolerance": 1e-6}
    back = invert(model, x_1, Request(label=[1, 0], guidance=2.5, **tight))
    again = sample(model, 2, [1, 0], 2.5, x_0=back.x_0, **tight)
    assert round_trip_error(x_1, again.points) < 1e-4
    other = sample(model, 2, [0, 1], 2.5, x_0=back.x_0, **tight)
    assert round_trip_error(x_1, other.points) > 1e-2  # another class from the same noise


def test_what_cannot_be_inverted_is_refused():
    model = make_model(method="meanflow")
    for x_1, options, message in (
        (torch.zeros(2, 3), {}, "finite data of shape"),
        (torch.zeros(0, 2), {}, "finite data of shape"),
        (torch.full((1, 2), float("nan")), {}, "finite data of shape"),
        (torch.zeros(1, 2), {"solver": "average"}, "only goes from noise to data"),
        (torch.zeros(1, 2), {"solver": "none"}, "offers no solver"),
        (torch.zeros(9, 2), {"solver": "euler", "steps": 99}, "exceed"),
    ):
        with pytest.raises(ValueError, match=message):
            invert(model, x_1, Request(label=0, **options), max_evaluations=9)
    for x_0 in (torch.zeros(3, 2), torch.full((2, 2), float("inf"))):
        with pytest.raises(ValueError, match="x_0 must be"):
            sample(model, 2, 0, x_0=x_0)


def test_between_two_noises_the_length_stays():
    a, b = noise(0, 2, (1, 28, 28))
    way = between(a, b, 5)
    assert torch.allclose(way[0], a, atol=1e-5) and torch.allclose(way[-1], b, atol=1e-5)
    assert (
        way.flatten(1).norm(dim=1) / 28 - 1
    ).abs().max() < 0.1  # a line's middle would be at 0.71
    steps = (way[1:] - way[:-1]).flatten(1).norm(dim=1)
    assert steps.max() / steps.min() < 1.05
    x, y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    torch.testing.assert_close(between(x, y, 3)[1], torch.full((2,), math.sqrt(0.5)))
    torch.testing.assert_close(between(x, x, 3), x.expand(3, 2))
