"""The networks of public checkpoints give what the originals gave, turned to t = 0 is noise.

`golden/` holds random weights in the published layouts, with inputs and outputs of the original code.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from flowdemo import adapters
from flowdemo.adapters import ADAPTERS
from flowdemo.guidance import guided_velocity
from flowdemo.nets import imf, transformer, yarr
from flowdemo.nets.imf import IMF
from flowdemo.nets.sit import SiT
from flowdemo.nets.yarr import YarrDiT
from flowdemo.solvers import average_step, fixed_step, grid, integrate

GOLDEN = Path(__file__).parent / "golden"
NETS = {"yarr": (YarrDiT, 1, 32, 10), "sit": (SiT, 4, 8, 1000), "imf": (IMF, 4, 8, 1000)}
HEADS = {"yarr": 4, "sit": 6, "imf": 6}


@cache
def golden(name):
    return load_file(GOLDEN / f"{name}.safetensors")


def state(name):
    """A fresh copy of the dictionary as the original code would write it."""
    tensors = golden(name).items()
    return {key[6:]: value.clone() for key, value in tensors if key.startswith("state.")}


def converted(name, **options):
    """The network with the golden weights."""
    sizes, weights = ADAPTERS[name](state(name), HEADS[name])
    kind, *rest = NETS[name]
    net = kind(*rest, **sizes, **options)
    net.load_state_dict(weights)
    return net


def single_error(name):
    """The largest error of one evaluation, in the conventions of the networks here."""
    g = golden(name)
    x, t, label = g["input.x"], g["input.t"], g["input.y"]
    with torch.no_grad():
        if name == "sit":
            return (converted(name)(x, t, None, label) - g["output.v"]).abs().max()
        if name == "yarr":
            return (converted(name)(x, 1 - t, None, label) + g["output.v"]).abs().max()
        t, u, errors = 1 - t, -g["output.u"], []
        low, high = (1 - g["input.t_max"]).tolist(), (1 - g["input.t_min"]).tolist()
        for i in range(len(x)):  # an interval belongs to a network, here each row has its own
            net, row = converted(name, interval=(low[i], high[i])), slice(i, i + 1)
            ends = t[row] + g["input.h"][row]
            out = net(x[row], t[row], ends, label[row], g["input.omega"][row])
            errors.append((out - u[row]).abs().max())
        return max(errors)


@pytest.mark.parametrize("name", NETS)
def test_one_evaluation_is_that_of_the_original(name):
    assert single_error(name) < 1.5e-5


def half_split(x, cos, sin):
    """The other rotary convention: the two halves of a head make the pairs."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def other_eps(module):
    """1e-5 for 1e-6 in every norm."""

    class Other(module):
        def forward(self, x):
            eps, self.eps = self.eps, 1e-5
            try:
                return super().forward(x)
            finally:
                self.eps = eps

    return Other


GELU = nn.functional.gelu
MISTAKES = {
    "half-split in yarr": ("yarr", yarr, "rotate", half_split),
    "half-split in iMF": ("imf", imf, "rotate", half_split),
    "exact GELU": ("sit", transformer.F, "gelu", lambda x, approximate: GELU(x)),
    "eps in SiT": ("sit", nn, "LayerNorm", other_eps(nn.LayerNorm)),
    "eps in iMF": ("imf", imf, "RMSNorm", other_eps(transformer.RMSNorm)),
    "no reversal in yarr": ("yarr", adapters, "reverse_scalar", lambda weights, name: None),
    "no reversal in iMF": ("imf", adapters, "reverse_scalar", lambda weights, name: None),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_costs_more_than_the_tolerance(mistake, monkeypatch):
    name, owner, attribute, wrong = MISTAKES[mistake]
    monkeypatch.setattr(owner, attribute, wrong)
    assert single_error(name) > 1.7e-5


@torch.no_grad()
def test_four_guided_euler_steps_of_yarr():
    g, net = golden("yarr"), converted("yarr")
    label, w = g["sample.y"], torch.full((len(g["sample.y"]),), 2.0)

    def velocity(x, t):
        return guided_velocity(lambda x, t, y: net(x, t, None, y), x, t, label, 10, w)

    x_1 = integrate(fixed_step(velocity, "euler"), g["sample.noise"], grid(4)).states[-1]
    assert (x_1 - g["sample.result_4_steps_cfg_2"]).abs().max() < 1e-4


@torch.no_grad()
def test_guidance_of_sit():
    """The original guides the first three channels only."""
    g, net = golden("sit"), converted("sit")
    x, t, label = g["cfg.x"], g["cfg.t"], g["cfg.y"]
    w = torch.full_like(t, 4)
    v = guided_velocity(lambda x, t, y: net(x, t, None, y), x, t, label, 1000, w, channels=3)
    assert (v - g["cfg.output_scale_4"]).abs().max() < 1e-4


@torch.no_grad()
def test_two_steps_of_imf():
    g, net = golden("imf"), converted("imf", interval=(0.36, 0.64))
    label, w = g["sample.y"], torch.full((len(g["sample.y"]),), 4.0)
    step = average_step(lambda x, t, s: net(x, t, s, label, w))
    x_1 = integrate(step, g["sample.noise"], grid(2)).states[-1]
    expected = g["sample.result_2_steps_omega_4_t_min_036_t_max_064"]
    assert (x_1 - expected).abs().max() < 1e-4


@torch.no_grad()
def test_rows_of_imf_that_end_where_they_start_are_guided_everywhere():
    g, net, everywhere = golden("imf"), converted("imf", interval=(0.3, 0.6)), converted("imf")
    x, t, w = g["input.x"], torch.tensor([0.2, 0.4]), torch.tensor([4.0, 4.0])
    torch.testing.assert_close(net(x, t, None, None, w), everywhere(x, t, t, None, w))
    s = torch.tensor([0.2, 0.9])  # the first row ends where it starts, the second does not
    ours, full = net(x, t, s, None, w), everywhere(x, t, s, None, w)
    torch.testing.assert_close(ours[0], full[0])
    assert (ours[1] - full[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", NETS)
@torch.no_grad()
def test_without_a_label_it_is_the_empty_one(name):
    net, x = converted(name), golden(name)["input.x"]
    t, num_classes = torch.full((len(x),), 0.3), NETS[name][3]
    assert torch.equal(net(x, t), net(x, t, None, torch.full((len(x),), num_classes)))


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_finite_and_a_fresh_network_starts_at_zero(name):
    kind, *rest = NETS[name]
    x = golden(name)["input.x"]
    t = torch.full((len(x),), 0.3)
    trained = converted(name)
    fresh = kind(*rest, dim=64, depth=2, heads=4)
    assert fresh(x, t, t + 0.5).abs().max() == 0
    for net in (trained, fresh):
        (net(x, t, t + 0.5) - x).square().mean().backward()
        assert all(p.grad.isfinite().all() for p in net.parameters())
    assert all(p.grad.any() for p in trained.parameters())
    assert any(p.grad.any() for p in fresh.parameters())
