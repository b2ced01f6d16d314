"""Gaussian paths in general, and the variance-preserving one at its ends."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from flowdemo.couplings import Batch
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.methods.meanflow import MeanFlow, MeanFlowOptions
from flowdemo.paths import PATHS, GaussianPath, variance_preserving


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def wavy() -> GaussianPath:
    """A path whose mean is no multiple of x_1: it sways, and bends what it carries."""
    return GaussianPath(
        mu=lambda t, x_1: t * torch.tanh(x_1) + torch.sin(3 * t) * x_1.flip(-1),
        sigma=lambda t: 0.2 + (1 - t) ** 2,
        d_mu=lambda t, x_1: torch.tanh(x_1) + 3 * torch.cos(3 * t) * x_1.flip(-1),
        d_sigma=lambda t: -2 * (1 - t),
    )


ANY = [pytest.param(wavy(), id="wavy")]
ANY += [pytest.param(make(0.0), id=name) for name, make in PATHS.items()]


def drawn(n=6, shape=(2, 3)):
    x_0, x_1 = (torch.randn(n, *shape, generator=rng(i), dtype=torch.float64) for i in (1, 2))
    return x_0, x_1, 0.05 + 0.9 * torch.rand(n, generator=rng(3), dtype=torch.float64)


@pytest.mark.parametrize("path", ANY)
def test_the_velocity_of_a_draw_is_the_velocity_field_at_its_place(path):
    x_0, x_1, t = drawn()
    x_t, u_t = path.sample(x_0, x_1, t)
    torch.testing.assert_close(path.velocity(x_t, x_1, t), u_t)


@pytest.mark.parametrize("path", ANY)
def test_the_velocity_is_the_derivative_of_the_flow(path):
    """The flow carries N(mu_s, sigma_s^2) to N(mu_t, sigma_t^2); at t = s it stays where it is."""
    x, x_1, s = drawn()

    def flow(t):
        at_s, at_t = s[:, None, None], t[:, None, None]
        scale = path.sigma(at_t) / path.sigma(at_s)
        return scale * (x - path.mu(at_s, x_1)) + path.mu(at_t, x_1)

    here, derivative = torch.func.jvp(flow, (s,), (torch.ones_like(s),))
    torch.testing.assert_close(here, x)
    torch.testing.assert_close(path.velocity(x, x_1, s), derivative)


@pytest.mark.parametrize("kind", [FlowMatching, MeanFlow])
@pytest.mark.parametrize("path", ANY)
def test_the_losses_are_zero_at_the_velocity_of_one_data_point(path, kind):
    """Trained on one point x_1, the field is u_t(x | x_1), whatever the path to it is."""
    x_0, x_1, t = drawn(64)
    x_1 = x_1[:1].expand_as(x_0)
    told = (MeanFlowOptions(power=0),) if kind is MeanFlow else ()
    loss = kind(path, lambda n, generator: t.repeat(2)[:n], *told)
    batch = replace(Batch(x_0, x_1, torch.zeros(64).long()), t=t, s=t)

    class Field(nn.Module):
        """u_t(x | x_1), or one that is beside it."""

        def forward(self, x, t, s, label, guidance, beside=0.0):
            return path.velocity(x, x_1[: len(x)], t) + beside

    exact, wrong = Field(), Field()
    wrong.forward = partial(wrong.forward, beside=0.1)
    assert loss(exact, batch).error.max() < 1e-9
    assert loss(wrong, batch).error.min() > 9e-3


def test_a_time_belongs_to_its_row():
    x_0, x_1, t = drawn()
    together = wavy().sample(x_0, x_1, t)
    for i in range(len(t)):
        alone = wavy().sample(x_0[i : i + 1], x_1[i : i + 1], t[i : i + 1])
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b)


def test_the_vp_path_preserves_variance_and_is_that_of_diffusion():
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    path = variance_preserving()
    torch.testing.assert_close(path.alpha(t) ** 2 + path.sigma(t) ** 2, torch.ones_like(t))
    # At r = 1/2, T = 0.1 / 2 + 19.9 / 8; beyond t = 1 would lie r = 0.
    half = torch.tensor([0.5 / 0.999], dtype=torch.float64)
    assert path.alpha(half).item() == pytest.approx(math.exp(-0.5 * (0.05 + 19.9 / 8)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_vp_path_is_finite_at_both_ends(dtype):
    path, ends = variance_preserving(), torch.tensor([0.0, 1.0], dtype=dtype)
    x_0, x_1 = torch.full((2, 2), 3.0, dtype=dtype), torch.full((2, 2), -2.0, dtype=dtype)
    x_t, u_t = path.sample(x_0, x_1, ends)
    assert torch.isfinite(u_t).all() and torch.isfinite(path.velocity(x_t, x_1, ends)).all()
    torch.testing.assert_close(x_t, torch.tensor([[3.0] * 2, [-2.0] * 2], dtype=dtype), atol=0.05,
                               rtol=0)  # fmt: skip
    # sigma^2 = T(r) to first order, and T(0.001) = 0.0001 + 19.9e-6 / 2.
    assert path.sigma(ends)[1].item() == pytest.approx(math.sqrt(1.0995e-4), rel=1e-3)
    assert path.alpha(ends)[0].item() == pytest.approx(math.exp(-0.5 * 10.05), rel=1e-3)


@pytest.mark.parametrize("name", ["alpha", "sigma"])
def test_the_derivatives_of_the_vp_path_are_those_of_finite_differences(name):
    path, e = variance_preserving(), 1e-6
    t = torch.linspace(0.001, 0.999, 50, dtype=torch.float64)
    function, derivative = getattr(path, name), getattr(path, f"d_{name}")
    difference = (function(t + e) - function(t - e)) / (2 * e)
    torch.testing.assert_close(derivative(t), difference, atol=1e-6, rtol=1e-5)


def test_the_vp_path_has_no_sigma_min():
    with pytest.raises(ValueError, match="sigma_min"):
        variance_preserving(0.1)
