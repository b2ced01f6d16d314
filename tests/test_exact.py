"""The exact velocity as a model: closed forms, classes, guidance, and where its flow ends."""

import math

import pytest
import torch
from torch import distributions

from flowdemo.core.noise import noise
from flowdemo.core.paths import PATHS
from flowdemo.core.solvers import SOLVERS
from flowdemo.data import OWN, points_of
from flowdemo.data.toys import MIXTURES
from flowdemo.evaluation.metrics import straightness
from flowdemo.sampling.exact_model import SCALE, exact_model
from flowdemo.sampling.run import sample

EMPTY = 8  # of eight-gaussians


def some(n=40, seed=0):
    """States in the plane and times between 0 and 1."""
    g = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, 2, generator=g), torch.rand(n, generator=g)


def posterior_velocity(path, x, t, means, scale):
    """E[u_t | x_t = x] of equally likely Gaussians N(mu, scale^2): by Bayes, then by regression.

    Of component k, x_1 given x_t is mu + alpha scale^2 / S (x - alpha mu), S the variance of x_t.
    """
    alpha, sigma, d_alpha, d_sigma = (
        f(t)[:, None] for f in (path.alpha, path.sigma, path.d_alpha, path.d_sigma)
    )
    variance = alpha**2 * scale**2 + sigma**2  # (n, 1)
    centres = alpha[:, None] * means  # (n, k, 2)
    normal = distributions.Normal(centres, variance.sqrt()[:, None])
    weights = torch.softmax(normal.log_prob(x[:, None]).sum(2), dim=1)[:, :, None]
    x_1 = (weights * (means + (alpha * scale**2 / variance)[:, None] * (x[:, None] - centres))).sum(
        1
    )
    x_0 = (x - alpha * x_1) / sigma
    return d_alpha * x_1 + d_sigma * x_0


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("label", [0, 3, EMPTY, None])
def test_a_class_is_its_component_and_the_empty_label_all_of_them(name, label):
    means, scale = MIXTURES["eight-gaussians"]
    x, t = some()
    of_label = means if label in (EMPTY, None) else means[label : label + 1]
    expected = posterior_velocity(PATHS[name](0.0), x, t, of_label, scale)
    v = exact_model("eight-gaussians", path=name).velocity(x, t, label)
    torch.testing.assert_close(v, expected, atol=1e-4, rtol=1e-4)


def test_without_a_closed_form_a_class_is_its_draws():
    """Rings are no Gaussian mixture: the exact field is that of 2,000 narrow Gaussians."""
    model = exact_model("rings")
    points, labels = points_of("rings", 2000, seed=7_000_000)
    x, t = some()
    for label, those in ((2, points[labels == 2]), (None, points)):
        expected = posterior_velocity(PATHS["linear"](0.0), x, 0.9 * t, those, SCALE)
        v = model.velocity(x, 0.9 * t, label)
        torch.testing.assert_close(v, expected, atol=2e-3, rtol=1e-3)


def test_rows_of_many_classes_are_as_in_batches_of_one_class():
    model, (x, t) = exact_model("eight-gaussians"), some(45)
    labels = torch.arange(45) % (EMPTY + 1)
    mixed = model.velocity(x, t, labels)
    for label in range(EMPTY + 1):
        rows = labels == label
        torch.testing.assert_close(mixed[rows], model.velocity(x[rows], t[rows], label))


@pytest.mark.parametrize("path", PATHS)
def test_of_one_class_the_flow_is_affine(path):
    """x_t = alpha mu + sqrt(alpha^2 s^2 + sigma^2) x_0, hence x_1 = mu + s x_0.

    On vp as nearly as alpha(0) = 0.007 is 0: the noise is that of another beginning.
    """
    means, scale = MIXTURES["eight-gaussians"]
    model, x_0 = exact_model("eight-gaussians", path=path), noise(3, 16, (2,))
    made = sample(model, 16, "all", solver="rk4", steps=100, seed=3)
    expected = means.repeat(2, 1) + scale * x_0
    torch.testing.assert_close(made.points, expected, atol=0.015 if path == "vp" else 1e-3, rtol=0)


@pytest.mark.parametrize("path", PATHS)
def test_following_it_without_a_class_gives_the_distribution(path):
    means, scale = MIXTURES["eight-gaussians"]
    made = sample(exact_model("eight-gaussians", path=path), 2000, solver="rk4", steps=50, seed=1)
    distance, nearest = torch.cdist(made.points, means).min(1)
    assert distance.max() < 4.5 * scale
    assert (torch.bincount(nearest, minlength=8) / 2000 - 1 / 8).abs().max() < 0.03
    for k in range(8):
        part = made.points[nearest == k]
        assert (part.mean(0) - means[k]).norm() < 0.1
        assert part.std(0).tolist() == pytest.approx([scale, scale], rel=0.2)


@pytest.mark.parametrize("data", MIXTURES)
def test_the_log_density_is_that_of_the_mixture(data):
    means, scale = MIXTURES[data]
    model, (x, _) = exact_model(data), some()
    parts = distributions.Independent(distributions.Normal(means, scale), 1)
    equal = distributions.Categorical(torch.ones(len(means)))
    mixture = distributions.MixtureSameFamily(equal, parts)
    torch.testing.assert_close(model.net.log_density(x, model.empty), mixture.log_prob(x))
    second = distributions.Independent(distributions.Normal(means[1], scale), 1)
    torch.testing.assert_close(model.net.log_density(x, 1), second.log_prob(x))


def test_the_log_density_of_own_points_is_that_of_narrow_gaussians_about_them():
    points = torch.tensor([[0.0, 0.0], [0.1, 0.0], [1.0, 2.0]])
    x = torch.tensor([[0.05, 0.02], [1.1, 2.1]])
    apart = (x[:, None] - points).square().sum(2)
    density = (-apart / (2 * SCALE**2)).exp().mean(1) / (2 * math.pi * SCALE**2)
    model = exact_model(OWN, points)
    for label in (0, model.empty):  # the one class is all there is
        torch.testing.assert_close(model.net.log_density(x, label), density.log())


@pytest.mark.parametrize("w", [0.5, 1.0, 3.0])
def test_guidance_is_its_formula(w):
    model, (x, t) = exact_model("eight-gaussians"), some(9)
    labels = torch.arange(9)  # the last one is the empty label, which is never guided
    v_c, v_u = model.net(x, t, label=labels), model.net(x, t)
    torch.testing.assert_close(model.velocity(x, t, labels, w), v_u + w * (v_c - v_u))


def test_the_straightness_of_one_gaussian_is_its_closed_form():
    """N(mu, I): v = mu + (2 t - 1) / sqrt(t^2 + (1 - t)^2) x_0, and the chord is mu.

    The integral of (2 t - 1)^2 / (t^2 + (1 - t)^2) is 2 - pi / 2; |mu| = 4.
    """
    model, x_0 = exact_model("two-gaussians"), noise(0, 500, (2,))
    expected = (2 - math.pi / 2) * x_0.square().sum(1).mean().item() / 16
    found = straightness(lambda x, t: model.velocity(x, t, 1), x_0)
    assert found == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("path", PATHS)
def test_over_own_points_the_flow_ends_at_those_very_points(path):
    points = torch.tensor([[-3.0, 0.0], [3.0, 1.0], [0.0, 3.0], [0.5, -2.0]])
    made = sample(exact_model(OWN, points, path), 200, solver="rk4", steps=100, seed=2).points
    distance, nearest = torch.cdist(made, points).min(1)
    assert distance.max() < 5 * SCALE
    assert (torch.bincount(nearest, minlength=4) > 10).all()  # each of them
    within = (made - points[nearest]).std().item()
    assert within == pytest.approx(SCALE, rel=0.2)


def test_it_offers_every_solver_of_a_velocity_and_no_average_velocity():
    model = exact_model("moons", torch.zeros(1, 2))
    assert set(model.solvers) == set(SOLVERS)
    for solver in model.solvers:
        assert sample(model, 3, solver=solver).points.shape == (3, 2)
    with pytest.raises(ValueError, match="no solver 'average'"):
        sample(model, 3, solver="average")
    with pytest.raises(ValueError, match="no average velocity"):
        model.average_velocity(torch.zeros(1, 2), 0, 1)


def test_nobody_has_own_points_but_who_brings_them():
    with pytest.raises(ValueError, match="own points are not kept here"):
        exact_model(OWN)


def test_of_many_own_points_all_parts_are_seen():
    points = torch.cat([torch.full((3000, 2), -3.0), torch.full((3000, 2), 3.0)])
    made = sample(exact_model(OWN, points), 200, solver="rk4", steps=30).points
    assert 0.35 < (made[:, 0] > 0).float().mean() < 0.65
