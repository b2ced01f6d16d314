"""Losses and methods: what their minima are, and that the identity holds with the right signs."""

import pytest
import torch
from torch import nn

from flowdemo.core.couplings import Batch
from flowdemo.core.exact import data_velocity
from flowdemo.core.guidance import guided_velocity
from flowdemo.core.paths import PATHS, cosine, linear
from flowdemo.core.solvers import SOLVERS
from flowdemo.core.times import TIMES, uniform
from flowdemo.methods import METHODS
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.methods.losses import adaptive, average_velocity_target, squared_error
from flowdemo.methods.meanflow import MeanFlow, MeanFlowOptions


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch_of(x_1, n, guidance=None, seed=0):
    x_0 = torch.randn(n, *x_1.shape[1:], generator=rng(seed), dtype=x_1.dtype)
    rows = torch.arange(n) % len(x_1)
    return Batch(x_0, x_1[rows], torch.zeros(n, dtype=torch.long), guidance)


def loss_of(method, net, batch):
    """The mean loss of a batch, its times drawn."""
    return method(net, method.timed(batch, rng())).loss.mean()


class Exact(nn.Module):
    """A network-free network: any function in the place of `net(x, t, s, label, guidance)`."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, t, s=None, label=None, guidance=None):
        return self.function(x, t, s)


def average_velocity_of_a_point(path, point):
    """u(x, t, s) when all data is one point: x_s = alpha(s) a + sigma(s)/sigma(t) (x - alpha(t) a)."""

    def u(x, t, s):
        t, s = t[:, None], s[:, None]
        x_s = path.alpha(s) * point + path.sigma(s) / path.sigma(t) * (x - path.alpha(t) * point)
        gap = torch.where(s == t, 1.0, s - t)
        v = path.d_alpha(t) * point + path.d_sigma(t) / path.sigma(t) * (x - path.alpha(t) * point)
        return torch.where(s == t, v, (x_s - x) / gap)

    return u


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_meanflow_loss_is_zero_at_the_exact_average_velocity(name, share):
    """One data point; on the cosine path, which bends, a wrong sign or tangent does not survive."""
    path, point = PATHS[name](), torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    options = MeanFlowOptions(share_interval=share, share_start=0.2, share_end=0.2, power=0.0)
    net = Exact(average_velocity_of_a_point(path, point))
    method = MeanFlow(path, uniform, options)
    assert loss_of(method, net, batch_of(point, 64)) < 1e-10
    off = Exact(lambda x, t, s: net(x, t, s) + 0.1)
    assert loss_of(method, off, batch_of(point, 64)) > 5e-3


def test_the_identity_needs_the_derivative_along_the_flow():
    """u = v + (s - t) du/dt, where du/dt is the derivative along (v, 1, 0), by finite differences."""
    path, point = cosine(), torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    u = average_velocity_of_a_point(path, point)
    x, eps = torch.randn(4, 2, generator=rng(), dtype=torch.float64), 1e-6
    t, s = torch.full((4,), 0.3).double(), torch.full((4,), 0.8).double()
    v = u(x, t, t)
    du_dt = (u(x + eps * v, t + eps, s) - u(x - eps * v, t - eps, s)) / (2 * eps)
    target = average_velocity_target(Exact(u), v, x, t, s)
    torch.testing.assert_close(target, v + 0.5 * du_dt, atol=1e-8, rtol=0)
    torch.testing.assert_close(target, u(x, t, s), atol=1e-8, rtol=0)


def test_the_tangent_is_v_1_0_and_equals_v_1_minus_1_on_the_interval():
    """The same derivative whether the network takes (t, s) or (t, h = s - t)."""
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    x, v = (torch.randn(3, 2, generator=rng(i), dtype=torch.float64) for i in range(2))
    t, s = torch.rand(3, generator=rng(), dtype=torch.float64) / 2, torch.ones(3).double()
    by_s = Exact(lambda x, t, s: net(torch.cat([x, t[:, None], (s - t)[:, None]], 1)))
    _, by_h = torch.func.jvp(
        lambda x, t, h: net(torch.cat([x, t[:, None], h[:, None]], 1)),
        (x, t, s - t), (v, torch.ones_like(t), -torch.ones_like(t)),
    )  # fmt: skip
    target = average_velocity_target(by_s, v, x, t, s)
    torch.testing.assert_close(target, v + (s - t)[:, None] * by_h)


def test_rows_with_equal_times_have_the_flow_matching_loss():
    point = torch.randn(16, 2, generator=rng(1))
    weights = torch.randn(2, 2, generator=rng(2))
    net = Exact(lambda x, t, s: x @ weights)
    options = MeanFlowOptions(share_interval=0.0, power=0.0)
    batch = batch_of(point, 16)

    def times(n, generator):  # the first two draws of MeanFlow are for its intervals
        return torch.linspace(0, 1, n)

    mean_flow = loss_of(MeanFlow(linear(), times, options), net, batch)
    torch.testing.assert_close(mean_flow, loss_of(FlowMatching(linear(), times), net, batch))


def test_the_target_has_no_gradient():
    scale = nn.Parameter(torch.tensor(0.5))
    net = Exact(lambda x, t, s: scale * x * (1 + (s - t)[:, None]))
    net.scale = scale
    x, t = torch.randn(3, 2, generator=rng()), torch.zeros(3)
    assert not average_velocity_target(net, x, x, t, t + 1).requires_grad


def test_the_conditional_loss_has_the_gradient_of_the_marginal_one():
    """With the exact velocity of three points: E|v - u_t|^2 and E|v - v_exact|^2 (2210.02747, 2)."""
    data = torch.tensor([[-2.0, 0.0], [1.0, 1.0], [2.0, -1.0]], dtype=torch.float64)
    path, n = linear(0.2), 400_000
    weights = torch.nn.Parameter(torch.tensor([[0.3, -0.1], [0.2, 0.5]], dtype=torch.float64))
    batch, t = batch_of(data, n), torch.rand(n, generator=rng(5), dtype=torch.float64)
    x_t, u_t = path.sample(batch.x_0, batch.x_1, t)
    exact = data_velocity(path, data)(x_t, t)
    conditional, marginal = (
        torch.autograd.grad(squared_error(x_t @ weights - target).mean(), weights)[0]
        for target in (u_t, exact)
    )
    torch.testing.assert_close(conditional, marginal, atol=0.02, rtol=0.02)
    assert marginal.abs().max() > 0.3  # not both zero


def test_the_exact_velocity_minimises_the_flow_matching_loss():
    data = torch.tensor([[-2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    path = linear(0.2)
    exact = data_velocity(path, data)
    batch = batch_of(data, 20_000)
    loss = FlowMatching(path, lambda n, g: torch.rand(n, generator=g, dtype=torch.float64))
    best = loss_of(loss, Exact(lambda x, t, s: exact(x, t)), batch)
    for change in (lambda v: 1.05 * v, lambda v: 0.95 * v, lambda v: v + 0.1):
        worse = Exact(lambda x, t, s, change=change: change(exact(x, t)))
        assert loss_of(loss, worse, batch) > best


def test_the_adaptive_weight_is_by_sample_and_carries_no_gradient():
    d = torch.tensor([[3.0, 4.0], [0.1, 0.1]], requires_grad=True)
    error = squared_error(d)
    torch.testing.assert_close(error, torch.tensor([12.5, 0.01]))  # the mean over the elements
    loss = adaptive(error, power=1.0, c=0.5).mean()
    torch.testing.assert_close(loss, torch.tensor((12.5 / 13.0 + 0.01 / 0.51) / 2))
    (gradient,) = torch.autograd.grad(loss, d)  # of w |d|^2 with w constant: 2 w d / (2 elements)
    weight = torch.tensor([1 / 13.0, 1 / 0.51])
    torch.testing.assert_close(gradient, weight[:, None] * d.detach() / 2)


def test_self_guidance_has_the_guided_velocity_as_fixed_point():
    """v + (1 - 1/w)(v_w - v_u) = v_w has the solution v_w = v_u + w (v - v_u)."""
    v_u, v_c = torch.tensor([[0.5, -1.0]]), torch.tensor([[2.0, 1.0]])
    w = torch.tensor([3.0])
    state = {"v_w": torch.zeros(1, 2)}

    class Net(nn.Module):
        def forward(self, x, t, s, label, guidance):
            return v_u if label is None else state["v_w"]

    batch = Batch(v_c, v_c, torch.zeros(1, dtype=torch.long), w, t=torch.zeros(1))
    method = MeanFlow(linear(), uniform, MeanFlowOptions())
    for _ in range(200):
        state["v_w"] = method.velocity(Net(), v_c, v_c, batch)
    torch.testing.assert_close(state["v_w"], v_u + 3 * (v_c - v_u))


def test_guidance_is_the_formula_in_one_batch_and_costs_only_the_rows_it_guides():
    calls = []

    def velocity(x, t, label):
        calls.append(len(x))
        return x * (1 + label[:, None])

    x, t = torch.ones(4, 2), torch.zeros(4)
    label = torch.tensor([0, 1, 2, 5])  # 5 is the empty label
    w = torch.tensor([1.0, 2.0, 0.5, 3.0])
    v = guided_velocity(velocity, x, t, label, 5, w)
    v_empty, v_class = 6.0, torch.tensor([1.0, 2.0, 3.0, 6.0])
    torch.testing.assert_close(
        v[:, 0], v_empty + torch.tensor([1, 2, 0.5, 1]) * (v_class - v_empty)
    )
    assert calls == [4 + 2]  # w = 1 and the empty label need no second evaluation


def test_no_guidance_is_bit_equal_to_the_plain_velocity():
    def velocity(x, t, label):
        return torch.sin(x) * (1.1 + label[:, None])

    x, t, label = torch.randn(5, 3, generator=rng()), torch.zeros(5), torch.arange(5)
    guided = guided_velocity(velocity, x, t, label, 9, torch.ones(5))
    assert torch.equal(guided, velocity(x, t, label))


@pytest.mark.parametrize("name", TIMES)
def test_times_lie_between_noise_and_data(name):
    t = TIMES[name](10_000, rng())
    assert t.shape == (10_000,) and t.min() >= 0 and t.max() <= 1
    assert t.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_offers_the_ode_solvers_and_meanflow_its_own_step(name):
    offered = METHODS[name].solvers
    assert set(SOLVERS) <= set(offered)
    assert ("average" in offered) == (name == "meanflow")
