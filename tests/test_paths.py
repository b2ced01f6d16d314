"""Paths: ends, velocities, and the exact velocities that tests and plots compare with."""

import pytest
import torch

from flowdemo.ideal import data_velocity, mixture_velocity
from flowdemo.paths import PATHS, cosine, linear
from flowdemo.solvers import fixed_step, grid, integrate

ALL_PATHS = [pytest.param(make(), id=name) for name, make in PATHS.items()]
ALL_PATHS.append(pytest.param(linear(0.1), id="linear, sigma_min 0.1"))


def pair(n=5, shape=(3,)):
    g = torch.Generator().manual_seed(1)
    return (torch.randn(n, *shape, generator=g, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize("path", ALL_PATHS)
def test_a_path_begins_at_the_noise_and_ends_at_the_data(path):
    """As far as its (mu, sigma) go: sigma_min leaves noise, and vp never quite reaches either end."""
    x_0, x_1 = pair()
    start, end = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    for t in (start, end):
        mu, sigma = path.alpha(t)[:, None] * x_1, path.sigma(t)[:, None]
        torch.testing.assert_close(path.sample(x_0, x_1, t)[0], mu + sigma * x_0)
    assert path.alpha(start).max() < 0.01 and path.alpha(end).min() > 0.9999
    assert path.sigma(start).min() > 0.9999 and path.sigma(end).max() < 0.11


def test_sigma_min_is_the_noise_left_at_the_end():
    x_0, x_1 = pair()
    x_t, u_t = linear(0.1).sample(x_0, x_1, torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(x_t, x_1 + 0.1 * x_0)
    torch.testing.assert_close(u_t, x_1 - 0.9 * x_0)


@pytest.mark.parametrize("path", ALL_PATHS)
def test_the_velocity_is_the_derivative_of_the_path(path):
    x_0, x_1 = pair(shape=(2, 4))
    t = torch.rand(5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    _, derivative = torch.func.jvp(
        lambda t: path.sample(x_0, x_1, t)[0], (t,), (torch.ones_like(t),)
    )
    torch.testing.assert_close(path.sample(x_0, x_1, t)[1], derivative)


def test_the_cosine_path_preserves_variance_and_has_no_sigma_min():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    path = cosine()
    torch.testing.assert_close(path.alpha(t) ** 2 + path.sigma(t) ** 2, torch.ones_like(t))
    with pytest.raises(ValueError, match="sigma_min"):
        cosine(0.1)


@pytest.mark.parametrize("path", ALL_PATHS)
def test_the_exact_velocity_of_two_points_has_the_known_posterior(path):
    """For data {-1, 1}: E[x_1 | x_t = x] = tanh(alpha x / sigma^2)."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    t = torch.full((9,), 0.4, dtype=torch.float64)
    data = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    mean_x_1 = torch.tanh(alpha * x / sigma**2)
    mean_x_0 = (x - alpha * mean_x_1) / sigma
    expected = path.d_alpha(t)[:, None] * mean_x_1 + path.d_sigma(t)[:, None] * mean_x_0
    torch.testing.assert_close(data_velocity(path, data)(x, t), expected)


def test_the_exact_velocity_is_the_mean_conditional_velocity():
    """Of a mixture with unequal weights and widths, by importance sampling over its components."""
    path, g = linear(), torch.Generator().manual_seed(3)
    means = torch.tensor([[-2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    stds = torch.tensor([0.5, 1.0], dtype=torch.float64)
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    component = torch.multinomial(weights, 2_000_000, replacement=True, generator=g)
    noise = torch.randn(2_000_000, 2, generator=g, dtype=torch.float64)
    x_1 = means[component] + stds[component][:, None] * noise
    x, t = torch.tensor([[0.3, 0.2]], dtype=torch.float64), torch.tensor([0.6], dtype=torch.float64)
    x_0 = (x - 0.6 * x_1) / 0.4  # the noise that leads through x
    likelihood = torch.softmax(-0.5 * x_0.square().sum(1), dim=0)
    expected = (likelihood[:, None] * (x_1 - x_0)).sum(0, keepdim=True)
    exact = mixture_velocity(path, means, stds, weights)(x, t)
    torch.testing.assert_close(exact, expected, atol=5e-3, rtol=5e-3)


def test_following_the_exact_velocity_of_a_gaussian_gives_that_gaussian():
    """One Gaussian N(m, s^2): the flow map is affine, x_1 = m + s x_0."""
    mean, std = torch.tensor([[1.5, -2.0]], dtype=torch.float64), torch.tensor([0.3]).double()
    x_0, _ = pair(shape=(2,))
    velocity = mixture_velocity(linear(), mean, std)
    x_1 = integrate(fixed_step(velocity, "rk4"), x_0, grid(200)).states[-1]
    torch.testing.assert_close(x_1, mean + 0.3 * x_0, atol=1e-6, rtol=0)


def test_following_the_exact_velocity_of_a_data_set_lands_on_it():
    data = torch.tensor([[-3.0, 1.0], [0.0, 2.0], [4.0, -1.0]], dtype=torch.float64)
    x_0, _ = pair(20, (2,))
    step = fixed_step(data_velocity(linear(0.01), data), "heun")
    x_1 = integrate(step, x_0, grid(200)).states[-1]
    assert torch.cdist(x_1, data).min(1).values.max() < 0.05
