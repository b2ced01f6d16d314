"""du/dt along a path: three ways that agree, and the objective that takes no derivative."""

import pytest
import torch
from torch import nn

from flowdemo.core.couplings import Batch
from flowdemo.core.paths import PATHS, cosine
from flowdemo.core.times import INTERVALS, uniform
from flowdemo.methods.derivatives import DERIVATIVES, eager, split_average
from flowdemo.methods.meanflow import SPLIT, MeanFlow, MeanFlowOptions
from flowdemo.nets import build_net
from flowdemo.nets.sizes import DiTConfig, MLPConfig, UNetConfig
from tests.conftest import randomised
from tests.test_losses import Exact, average_velocity_of_a_point, rng

SWITCHED = {"end_time": True, "guidance": True}
NETS = {
    "mlp": (MLPConfig(width=16, depth=2, **SWITCHED), (2,)),
    "unet": (UNetConfig(widths=(8, 16), dim=16, **SWITCHED), (1, 8, 8)),
    "dit": (DiTConfig(dim=32, depth=2, heads=2, **SWITCHED), (1, 8, 8)),
}


def net_of(kind):
    config, shape = NETS[kind]
    return randomised(build_net(config, shape, 3)).double().eval(), shape


def point(shape, n=4):
    x, v = (torch.randn(n, *shape, generator=rng(i), dtype=torch.float64) for i in (0, 1))
    t = 0.5 * torch.rand(n, generator=rng(2), dtype=torch.float64)
    return x, t, t + 0.3, v


@pytest.mark.parametrize("kind", NETS)
def test_the_three_ways_agree(kind):
    """Reverse mode twice to rounding, the central difference to its second order."""
    net, shape = net_of(kind)
    label, w = torch.tensor([0, 1, 2, 3]), torch.full((4,), 2.0, dtype=torch.float64)
    x, t, s, v = point(shape)

    def by(name):
        value = DERIVATIVES[name](lambda x, t, s: net(x, t, s, label, w), x, t, s, v)
        assert not value.requires_grad
        return value

    exact = by("jvp")
    assert exact.norm() > 0.1
    assert (by("double-backward") - exact).norm() < 1e-10 * exact.norm()
    # A difference to one side alone would be off by more than 1e-2.
    assert (by("finite-difference") - exact).norm() < 5e-3 * exact.norm()


class Cube(torch.autograd.Function):
    """x^3 whose author wrote no forward-mode derivative."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context, gradient):
        return 3 * context.saved_tensors[0] ** 2 * gradient


def test_a_network_without_forward_mode_takes_the_two_others():
    """u = (x + 2 t + s)^3 has du/dt = 3 (x + 2 t + s)^2 (v + 2)."""
    x, t, s, v = point((2,))

    def u(x, t, s):
        return Cube.apply(x + 2 * t[:, None] + s[:, None])

    wanted = 3 * (x + 2 * t[:, None] + s[:, None]) ** 2 * (v + 2)
    with pytest.raises(RuntimeError, match=r"jvp|forward"):
        DERIVATIVES["jvp"](u, x, t, s, v)
    torch.testing.assert_close(DERIVATIVES["double-backward"](u, x, t, s, v), wanted)
    torch.testing.assert_close(
        DERIVATIVES["finite-difference"](u, x, t, s, v), wanted, atol=1e-3, rtol=1e-4
    )


def test_an_input_that_does_not_matter_does_not_stop_double_backward():
    x, t, s, v = point((2,))
    by_x = DERIVATIVES["double-backward"](lambda x, t, s: x**2, x, t, s, v)
    torch.testing.assert_close(by_x, 2 * x * v)
    by_t = DERIVATIVES["double-backward"](lambda x, t, s: t[:, None].expand(-1, 2) ** 2, x, t, s, v)
    torch.testing.assert_close(by_t, (2 * t)[:, None].expand(-1, 2))


@pytest.mark.parametrize("name", PATHS)
def test_two_steps_of_the_exact_average_make_the_whole_one(name):
    """Interval additivity, for every r between t and s, both ends included."""
    path = PATHS[name](0.0)
    u = average_velocity_of_a_point(path, torch.tensor([[1.0, -2.0]], dtype=torch.float64))
    x = torch.randn(5, 2, generator=rng(), dtype=torch.float64)
    t = torch.full((5,), 0.1, dtype=torch.float64)
    s = torch.full((5,), 0.9, dtype=torch.float64)
    r = torch.tensor([0.1, 0.2, 0.5, 0.8, 0.9], dtype=torch.float64)
    torch.testing.assert_close(split_average(u, x, t, r, s), u(x, t, s))
    wrong = split_average(lambda x, t, s: u(x, t, s) + x * (s - t)[:, None], x, t, r, s)
    assert (wrong - u(x, t, s) - 0.8 * x)[1:4].abs().min() > 1e-3  # another u is not additive


@pytest.mark.parametrize("intervals", INTERVALS)
@pytest.mark.parametrize("derivative", [*DERIVATIVES, SPLIT])
def test_every_way_recovers_the_exact_average_velocity(derivative, intervals):
    """One data point on the path that bends: the loss is 0 there, and not beside it."""
    data = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    exact = Exact(average_velocity_of_a_point(cosine(), data))
    options = MeanFlowOptions(
        share_interval=0.75, intervals=intervals, share_start=0.2, share_end=0.2,
        derivative=derivative, power=0.0,
    )  # fmt: skip
    method = MeanFlow(cosine(), uniform, options)
    x_0 = torch.randn(256, 2, generator=rng(), dtype=torch.float64)
    batch = method.timed(Batch(x_0, data.expand(256, 2), torch.zeros(256).long()), rng())
    error = method(exact, batch).error
    if (
        derivative == "finite-difference"
    ):  # of the order of its step squared, more where t is near 1
        assert error.mean() < 1e-5 and error.median() < 1e-8
    else:
        assert error.max() < 1e-10
    off = Exact(lambda x, t, s: exact(x, t, s) + 0.3 * (s - t)[:, None] * x)
    assert method(off, batch).error[: batch.spans].mean() > 1e-3


def test_the_derivative_is_taken_of_the_network_as_it_is_written():
    net = nn.Linear(2, 2)
    assert eager(net) is net
    assert eager(torch.compile(net)) is net


@pytest.mark.parametrize("config", [NETS["unet"][0], NETS["dit"][0]])
def test_colour_images_as_they_were_decoded_have_the_same_derivative(config):
    """Decoders leave the channels last; what is computed with them does not depend on that."""
    net = randomised(build_net(config, (3, 8, 8), 3)).double().eval()
    x, t, s, v = point((3, 8, 8))
    label, w = torch.tensor([0, 1, 2, 3]), torch.full((4,), 2.0, dtype=torch.float64)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        x, v = x.to(memory_format=layout), v.to(memory_format=layout)
        u = DERIVATIVES["jvp"](lambda x, t, s: net(x, t, s, label, w), x, t, s, v)
        found.append(u)
    assert not x.is_contiguous() and found[0].norm() > 0.1
    torch.testing.assert_close(*found)
