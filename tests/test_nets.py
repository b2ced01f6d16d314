"""Networks: their inputs, sizes, derivatives, attention and dropout."""

import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from flowdemo import checkpoints
from flowdemo.nets import build_net
from flowdemo.nets.dropout import Dropout, begin_step, dropouts, without_dropout
from flowdemo.nets.embed import NEW_INPUTS
from flowdemo.nets.sizes import DIT_SIZES, DiTConfig, MLPConfig, UNetConfig, check_net
from flowdemo.nets.transformer import PatchEmbedder, plain_attention, unpatch
from flowdemo.training.recipe_files import read_recipe
from tests.conftest import make_model, randomised

N, SIZE = 3, 8
FORMS = ["t,h", "t,s", "t,s,h", "h"]
KINDS = {
    "dit": (DiTConfig, {"dim": 32, "depth": 2, "heads": 2, "patch": 4}, (1, SIZE, SIZE)),
    "unet": (UNetConfig, {"widths": (8, 16), "dim": 16}, (1, SIZE, SIZE)),
    "mlp": (MLPConfig, {"width": 16, "depth": 2}, (2,)),
}


def fresh(kind="dit", **options):
    config, sizes, shape = KINDS[kind]
    return build_net(config(**(sizes | options)), shape, 10)


def inputs(kind="dit", dtype=torch.float64, n=N):
    g = torch.Generator().manual_seed(1)
    x, v = (torch.randn(n, *KINDS[kind][2], generator=g).to(dtype) for _ in range(2))
    t, s = torch.full((n,), 0.2, dtype=dtype), torch.full((n,), 0.9, dtype=dtype)
    return x, v, t, s, torch.arange(n), torch.full((n,), 2.0, dtype=dtype)


def derivative(net, x, v, t, s, label, w):
    """The output and its derivative along (v, 1, 0) for (x, t, s)."""
    tangents = (v, torch.ones_like(t), torch.zeros_like(s))
    with torch.no_grad(), plain_attention():
        return torch.func.jvp(lambda x, t, s: net(x, t, s, label, w), (x, t, s), tangents)


SMALL = {"patch": 4, "end_time": True, "guidance": True}
SIZES = [(name, {}, (4, 32, 32), 1000) for name in ("S", "B", "L", "XL")]
SIZES += [(name, SMALL, (1, 28, 28), 10) for name in ("xs", "tiny")]


@pytest.mark.parametrize(("size", "millions"), zip(SIZES, (33, 130, 458, 675, 0.5, 2), strict=True))
def test_the_named_sizes_have_their_number_of_parameters(size, millions):
    name, options, shape, classes = size
    with torch.device("meta"):
        net = build_net(DiTConfig(**DIT_SIZES[name], **options), shape, classes)
    rel = 0.1 if options else 0.01  # those of the paper are known to a percent
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(millions * 1e6, rel=rel)


@pytest.mark.parametrize("patch", [1, 2, 4, 8])
def test_patches_are_put_back_where_they_were(patch):
    x, features = torch.randn(2, 3, 16, 16), 3 * patch**2
    embed = PatchEmbedder(3, features, patch)
    with torch.no_grad():  # feature (p i + j) C + c is the pixel (i, j) of channel c
        embed.bias.zero_()
        kernels = torch.eye(features).reshape(features, patch, patch, 3)
        embed.weight.copy_(kernels.permute(0, 3, 1, 2))
        assert torch.equal(unpatch(embed(x), patch), x)


def test_the_fused_attention_is_the_plain_one():
    net, (x, _, t, s, label, w) = randomised(fresh(end_time=True)), inputs(dtype=torch.float32)
    with torch.no_grad():
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            fused = net(x, t, s, label, w)
        with plain_attention():
            plain = net(x, t, s, label, w)
    assert (fused - plain).abs().max() < 1e-5 * plain.abs().max()


def under(enabled, function, *arguments):
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        return function(*arguments)


@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_values_derivatives_and_gradients_exist_under_bfloat16(kind):
    net = randomised(fresh(kind, end_time=True, guidance=True))
    given = inputs(kind, torch.float32)
    exact, rounded = (under(enabled, derivative, net, *given) for enabled in (False, True))
    for one, other in zip(exact, rounded, strict=True):
        assert (other - one).norm() < 0.05 * one.norm()
    x, _, t, s, label, w = given
    under(True, net, x, t, s, label, w).float().square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_that_is_missing_has_its_default_and_one_that_is_given_matters(kind):
    net, (x, _, t, s, label, w) = (
        randomised(fresh(kind, end_time=True, guidance=True)).double(),
        inputs(kind),
    )
    assert torch.equal(net(x, t, s, None, w), net(x, t, s, torch.full_like(label, 10), w))
    assert torch.equal(net(x, t, s, label), net(x, t, s, label, torch.ones_like(w)))
    was = net(x, t, s, label, w)
    for changed in ((t, s, label, w + 1), (t, s, label + 1, w), (t + 0.1, s, label, w)):
        assert (net(x, *changed) - was).abs().max() > 1e-4
    plain = randomised(fresh(kind)).double()
    assert torch.equal(plain(x, t, s, label, w), plain(x, t, None, label))


def test_a_fresh_network_is_zero_and_learns():
    net, (x, _, t, s, label, w) = fresh(end_time=True), inputs(dtype=torch.float32)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    assert not net(x, t, s, label, w).any()
    for _ in range(30):
        optimizer.zero_grad()
        error = (net(x, t, s, label, w) - x).square().mean()
        error.backward()
        optimizer.step()
    assert error < 0.3 * x.square().mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_network_sees_what_it_is_told_of_the_times_and_nothing_else(kind, form):
    net = randomised(fresh(kind, end_time=True, time_inputs=form)).double()
    x, _, t, s, label, _ = inputs(kind)
    was = net(x, t, s, label)
    changes = {  # each leaves one of t, s and h as it is
        "t": net(x, t, s + 0.05, label),
        "s": net(x, t - 0.1, s, label),
        "h": net(x, t + 0.1, s + 0.1, label),
    }
    for kept, changed in changes.items():
        same = torch.allclose(changed, was, rtol=0, atol=1e-12)
        assert same == (set(form.split(",")) == {kept}), kept
    assert torch.equal(net(x, t, None, label), net(x, t, t, label))


@pytest.mark.parametrize("form", FORMS)
def test_each_time_that_is_told_has_an_embedder_of_its_own(form):
    """Two of t, s and h determine the third, so outputs cannot tell which is embedded where."""
    plain = fresh(end_time=True, time_inputs=form).conditioning
    _, _, t, s, label, _ = inputs(dtype=torch.float32)
    assert torch.equal(plain(t, s, label), plain(t, s + 0.1, label)) == (form != "h")
    own = randomised(plain)
    told = {"t": (own.time, t), "s": (own.end, s), "h": (own.interval, s - t)}
    expected = own.label(label) + sum(told[n][0](told[n][1]) for n in form.split(","))
    torch.testing.assert_close(own(t, s, label), expected)


def test_it_knows_where_a_patch_is():
    net, (x, _, t, s, label, _) = randomised(fresh(end_time=True)).double(), inputs()
    rolled = net(x.roll(4, dims=-1), t, s, label).roll(-4, dims=-1)
    assert (rolled - net(x, t, s, label)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["t,h", "t,s", "t,s,h"])
