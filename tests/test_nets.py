"""Networks: every input matters, and the derivatives that MeanFlow takes are right."""

import subprocess
import sys

import pytest
import torch

from flowdemo.couplings import Batch
from flowdemo.methods.meanflow import MeanFlow, MeanFlowOptions
from flowdemo.paths import linear
from flowdemo.times import uniform
from flowdemo.training.precision import autocast
from tests.conftest import make_model


def inputs(data, dtype=torch.float64, n=3):
    g = torch.Generator().manual_seed(0)
    shape = (1, 28, 28) if data == "mnist" else (2,)
    x, v = (torch.randn(n, *shape, generator=g).to(dtype) for _ in range(2))
    t, s = torch.full((n,), 0.2, dtype=dtype), torch.full((n,), 0.9, dtype=dtype)
    return x, v, t, s, torch.zeros(n, dtype=torch.long), torch.full((n,), 2.0, dtype=dtype)


@pytest.mark.parametrize("data", ["mnist", "moons"])
def test_every_input_that_is_switched_on_matters_and_none_else(data):
    x, _, t, s, label, w = inputs(data)
    on = make_model(data, "meanflow", guidance_input=True).net.double()
    off = make_model(data, "flow-matching").net.double()
    changes = {"t": (t + 0.1, s, label, w), "s": (t, s - 0.1, label, w)}
    changes |= {"label": (t, s, label + 1, w), "w": (t, s, label, w + 1)}
    for name, changed in changes.items():
        assert (on(x, *changed) - on(x, t, s, label, w)).abs().max() > 1e-4, name
        same = torch.equal(off(x, *changed), off(x, t, s, label, w))
        assert same == (name in ("s", "w")), name


@pytest.mark.parametrize("data", ["mnist", "moons"])
def test_the_derivative_along_the_flow_is_that_of_finite_differences(data):
    x, v, t, s, label, w = inputs(data)
    net = make_model(data, "meanflow", guidance_input=True).net.double()
    eps = 1e-6
    tangents = (v, torch.ones_like(t), torch.zeros_like(s))
    _, derivative = torch.func.jvp(lambda x, t, s: net(x, t, s, label, w), (x, t, s), tangents)
    ahead, behind = (net(x + e * v, t + e, s, label, w) for e in (eps, -eps))
    difference = (ahead - behind) / (2 * eps)
    assert (derivative - difference).norm() < 1e-6 * difference.norm()


def test_a_meanflow_step_of_the_unet_works_under_bfloat16():
    """Group normalisation and attention have forward-mode derivatives there; see `Norm`."""
    model = make_model("mnist", "meanflow", guidance_input=True)
    net = model.net.requires_grad_(True)
    x, v, _, _, label, w = inputs("mnist", torch.float32, 8)
    loss = MeanFlow(linear(), uniform, MeanFlowOptions(share_interval=0.5, power=0.0))
    values = []
    for enabled in (False, True):
        net.zero_grad()
        with autocast(torch.device("cpu"), "bfloat16" if enabled else "float32"):
            batch = loss.timed(Batch(x, v, label, w), torch.Generator().manual_seed(1))
            value = loss(net, batch).loss.mean()
        value.backward()
        values.append(value.item())
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    assert values[1] == pytest.approx(values[0], rel=0.1)


def test_the_empty_label_stands_in_for_none():
    x, _, t, s, label, w = inputs("moons")
    net = make_model("moons", "meanflow", guidance_input=True).net.double()
    assert torch.equal(net(x, t, s, None, w), net(x, t, s, torch.full_like(label, 2), w))
    assert torch.equal(net(x, t, None, label, w), net(x, t, t, label, w))
    assert torch.equal(net(x, t, s, label, None), net(x, t, s, label, torch.ones_like(w)))


def test_planning_a_network_imports_no_compiler():
    """On "meta" some operations do, which takes longer than all else of the app's start."""
    code = (
        "import sys, torch; from flowdemo.sizes import UNetConfig\n"
        "from flowdemo.nets import build_net\n"
        "with torch.device('meta'): build_net(UNetConfig(widths=(8, 16)), (1, 28, 28), 10)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr
