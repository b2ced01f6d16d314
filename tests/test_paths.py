"""Probability paths: their ends, their velocities, and the losses that vanish on them."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from flowdemo.core.couplings import Batch
from flowdemo.core.paths import PATHS, GaussianPath, cosine, linear, variance_preserving
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.methods.meanflow import MeanFlow, MeanFlowOptions


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def wavy() -> GaussianPath:
    """A Gaussian path whose mean is no multiple of x_1."""
    return GaussianPath(
        mu=lambda t, x_1: t * torch.tanh(x_1) + torch.sin(3 * t) * x_1.flip(-1),
        sigma=lambda t: 0.2 + (1 - t) ** 2,
        d_mu=lambda t, x_1: torch.tanh(x_1) + 3 * torch.cos(3 * t) * x_1.flip(-1),
        d_sigma=lambda t: -2 * (1 - t),
    )


ALPHA_PATHS = [pytest.param(make(0.0), id=name) for name, make in PATHS.items()]
ALPHA_PATHS.append(pytest.param(linear(0.1), id="linear, sigma_min 0.1"))
ALL_PATHS = [*ALPHA_PATHS, pytest.param(wavy(), id="wavy")]


def drawn(n=6, shape=(2, 3)):
    """Noise and data (n, *shape), and times between 0.05 and 0.95 (n,)."""
    x_0, x_1 = (torch.randn(n, *shape, generator=rng(i), dtype=torch.float64) for i in (1, 2))
    return x_0, x_1, 0.05 + 0.9 * torch.rand(n, generator=rng(3), dtype=torch.float64)


@pytest.mark.parametrize("path", ALPHA_PATHS)
def test_a_path_begins_at_the_noise_and_ends_at_the_data(path):
    """Up to (mu, sigma) at the ends: sigma_min leaves noise, and vp never quite reaches them."""
    x_0, x_1, _ = drawn()
    start, end = torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    for t in (start, end):
        mu, sigma = path.alpha(t)[0] * x_1, path.sigma(t)[0]
        torch.testing.assert_close(path.sample(x_0, x_1, t)[0], mu + sigma * x_0)
    assert path.alpha(start).max() < 0.01 and path.alpha(end).min() > 0.9999
    assert path.sigma(start).min() > 0.9999 and path.sigma(end).max() < 0.11


def test_sigma_min_is_the_noise_left_at_the_end():
    x_0, x_1, t = drawn()
    x_t, u_t = linear(0.1).sample(x_0, x_1, torch.ones_like(t))
    torch.testing.assert_close(x_t, x_1 + 0.1 * x_0)
    torch.testing.assert_close(u_t, x_1 - 0.9 * x_0)


@pytest.mark.parametrize("path", ALL_PATHS)
def test_the_velocity_of_a_sample_is_the_derivative_of_the_path(path):
    x_0, x_1, t = drawn()
    _, derivative = torch.func.jvp(
        lambda t: path.sample(x_0, x_1, t)[0], (t,), (torch.ones_like(t),)
    )
    torch.testing.assert_close(path.sample(x_0, x_1, t)[1], derivative)


@pytest.mark.parametrize("path", ALL_PATHS)
def test_the_conditional_velocity_is_the_derivative_of_the_flow(path):
    """The flow carries N(mu_s, sigma_s^2) to N(mu_t, sigma_t^2); at t = s it is the identity."""
    x, x_1, s = drawn()

    def flow(t):
        at_s, at_t = s[:, None, None], t[:, None, None]
        scale = path.sigma(at_t) / path.sigma(at_s)
        return scale * (x - path.mu(at_s, x_1)) + path.mu(at_t, x_1)

    here, derivative = torch.func.jvp(flow, (s,), (torch.ones_like(s),))
    torch.testing.assert_close(here, x)
    torch.testing.assert_close(path.velocity(x, x_1, s), derivative)


def test_each_row_has_its_own_time():
    x_0, x_1, t = drawn()
    together = wavy().sample(x_0, x_1, t)
    alone = [wavy().sample(x_0[i : i + 1], x_1[i : i + 1], t[i : i + 1]) for i in range(len(t))]
    for whole, rows in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(whole, torch.cat(rows))


@pytest.mark.parametrize("kind", [FlowMatching, MeanFlow])
@pytest.mark.parametrize("path", ALL_PATHS)
def test_the_losses_are_zero_at_the_velocity_of_one_data_point(path, kind):
    """Trained on one point x_1, the field is u_t(x | x_1), for every path."""
    x_0, x_1, t = drawn(64)
    x_1 = x_1[:1].expand_as(x_0)
    options = (MeanFlowOptions(power=0),) if kind is MeanFlow else ()
    loss = kind(path, lambda n, generator: t.repeat(2)[:n], *options)
    batch = replace(Batch(x_0, x_1, torch.zeros(64).long()), t=t, s=t)

    class Field(nn.Module):
        """u_t(x | x_1) plus a constant."""

        def forward(self, x, t, s, label, guidance, offset=0.0):
            return path.velocity(x, x_1[: len(x)], t) + offset

    exact, wrong = Field(), Field()
    wrong.forward = partial(wrong.forward, offset=0.1)
    assert loss(exact, batch).error.max() < 1e-9
    assert loss(wrong, batch).error.min() > 9e-3


@pytest.mark.parametrize("make", [cosine, variance_preserving])
def test_variance_preserving_paths_keep_the_variance_and_have_no_sigma_min(make):
    t, path = torch.linspace(0, 1, 101, dtype=torch.float64), make()
    torch.testing.assert_close(path.alpha(t) ** 2 + path.sigma(t) ** 2, torch.ones_like(t))
    with pytest.raises(ValueError, match="sigma_min"):
        make(0.1)


def test_the_vp_path_is_that_of_diffusion():
    """At r = 1/2, T = 0.1 / 2 + 19.9 / 8; r = 0 would lie beyond t = 1."""
    half = torch.tensor([0.5 / 0.999], dtype=torch.float64)
    expected = math.exp(-0.5 * (0.05 + 19.9 / 8))
    assert variance_preserving().alpha(half).item() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_vp_path_is_finite_at_both_ends(dtype):
    path, ends = variance_preserving(), torch.tensor([0.0, 1.0], dtype=dtype)
    x_0, x_1 = torch.full((2, 2), 3.0, dtype=dtype), torch.full((2, 2), -2.0, dtype=dtype)
    x_t, u_t = path.sample(x_0, x_1, ends)
    assert torch.isfinite(u_t).all() and torch.isfinite(path.velocity(x_t, x_1, ends)).all()
    reached = torch.tensor([[3.0, 3.0], [-2.0, -2.0]], dtype=dtype)
    torch.testing.assert_close(x_t, reached, atol=0.05, rtol=0)
    # sigma^2 = T(r) to first order, and T(0.001) = 0.0001 + 19.9e-6 / 2.
    assert path.sigma(ends)[1].item() == pytest.approx(math.sqrt(1.0995e-4), rel=1e-3)
    assert path.alpha(ends)[0].item() == pytest.approx(math.exp(-0.5 * 10.05), rel=1e-3)