def test_a_network_that_gains_inputs_starts_as_it_was(kind, form):
    old, new = randomised(fresh(kind)), fresh(kind, end_time=True, guidance=True, time_inputs=form)
    missing, unexpected = new.load_state_dict(old.state_dict(), strict=False)
    assert missing and all(key.startswith(NEW_INPUTS) for key in missing) and not unexpected
    x, _, t, s, label, w = inputs(kind, torch.float32)
    torch.testing.assert_close(new(x, t, s, label, w), old(x, t, None, label), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_highest_frequency_is_the_one_that_was_chosen(kind):
    for options, highest in (({}, 10.0), ({"max_frequency": 200.0}, 200.0)):
        conditioning = fresh(kind, end_time=True, guidance=True, **options).conditioning
        for embedder in (conditioning.time, conditioning.interval, conditioning.guidance):
            assert embedder.omega.max().item() == pytest.approx(highest)
            assert embedder.omega.min().item() == pytest.approx(0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_chosen_only_with_an_end_time(kind):
    config, sizes, _ = KINDS[kind]
    with pytest.raises(ValueError, match="'time_inputs' is for a network with 'end_time'"):
        config(**sizes, time_inputs="t,s")


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_without_the_later_fields_stays_one(kind):
    config, sizes, _ = KINDS[kind]
    plain = config(**sizes, end_time=True)
    assert not plain.model_dump().keys() & {"time_inputs", "max_frequency", "dropout"}
    told = config(**sizes, end_time=True, time_inputs="t,s", max_frequency=20.0)
    assert told.model_dump().items() >= {"time_inputs": "t,s", "max_frequency": 20.0}.items()
    for one in (plain, told):
        assert config.model_validate_json(one.model_dump_json()) == one


def test_a_shape_that_does_not_fit_is_refused():
    net = DiTConfig(dim=32, depth=1, heads=1, patch=4)
    check_net(net, (1, 28, 28))
    check_net(net, (1, 128, 128))
    with pytest.raises(ValueError, match="divisible by 4"):
        check_net(net, (1, 30, 30))
    with pytest.raises(ValueError, match="at most 1024"):
        check_net(net, (1, 132, 132))
    with pytest.raises(ValueError, match="square"):
        check_net(net, (1, 28, 24))
    with pytest.raises(ValueError, match="points"):
        check_net(MLPConfig(), (1, 28, 28))
    with pytest.raises(ValueError, match="twice the number of heads"):
        DiTConfig(dim=36, depth=1, heads=4)


def test_a_checkpoint_of_a_dit_is_what_was_saved(tmp_path):
    """Its positions are in no file, and a network is planned where tensors hold no numbers."""
    config = DiTConfig(dim=32, depth=1, heads=2, patch=4, end_time=True, time_inputs="t,s,h")
    model = make_model("mnist", "meanflow")
    net = randomised(build_net(config, (1, 28, 28), 10))
    saved = replace(model, config=model.config.model_copy(update={"net": config}), net=net)
    checkpoints.save(saved, tmp_path / "a", torch.float32)
    x, t, s = torch.randn(2, 1, 28, 28), torch.full((2,), 0.1), torch.ones(2)
    with torch.no_grad():
        assert torch.equal(checkpoints.load_folder(tmp_path / "a").net(x, t, s), net(x, t, s))


def test_a_size_of_the_paper_stands_for_three_numbers():
    def read(**given):
        return DiTConfig.model_validate_json(json.dumps(given))

    assert read(size="S") == DiTConfig(**DIT_SIZES["S"])
    assert "size" not in read(size="S").model_dump()
    assert read(size="S", depth=3) == DiTConfig(dim=384, depth=3, heads=6)
    with pytest.raises(ValueError, match="'size' must be one of xs, tiny, S, B, L, XL"):
        read(size="XXL")
    net = {"kind": "dit", "size": "xs", "end_time": True, "guidance": True}
    plan = read_recipe("mnist-meanflow-dit-stage-1", [f"net={json.dumps(net)}"])
    assert (plan.net.dim, plan.net.depth, plan.net.heads) == (64, 6, 2)


K = 2  # rows of which a derivative is taken


def armed(kind, seed=0, **options):
    """A network in float64 that drops, in the middle of a training step."""
    net = (
        randomised(fresh(kind, end_time=True, guidance=True, dropout=0.3, **options))
        .double()
        .train()
    )
    begin_step(net, seed, "cpu")
    return net


def first(given, k=K):
    return tuple(part[:k] for part in given)


@pytest.mark.parametrize("kind", ["dit", "unet"])
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


@pytest.mark.parametrize("kind", ["dit", "unet"])
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


@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_nothing_is_dropped_out_of_training(kind):
    x, _, t, s, label, w = inputs(kind)
    net, plain = armed(kind), randomised(fresh(kind, end_time=True, guidance=True)).double()
    wanted, dropped = plain(x, t, s, label, w), net(x, t, s, label, w)
    assert not torch.allclose(dropped, wanted)
    with without_dropout(net):
        assert torch.equal(net(x[1:], t[1:], s[1:], label[1:], w[1:]), plain(
            x[1:], t[1:], s[1:], label[1:], w[1:]))  # fmt: skip
    assert torch.equal(net(x, t, s, label, w), dropped)
    assert torch.equal(net.eval()(x, t, s, label, w), wanted)
    begin_step(net.train(), None, "cpu")
    assert torch.equal(net(x, t, s, label, w), wanted)


@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_it_works_under_bfloat16_and_leaves_nothing_that_cannot_be_copied(kind):
    net = armed(kind).float()
    given = inputs(kind, torch.float32)
    (u, d), (u_16, d_16) = (under(enabled, derivative, net, *given) for enabled in (False, True))
    assert (u_16 - u).norm() < 0.05 * u.norm() and (d_16 - d).norm() < 0.1 * d.norm()
    x, _, t, s, label, w = given
    torch.testing.assert_close(deepcopy(net)(x, t, s, label, w), u)


@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_without_a_rate_a_network_has_no_dropout_and_with_one_the_same_weights(kind):
    none, some = fresh(kind), fresh(kind, dropout=0.2)
    assert not dropouts(none) and dropouts(some)
    shapes = [{key: p.shape for key, p in net.state_dict().items()} for net in (none, some)]
    assert shapes[0] == shapes[1]
    with pytest.raises(ValueError, match="less than 1"):
        DiTConfig(dim=32, depth=1, heads=1, dropout=1.0)


def test_planning_a_network_imports_no_compiler():
    """On "meta" some operations do, which takes longer than all else of the app's start."""
    code = (
        "import sys, torch; from flowdemo.nets.sizes import UNetConfig\n"
        "from flowdemo.nets import build_net\n"
        "with torch.device('meta'): build_net(UNetConfig(widths=(8, 16)), (1, 28, 28), 10)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr
