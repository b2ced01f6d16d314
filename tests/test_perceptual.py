"""Perceptual losses: what they compare, by which distance, and that the l2 part is switched off."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from flowdemo.checkpoints import save
from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch
from flowdemo.core.paths import linear
from flowdemo.data import dataset
from flowdemo.evaluation.classifier import judge
from flowdemo.methods import METHODS
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.training import perceptual
from flowdemo.training.perceptual import distance, in_colour, perceptual_of
from flowdemo.training.run import run_recipe
from tests.conftest import make_model

CPU = torch.device("cpu")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def maps_of(*shapes, seed=0):
    return [torch.randn(shape, generator=rng(seed + i)) for i, shape in enumerate(shapes)]


def test_the_distance_by_hand():
    """Two channels at two places: unit vectors (1, 0) and (0.6, 0.8) are sqrt(0.16 + 0.64) apart."""
    a = torch.tensor([[[[2.0, 0.0]], [[0.0, 5.0]]]])  # (1, 2, 1, 2): (2, 0) and (0, 5)
    b = torch.tensor([[[[3.0, 0.0]], [[4.0, 1.0]]]])  # (3, 4) and (0, 1)
    torch.testing.assert_close(distance([a], [b]), torch.tensor([0.8 / 2]))  # of two places
    one = torch.ones(1, 1, 1, 1)
    torch.testing.assert_close(distance([a, one], [b, -one]), torch.tensor([0.4 + 4.0]))
    assert distance([a], [a]).item() == 0


def test_the_length_at_a_place_does_not_matter_but_the_direction_does():
    shapes = (3, 4, 5, 5), (3, 8, 2, 2)
    a, b = maps_of(*shapes), maps_of(*shapes, seed=10)
    longer = [x * (1 + torch.rand(3, 1, *x.shape[2:], generator=rng(5))) for x in a]
    torch.testing.assert_close(distance(longer, b), distance(a, b))
    scaled = [x * torch.linspace(1, 3, x.shape[1])[:, None, None] for x in a]  # by channel
    assert (distance(scaled, b) - distance(a, b)).abs().max() > 0.01
    rows = torch.cat([distance([x[i : i + 1] for x in a], [x[i : i + 1] for x in b])
                      for i in range(3)])  # fmt: skip
    torch.testing.assert_close(rows, distance(a, b))  # each sample for itself


def recipe(**changes):
    base = {
        "name": "x", "method": "reflow", "data": "mnist", "steps": 1, "teacher": "y", "times": "t0",
        "net": {"kind": "unet", "widths": [8]}, "pairs": {"count": 1}, "loss": "lpips",
    }  # fmt: skip
    return Recipe(**(base | changes))


def test_the_classifiers_distance_is_between_pixels_of_normalised_images():
    info, n = dataset("mnist"), 4
    a, b = (torch.rand(n, 1, 28, 28, generator=rng(i)) for i in (0, 1))
    compare = perceptual_of(recipe(), info, CPU)
    net = judge("mnist").net
    wanted = distance(net.maps(a), net.maps(b))
    assert wanted.shape == (n,) and wanted.min() > 0.1
    torch.testing.assert_close(compare(info.normalise(a), info.normalise(b)), wanted)
    assert perceptual_of(recipe(loss="l2"), info, CPU) is None


def test_the_classifier_does_not_learn_but_the_image_has_a_gradient():
    compare, x = perceptual.classifier("mnist", CPU), torch.rand(2, 1, 28, 28, generator=rng())
    x.requires_grad_()
    compare(x, 1 - x.detach()).sum().backward()
    assert x.grad.abs().max() > 0
    assert all(p.grad is None for p in judge("mnist").net.parameters())


class Shifted(nn.Module):
    """v = shift, one number a row."""

    def __init__(self, shift):
        super().__init__()
        self.shift = nn.Parameter(shift)

    def forward(self, x, t, s=None, label=None, guidance=None):
        return self.shift[: len(x), None].expand_as(x)


def batch():
    x_0, x_1 = (torch.randn(5, 2, generator=rng(i)) for i in (0, 1))
    return Batch(x_0, x_1, torch.zeros(5).long(), t=torch.zeros(5))


def cubed(a, b):
    """Some distance that is not l2, and not of the difference alone."""
    return (a**3 - b**3).square().sum(1)


@pytest.mark.parametrize("squared", [True, False])
def test_the_perceptual_term_compares_what_one_step_makes_with_the_data(squared):
    given, net = batch(), Shifted(torch.linspace(-1, 1, 5))
    v = net.shift.detach()[:, None].expand(5, 2)
    l2 = (v - (given.x_1 - given.x_0)).square().mean(1)
    wanted = cubed(given.x_0 + v, given.x_1)
    terms = FlowMatching(linear(), None, squared=squared, perceptual=cubed)(net, given)
    torch.testing.assert_close(terms.loss, wanted + l2 if squared else wanted)
    torch.testing.assert_close(terms.error, l2)  # what is logged stays comparable
    assert not terms.error.requires_grad
    (gradient,) = torch.autograd.grad(terms.loss.sum(), net.shift)
    made = given.x_0 + v
    own = (6 * made**2 * (made**3 - given.x_1**3)).sum(1)
    torch.testing.assert_close(gradient, own + (made - given.x_1).sum(1) if squared else own)


def test_a_recipes_loss_says_which_terms_there_are():
    for loss, squared in {"l2": True, "lpips": False, "lpips+l2": True}.items():
        method = METHODS["reflow"].loss(recipe(loss=loss), None, None, cubed)
        assert method.squared == squared and method.perceptual is cubed


@pytest.mark.parametrize("method", ["reflow", "meanflow"])
def test_the_sum_is_the_mean_times_the_elements(method):
    options = {"net": {"kind": "mlp", "end_time": True}, "meanflow": {"power": 0}, "pairs": None}
    changes = {"loss": "l2"} | ({} if method == "reflow" else {"times": "uniform"} | options)
    given, terms = batch(), {}
    for reduction in ("mean", "sum"):
        plan = recipe(method=method, reduction=reduction, **changes)
        loss = METHODS[method].loss(plan, lambda n, g: torch.rand(n, generator=g))
        terms[reduction] = loss(Shifted(torch.ones(5)), loss.timed(given, rng()))
    torch.testing.assert_close(terms["sum"].loss, 2 * terms["mean"].loss)
    torch.testing.assert_close(terms["sum"].error, 2 * terms["mean"].error)


def test_grey_images_become_three_channels_for_networks_of_colour():
    grey, colour = torch.rand(2, 1, 4, 4), torch.rand(2, 3, 4, 4)
    assert torch.equal(in_colour(grey), torch.cat([grey] * 3, 1)) and in_colour(colour) is colour


def installed(monkeypatch, network):
    """An `lpips` package in whose place `network` stands."""
    package = ModuleType("lpips")
    package.LPIPS = network
    package.__spec__ = object()
    monkeypatch.setitem(sys.modules, "lpips", package)


def test_the_lpips_package_sees_colour_in_minus_1_to_1(monkeypatch):
    seen = []

    class Network(nn.Module):
        def __init__(self, net, verbose):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, a, b):
            seen.extend((a, b))
            return (a - b).square().mean((1, 2, 3), keepdim=True)

    installed(monkeypatch, Network)
    a, b = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    d = perceptual.lpips("mnist", CPU)(a, b)
    assert torch.equal(d, torch.full((2,), 4.0))
    assert [x.shape for x in seen] == [(2, 3, 4, 4)] * 2
    assert (seen[0] == -1).all() and (seen[1] == 1).all()


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs the lpips package: pip install lpips"):
        perceptual_of(recipe(features="lpips"), dataset("mnist"), CPU)
    with pytest.raises(ValueError, match=r'no classifier of fashion-mnist .* "l2"'):
        perceptual_of(recipe(data="fashion-mnist"), dataset("fashion-mnist"), CPU)
    with pytest.raises(ValueError, match="compares images, not Two moons"):
        perceptual_of(recipe(data="moons"), dataset("moons"), CPU)


def test_a_distance_that_is_missing_leaves_no_started_run(monkeypatch, trained):
    """So that the same folder can be run with other features."""
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None)
    save(make_model("mnist"), trained / "y")
    plan = recipe(features="lpips")
    with pytest.raises(ValueError, match="needs the lpips package"):
        next(run_recipe(plan.model_copy(update={"teacher": "y"}), trained / "x"))
    assert not (trained / "x").exists()


def test_weights_that_cannot_be_had_are_said(monkeypatch):
    def network(net, verbose):
        raise OSError("no route")

    installed(monkeypatch, network)
    with pytest.raises(ValueError, match=r"cannot be had \(OSError: no route\).*classifier"):
        perceptual.lpips("mnist", CPU)
