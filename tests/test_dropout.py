"""Dropout: one mask in all passes of a step, another in the next."""

from copy import deepcopy

import pytest
import torch

from flowdemo.nets.dropout import Dropout, begin_step, dropouts, without_dropout
from flowdemo.sizes import DiTConfig
from tests.test_dit import derivative, fresh, inputs, random, under

KINDS = ["dit", "unet"]
K = 2  # rows of which a derivative is taken


def armed(kind, seed=0, **options):
    """A network in float64 that drops, in the middle of a training step."""
    net = random(fresh(kind, end_time=True, guidance=True, dropout=0.3, **options)).double().train()
    begin_step(net, seed, "cpu")
    return net


def first(given, k=K):
    return tuple(part[:k] for part in given)


@pytest.mark.parametrize("kind", KINDS)
def test_the_derivative_is_that_of_the_network_that_is_fitted(kind):
    """The derivative on the first rows comes first, then all rows pass with the same mask."""
    net, given, eps = armed(kind), inputs(kind, n=5), 1e-6
    u, d = derivative(net, *first(given))
    x, v, t, s, label, w = given
    torch.testing.assert_close(net(x, t, s, label, w)[:K], u)
    ahead, behind = (net(x + e * v, t + e, s, label, w)[:K] for e in (eps, -eps))
    difference = (ahead - behind) / (2 * eps)
    assert (d - difference).norm() < 1e-6 * difference.norm()
    begin_step(net, 1, "cpu")
    _, other = derivative(net, *first(given))
    assert (d - other).norm() > 1e-2 * d.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_of_a_step_decides_its_masks(kind):
    x, _, t, s, label, w = inputs(kind)
    net = armed(kind, seed=7)
    assert len(dropouts(net)) > 2
    a = net(x, t, s, label, w)
    assert torch.equal(net(x, t, s, label, w), a)
    assert torch.equal(armed(kind, seed=7)(x, t, s, label, w), a)
    begin_step(net, 8, "cpu")
    assert not torch.allclose(net(x, t, s, label, w), a)
    begin_step(net, 7, "cpu")
    assert torch.equal(net(x, t, s, label, w), a)


def test_layers_and_rows_have_masks_of_their_own():
    net = torch.nn.Sequential(Dropout(0.5), Dropout(0.5))
    begin_step(net, 0, "cpu")
    ones = torch.ones(2, 1000)
    a, b = net[0](ones), net[1](ones)
    for one, other in ((a[0], a[1]), (a[0], b[0])):
        assert 0.4 < (one == other).float().mean() < 0.6


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_rows_keep_their_mask_when_more_are_asked_for(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    layer, ones = Dropout(0.5), torch.ones(7, 1001, device=device)
    begin_step(layer, 0, device)
    few, all_rows, fewer = layer(ones[:3]), layer(ones), layer(ones[:2])
    assert torch.equal(all_rows[:3], few) and torch.equal(fewer, few[:2])


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_share_that_is_dropped_is_the_rate_and_the_mean_stays(rate):
    layer = Dropout(rate)
    begin_step(layer, 0, "cpu")
    y = layer(torch.ones(100, 1000))
    assert (y == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
    assert y.max().item() == pytest.approx(1 / (1 - rate))
    assert y.mean().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_dropped_out_of_training(kind):
    x, _, t, s, label, w = inputs(kind)
    net, plain = armed(kind), random(fresh(kind, end_time=True, guidance=True)).double()
    wanted, dropped = plain(x, t, s, label, w), net(x, t, s, label, w)
    assert not torch.allclose(dropped, wanted)
    with without_dropout(net):
        assert torch.equal(net(x[1:], t[1:], s[1:], label[1:], w[1:]), plain(
            x[1:], t[1:], s[1:], label[1:], w[1:]))  # fmt: skip
    assert torch.equal(net(x, t, s, label, w), dropped)
    assert torch.equal(net.eval()(x, t, s, label, w), wanted)
    begin_step(net.train(), None, "cpu")
    assert torch.equal(net(x, t, s, label, w), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_under_bfloat16_and_leaves_nothing_that_cannot_be_copied(kind):
    net = armed(kind).float()
    given = inputs(kind, torch.float32)
    (u, d), (u_16, d_16) = (under(enabled, derivative, net, *given) for enabled in (False, True))
    assert (u_16 - u).norm() < 0.05 * u.norm() and (d_16 - d).norm() < 0.1 * d.norm()
    x, _, t, s, label, w = given
    torch.testing.assert_close(deepcopy(net)(x, t, s, label, w), u)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_rate_a_network_has_no_dropout_and_with_one_the_same_weights(kind):
    none, some = fresh(kind), fresh(kind, dropout=0.2)
    assert not dropouts(none) and dropouts(some)
    shapes = [{key: p.shape for key, p in net.state_dict().items()} for net in (none, some)]
    assert shapes[0] == shapes[1]
    with pytest.raises(ValueError, match="less than 1"):
        DiTConfig(dim=32, depth=1, heads=1, dropout=1.0)
