"""Log-likelihoods: against densities in closed form, and that a density integrates to one."""

import math
from dataclasses import replace

import pytest
import torch
from torch import distributions

from flowdemo.checkpoints import load
from flowdemo.core.paths import PATHS
from flowdemo.sampling.exact_model import exact_model
from flowdemo.sampling.likelihood import BATCH, divergence, log_likelihood, of_points
from tests.conftest import make_model


def points(n=6, d=2, seed=0, dtype=torch.float32):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def trace(velocity, x, t):
    """The trace of the Jacobian of each row, by reverse mode; rows do not touch one another."""
    jacobian = torch.autograd.functional.jacobian(lambda x: velocity(x, t), x)  # (n, d, n, d)
    return torch.einsum("nini->n", jacobian)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_divergence_is_the_trace_of_the_jacobian(d):
    x, t = points(d=d, dtype=torch.float64), torch.linspace(0, 1, 6, dtype=torch.float64)
    mix = torch.arange(d * d, dtype=torch.float64).reshape(d, d).cos()

    def velocity(x, t):
        return torch.tanh(x @ mix) * x.roll(1, -1) + t[:, None] * x**2

    v, div = divergence(velocity, x, t)
    torch.testing.assert_close(v, velocity(x, t))
    torch.testing.assert_close(div, trace(velocity, x, t))


@pytest.mark.parametrize("guidance_input", [True, False])
def test_the_divergence_of_a_guided_network_is_that_of_the_guided_velocity(guidance_input):
    model, x, t = make_model(guidance_input=guidance_input), points(), torch.linspace(0, 1, 6)

    def velocity(x, t):
        return model.velocity(x, t, 1, 3.0)

    torch.testing.assert_close(divergence(velocity, x, t)[1], trace(velocity, x, t))


@pytest.mark.parametrize("a", [[[0.7]], [[0.5, -2.0], [1.0, 0.3]]])
def test_a_linear_flow_has_its_analytic_density(a):
    """v = A x: x_0 = exp(-A) x_1 and log p_1 = log N(x_0; 0, I) - tr A."""
    a = torch.tensor(a, dtype=torch.float64)
    x_1 = points(d=len(a), dtype=torch.float64)
    x_0 = x_1 @ torch.linalg.matrix_exp(-a).T
    log_p_0 = distributions.Normal(0, 1).log_prob(x_0).sum(1)
    found = of_points(lambda x, t: x @ a.T, x_1, steps=40)
    torch.testing.assert_close(found, log_p_0 - a.trace(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("label", [0, 1, None])
def test_the_exact_flow_of_two_gaussians_has_their_density(path, label):
    where = torch.tensor([[-4.0, 0.0], [4.0, 0.0]])
    means = where if label is None else where[label : label + 1]
    parts = distributions.Independent(distributions.Normal(means, 1.0), 1)
    equal = distributions.Categorical(torch.ones(len(means)))
    mixture = distributions.MixtureSameFamily(equal, parts)
    x_1 = means.repeat(60 // len(means), 1) + points(60)
    found = log_likelihood(exact_model("two-gaussians", path=path), x_1, label, steps=20)
    atol = 0.12 if path == "vp" else 0.01  # which begins at 0.007 mu, not at 0
    torch.testing.assert_close(found, mixture.log_prob(x_1), atol=atol, rtol=0)


def test_the_density_that_a_network_learnt_integrates_to_one():
    side, extent = 40, 9.0
    middles = extent * ((torch.arange(side) + 0.5) * 2 / side - 1)
    model = load("two-gaussians-flow-matching")
    density = log_likelihood(model, torch.cartesian_prod(middles, middles), steps=16).exp()
    assert density.sum().item() * (2 * extent / side) ** 2 == pytest.approx(1, abs=0.02)
    assert density.max() == pytest.approx(1 / (4 * math.pi), rel=0.15)  # half a unit Gaussian


def test_the_weight_counts():
    """At w = 3 the class lies farther from the other one, so its far side is likelier."""
    model, far = exact_model("two-gaussians"), torch.tensor([[6.0, 0.0]])
    plain, guided = (log_likelihood(model, far, 1, w, steps=15).item() for w in (1.0, 3.0))
    assert plain == pytest.approx(-math.log(2 * math.pi) - 2, abs=0.01)
    assert guided > plain + 0.3


def test_a_point_is_as_likely_in_any_company():
    """Also across the batches in which many points are measured."""
    model, x_1 = make_model(), points(BATCH + 7)
    whole = log_likelihood(model, x_1, 0, steps=2)
    some = [0, 3, BATCH - 1, BATCH, BATCH + 6]
    torch.testing.assert_close(log_likelihood(model, x_1[some], 0, steps=2), whole[some])


def test_watch_hears_the_rows_done_and_may_stop_the_run():
    heard = []
    log_likelihood(make_model(), points(2 * BATCH + 1), steps=2, watch=heard.append)
    assert sorted(set(heard)) == [0, BATCH, 2 * BATCH] and heard == sorted(heard)

    class Enough(Exception):
        pass

    def stop(rows):
        raise Enough

    with pytest.raises(Enough):
        log_likelihood(make_model(), points(7), steps=2, watch=stop)


def test_a_model_of_normalised_points_has_the_density_of_the_points_themselves():
    """p(x) = p(z) / (std_1 std_2) with z = (x - mean) / std; and time may begin later than at 0."""
    plain = make_model()
    scaled = {"mean": (1.0, -2.0), "std": (2.0, 0.5)}
    model = replace(plain, config=plain.config.model_copy(update=scaled))
    z = points(20)
    x = z * torch.tensor(scaled["std"]) + torch.tensor(scaled["mean"])
    torch.testing.assert_close(log_likelihood(model, x), log_likelihood(plain, z) - math.log(1.0))
    wide = replace(plain, config=plain.config.model_copy(update={"std": (2.0, 3.0)}))
    torch.testing.assert_close(
        log_likelihood(wide, z * torch.tensor([2.0, 3.0])), log_likelihood(plain, z) - math.log(6.0)
    )
    asked = []

    def velocity(x, t):
        asked.append(t.min().item())
        return 0 * x

    of_points(velocity, z, steps=4, eps=0.1)
    assert min(asked) == pytest.approx(0.1)
