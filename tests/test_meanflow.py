"""The choices of the MeanFlow loss: tangent, guidance that is trained in, who obeys it, dropout."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from flowdemo.core.couplings import Batch, drop_labels, independent
from flowdemo.core.paths import cosine, linear
from flowdemo.core.times import uniform
from flowdemo.methods.derivatives import DERIVATIVES
from flowdemo.methods.meanflow import MeanFlow, MeanFlowOptions
from flowdemo.nets import build_net
from flowdemo.nets.dropout import begin_step
from flowdemo.nets.sizes import DiTConfig, UNetConfig
from tests.conftest import make_model, randomised
from tests.test_losses import Exact, average_velocity_of_a_point, rng

EMPTY = 9


def wide(n=64, guidance=None, label=None, shape=(2,)):
    """A batch in float64 whose times are spread, three quarters of its rows intervals."""
    x_0, x_1 = (torch.randn(n, *shape, generator=rng(i), dtype=torch.float64) for i in (0, 1))
    t = torch.linspace(0, 0.6, n, dtype=torch.float64)
    spans = 3 * n // 4
    s = torch.where(torch.arange(n) < spans, t + 0.3, t)
    label = torch.zeros(n, dtype=torch.long) if label is None else label
    return Batch(x_0, x_1, label, guidance, t=t, s=s, spans=spans)


class Labelled(nn.Module):
    """v_u without a label, v_c with one; `linear` in x and t, so that du/dt is not 0."""

    def forward(self, x, t, s, label=None, guidance=None):
        t = t[:, None]
        if label is None:
            return 0.5 * x - t
        return torch.where((label == EMPTY)[:, None], 0.5 * x - t, 2 * x + 3 * t + 1)


def velocity_of(options, batch, net=None, **given):
    """The velocity that the identity starts from, with x_t and u_t."""
    method, net = MeanFlow(linear(), uniform, options, **given), net or Labelled()
    x_t, u_t = linear().sample(batch.x_0, batch.x_1, batch.t)
    return method.velocity(net, x_t, u_t, batch), x_t, u_t


def test_the_predicted_tangent_is_the_networks_own_velocity():
    """target = v + (s - t) du/dt: only the direction of du/dt is another."""
    batch = wide()
    x_t, v = linear().sample(batch.x_0, batch.x_1, batch.t)
    net, k = Labelled(), batch.spans
    targets = {}
    for tangent in ("conditional", "predicted"):
        method = MeanFlow(linear(), uniform, MeanFlowOptions(tangent=tangent))
        targets[tangent] = method.average(net, x_t[:k], v[:k], batch, k)
    # u = 2 x + 3 t + 1 has du/dt = 2 tangent + 3; (s - t) = 0.3
    own = net(x_t, batch.t, batch.t, batch.label)
    torch.testing.assert_close(targets["conditional"], v[:k] + 0.3 * (2 * v[:k] + 3))
    torch.testing.assert_close(targets["predicted"], v[:k] + 0.3 * (2 * own[:k] + 3))


@pytest.mark.parametrize("tangent", ["conditional", "predicted"])
def test_at_the_exact_average_velocity_either_tangent_has_no_loss(tangent):
    data = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    net = Exact(average_velocity_of_a_point(cosine(), data))
    options = MeanFlowOptions(share_interval=0.75, tangent=tangent, power=0.0)
    method = MeanFlow(cosine(), uniform, options)
    batch = method.timed(replace(wide(), x_1=data.expand(64, 2)), rng())
    assert method(net, batch).error.max() < 1e-10
    off = Exact(lambda x, t, s: net(x, t, s) + 0.3 * x)
    assert method(off, batch).error.mean() > 1e-3


def test_fixed_guidance_is_the_formula():
    """omega v + kappa v_c + (1 - omega - kappa) v_u, by hand (arXiv:2505.13447, eq. 20)."""
    batch = wide()
    v, x, u_t = velocity_of(MeanFlowOptions(omega=0.2, kappa=0.9), batch)
    v_c, v_u = 2 * x + 3 * batch.t[:, None] + 1, 0.5 * x - batch.t[:, None]
    torch.testing.assert_close(v, 0.2 * u_t + 0.9 * v_c - 0.1 * v_u)
    v, _, _ = velocity_of(MeanFlowOptions(omega=3.0), batch)
    torch.testing.assert_close(v, 3 * u_t - 2 * v_u)
    v, _, _ = velocity_of(MeanFlowOptions(), batch)
    assert torch.equal(v, u_t)


def test_the_guided_velocity_is_the_identitys_v_and_its_tangent():
    """The whole target: v_g + (s - t) du/dt along v_g, where s > t; v_g elsewhere."""
    batch, options = wide(), MeanFlowOptions(omega=3.0, power=0.0)
    v_g, x, _ = velocity_of(options, batch)
    target = torch.cat([(v_g + 0.3 * (2 * v_g + 3))[: batch.spans], v_g[batch.spans :]])
    u = Labelled()(x, batch.t, batch.s, batch.label)
    error = MeanFlow(linear(), uniform, options)(Labelled(), batch).error
    torch.testing.assert_close(error, (u - target).square().mean(1).float())


@pytest.mark.parametrize(("omega", "kappa"), [(0.2, 0.92), (3.0, 0.0), (1.0, 0.5)])
def test_the_weight_that_fixed_guidance_teaches_is_omega_over_1_minus_kappa(omega, kappa):
    """v_c learns v_g: its fixed point is v_u + omega / (1 - kappa) (v - v_u)."""
    state = {}

    class Learning(nn.Module):
        def forward(self, x, t, s, label=None, guidance=None):
            return torch.full_like(x, -1.0) if label is None else state["v_c"]

    batch = wide()
    _, u_t = linear().sample(batch.x_0, batch.x_1, batch.t)
    state["v_c"] = torch.zeros_like(u_t)
    for _ in range(400):
        state["v_c"], *_ = velocity_of(MeanFlowOptions(omega=omega, kappa=kappa), batch, Learning())
    torch.testing.assert_close(state["v_c"], -1 + omega / (1 - kappa) * (u_t + 1))


FIXED = {"omega": 2.0, "kappa": 0.5}


@pytest.mark.parametrize("guidance", [None, 4.0])
def test_guidance_is_off_outside_its_times(guidance):
    """Both what a recipe fixes and what the network guides itself by."""
    w = None if guidance is None else torch.full((64,), guidance, dtype=torch.float64)
    batch, fixed = wide(guidance=w), FIXED if guidance is None else {}
    inside = (batch.t >= 0.2) & (batch.t <= 0.4)
    guided, _, u_t = velocity_of(MeanFlowOptions(guided_times=(0.2, 0.4), **fixed), batch)
    always, _, _ = velocity_of(MeanFlowOptions(**fixed), batch)
    assert 10 < inside.sum() < 54
    torch.testing.assert_close(guided[inside], always[inside])
    assert torch.equal(guided[~inside], u_t[~inside])
    assert ((always - u_t).abs().amax(1) > 1e-3).all()


def test_self_guidance_is_the_formula():
    """u_t + (1 - 1/w) (v_c - v_u), v_c asked at w and v_u at 1 (arXiv:2512.02012)."""
    asked = []

    class Asked(Labelled):
        def forward(self, x, t, s, label=None, guidance=None):
            asked.append((label is None, guidance.clone(), torch.equal(t, s)))
            return super().forward(x, t, s, label, guidance)

    w = torch.tensor([1.0, 2.0, 4.0, 1.0] * 16, dtype=torch.float64)
    batch = wide(guidance=w)
    v, x, u_t = velocity_of(MeanFlowOptions(), batch, Asked())
    v_c, v_u = 2 * x + 3 * batch.t[:, None] + 1, 0.5 * x - batch.t[:, None]
    torch.testing.assert_close(v, u_t + (1 - 1 / w)[:, None] * (v_c - v_u))
    (a, w_c, now), (b, w_u, at_once) = asked
    assert (a, b, now, at_once) == (False, True, True, True)
    assert torch.equal(w_c, w[w != 1]) and torch.equal(w_u, torch.ones(32).double())


def teacher(x, t, label, w):
    return 100 * w[:, None] + 0 * x


@pytest.mark.parametrize("inputs", [False, True])
def test_a_teacher_is_asked_for_the_weight_that_is_trained_in(inputs):
    w = torch.linspace(1, 4, 64, dtype=torch.float64) if inputs else None
    fixed = {} if inputs else {"omega": 0.2, "kappa": 0.92}
    options = MeanFlowOptions(guided_times=(0.2, 0.4), **fixed)
    batch = wide(guidance=w)
    v, *_ = velocity_of(options, batch, teacher=teacher)
    inside = (batch.t >= 0.2) & (batch.t <= 0.4)
    wanted = torch.where(inside, w if inputs else 2.5, 1.0).double()
    torch.testing.assert_close(v, 100 * wanted[:, None].expand(-1, 2))


@pytest.mark.parametrize("dropped", ["plain", "guided"])
def test_rows_that_lost_their_label_are_guided_only_where_asked(dropped):
    label = torch.where(torch.arange(64) % 3 == 0, EMPTY, 1)
    batch, options = wide(label=label), MeanFlowOptions(dropped=dropped, **FIXED)
    v, x, u_t = velocity_of(options, batch, empty=EMPTY)
    v_u, lost = 0.5 * x - batch.t[:, None], label == EMPTY
    guided = 2 * u_t + 0.5 * v_u - 1.5 * v_u  # of an empty row v_c is v_u
    torch.testing.assert_close(v[lost], (guided if dropped == "guided" else u_t)[lost])
    assert (v[~lost] - u_t[~lost]).abs().min() > 0


def test_whether_a_row_is_an_interval_says_nothing_about_its_label():
    """In the authors' code the same first rows lost both (methods of arXiv:2505.13447)."""
    data, n = torch.zeros(10, 2), 40_000
    batch = independent(data, torch.zeros(10).long())(n, rng())
    batch = drop_labels(batch, 0.1, EMPTY, rng(1))
    batch = MeanFlow(linear(), uniform, MeanFlowOptions(share_interval=0.25)).timed(batch, rng(2))
    lost, long = batch.label == EMPTY, batch.s > batch.t
    assert batch.spans == n // 4 and torch.equal(long.nonzero()[:, 0], torch.arange(n // 4))
    assert lost[long].double().mean().item() == pytest.approx(0.1, abs=0.01)
    assert lost[~long].double().mean().item() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("options", [FIXED, {"guided_times": (0.9, 1.0), **FIXED}])
def test_fixed_guidance_of_no_row_asks_nothing(options):
    """A part of a batch may hold none: a U-Net cannot be asked for no rows."""
    net = build_net(UNetConfig(widths=(8,), dim=16, end_time=True), (1, 4, 4), 3)
    label = torch.full((4,), EMPTY)
    batch = wide(4, label=label, shape=(1, 4, 4))
    v, _, u_t = velocity_of(MeanFlowOptions(**options), batch, net.double(), empty=EMPTY)
    assert torch.equal(v, u_t)


NETS = {
    "unet": UNetConfig(widths=(8, 16), dim=16, end_time=True, guidance=True, dropout=0.3),
    "dit": DiTConfig(dim=32, depth=1, heads=1, end_time=True, guidance=True, dropout=0.3),
}


@pytest.mark.parametrize("kind", NETS)
def test_the_derivative_and_the_loss_see_the_same_dropout(kind):
    """By differentiation or by two more evaluations: the loss and its gradient are the same."""
    net = randomised(build_net(NETS[kind], (1, 8, 8), 3)).double().train()
    w = torch.linspace(1, 3, 8, dtype=torch.float64)
    batch = wide(8, guidance=w, shape=(1, 8, 8))
    seen = {}
    for name in DERIVATIVES:
        begin_step(net, 5)
        net.zero_grad()
        options = MeanFlowOptions(derivative=name, power=0.0)
        loss = MeanFlow(linear(), uniform, options)(net, batch).loss
        loss.mean().backward()
        gradient = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        seen[name] = (loss.detach(), gradient)
    for name, tolerance in {"double-backward": 1e-5, "finite-difference": 3e-2}.items():
        for a, b in zip(seen[name], seen["jvp"], strict=True):
            assert (a - b).norm() < tolerance * b.norm(), name
    begin_step(net, 6)  # with other masks it is another loss
    other = MeanFlow(linear(), uniform, MeanFlowOptions(power=0.0))(net, batch).loss
    assert (other - seen["jvp"][0]).norm() > 0.01 * seen["jvp"][0].norm()


def test_split_asks_for_no_velocity_that_it_would_throw_away():
    """Of rows with a length it knows only the parts: a teacher is asked about the others alone."""
    asked = []

    def teacher(x, t, label, w):
        asked.append(t)
        return x

    plan = MeanFlowOptions(derivative="split", share_interval=0.75, power=0.0)
    loss = MeanFlow(linear(), uniform, plan, teacher)
    net = make_model("moons", "meanflow").net
    x_0, x_1 = (torch.randn(8, 2, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    batch = loss.timed(Batch(x_0, x_1, torch.zeros(8).long()), torch.Generator().manual_seed(2))
    terms = loss(net, batch)
    assert len(asked) == 1 and torch.equal(asked[0], batch.t[6:]) and batch.spans == 6
    x_t, _ = linear().sample(x_0, x_1, batch.t)
    u = net(x_t, batch.t, batch.s, batch.label)
    torch.testing.assert_close(terms.error[6:], (u - x_t)[6:].square().mean(1))
