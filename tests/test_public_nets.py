"""Networks of public checkpoints: they give what the originals gave, with t = 0 as noise."""

from collections import OrderedDict

import pytest
import torch

from flowdemo.nets.convert import ADAPTERS
from flowdemo.nets.imf import IMF
from flowdemo.nets.sit import SiT
from flowdemo.nets.transformer import position_embedding
from flowdemo.nets.yarr import YarrDiT
from tests.golden import HEADS, golden, state

NETS = {"yarr": (YarrDiT, 1, 32, 10), "sit": (SiT, 4, 8, 1000), "imf": (IMF, 4, 8, 1000)}


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


# (network, channels, size, classes, dim, depth, heads), entries of the file, its numbers, those of them
# that the network does without: (entries, numbers).
PUBLISHED = {
    "yarr mnist": ((YarrDiT, 1, 32, 10, 64, 6, 4), 121, 610_788, (0, 0)),
    "yarr cifar-10": ((YarrDiT, 3, 32, 10, 256, 10, 8), 189, 13_308_044, (0, 0)),
    "SiT-S": ((SiT, 4, 32, 1000, 384, 12, 6), 132, 32_963_360, (0, 16 * 384 + 16)),
    "SiT-B": ((SiT, 4, 32, 1000, 768, 12, 12), 132, 130_512_416, (0, 16 * 768 + 16)),
    "SiT-L": ((SiT, 4, 32, 1000, 1024, 24, 16), 252, 458_102_816, (0, 16 * 1024 + 16)),
    "SiT-XL": ((SiT, 4, 32, 1000, 1152, 28, 16), 292, 675_129_632, (0, 16 * 1152 + 16)),
    "iMF-B": ((IMF, 4, 32, 1000, 768, 12, 12), 186, 88_948_256, (3, 17 * 768 + 16)),
    "iMF-M": ((IMF, 4, 32, 1000, 768, 24, 12), 342, 173_921_312, (3, 17 * 768 + 16)),
    "iMF-L": ((IMF, 4, 32, 1000, 1024, 32, 16), 446, 409_071_648, (3, 17 * 1024 + 16)),
    "iMF-XL": ((IMF, 4, 32, 1000, 1024, 48, 16), 654, 610_433_056, (3, 17 * 1024 + 16)),
}
BIAS = {
    "yarr": "model.final_layer.fc.bias",
    "sit": "final_layer.linear.bias",
    "imf": "net.u_final_layer.linear._flax_linear.bias",
}
EXPECTED = {
    "yarr": {"dim": 64, "depth": 2, "heads": 4},
    "sit": {"dim": 96, "depth": 2, "heads": 6},
    "imf": {"dim": 96, "depth": 3, "heads": 6},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_of_full_size_has_the_published_numbers(name):
    (kind, *sizes), entries, numbers, (fewer_entries, fewer_numbers) = PUBLISHED[name]
    with torch.device("meta"):
        weights = kind(*sizes).state_dict()
    assert len(weights) == entries - fewer_entries
    assert sum(value.numel() for value in weights.values()) == numbers - fewer_numbers


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_sizes_are_read_off_the_shapes(name):
    given = state(name)
    sizes, weights = ADAPTERS[name](given, HEADS[name])
    assert sizes == EXPECTED[name]
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert all(torch.equal(given[key], value) for key, value in state(name).items())  # untouched


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("names", [("ema", "model"), ("model", "ema"), ("model",)])
def test_a_nested_file_gives_its_moving_average(name, names):
    others = {key: torch.zeros_like(value) for key, value in state(name).items()}
    sets = {"ema": OrderedDict(state(name)), "model": others if "ema" in names else state(name)}
    nested = {key: sets[key] for key in names} | {"opt": {}, "args": None}
    _, weights = ADAPTERS[name](nested, HEADS[name])
    expected = converted(name).state_dict()
    assert all(torch.equal(weights[key], expected[key]) for key in expected)


def test_imf_is_read_with_and_without_the_names_of_its_wrappers():
    plain = {
        key.replace("._flax_linear", "").replace("._flax_embedding", ""): value
        for key, value in state("imf").items()
    }
    assert plain.keys().isdisjoint({BIAS["imf"]})
    expected, (_, weights) = converted("imf").state_dict(), ADAPTERS["imf"](plain)
    assert all(torch.equal(weights[key], expected[key]) for key in expected)
    with pytest.raises(ValueError, match="two names"):
        ADAPTERS["imf"](plain | state("imf"))


def faults(name):
    """What may be wrong with a file: the changed dictionary, and what the message says."""
    given, key = state(name), BIAS[name]
    rest = {other: value for other, value in given.items() if other != key}
    some = {f"extra{i}": torch.zeros(1) for i in range(5)}
    return {
        "missing": (rest, "bias' is missing"),
        "unexpected": (given | {"extra": torch.zeros(1)}, "'extra' is unexpected"),
        "five more": (given | some, "'extra2' is unexpected and 2 more"),
        "shape": (given | {key: given[key][:-1]}, r"bias' is \(\d+,\), not \(\d+,\)"),
        "list": (given | {key: [0.0]}, "bias' is no tensor"),
        "integers": (given | {key: given[key].long()}, "bias' is no tensor"),
        "sparse": (given | {key: given[key].to_sparse()}, "bias' is no tensor"),
        "number as name": (given | {3: given[key]}, "3 is no tensor"),
        "infinite": (given | {key: given[key] / 0}, "bias' is not finite"),
        "empty": ({}, "the file has no"),
        "no dictionary": ([given], "no dictionary"),
    }


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("fault", faults("yarr"))
def test_another_content_is_an_error_of_one_line(name, fault):
    given, message = faults(name)[fault]
    with pytest.raises(ValueError, match=message) as error:
        ADAPTERS[name](given, HEADS[name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_missing_block_and_impossible_heads_are_errors(name):
    blocks = ("layers.0.", "blocks.0.")
    rest = {key: value for key, value in state(name).items() if not any(b in key for b in blocks)}
    with pytest.raises(ValueError, match="is missing"):
        ADAPTERS[name](rest, HEADS[name])
    for heads in (0, -2, 5):
        with pytest.raises(ValueError, match="heads"):
            ADAPTERS[name](state(name), heads)


def test_the_positions_of_sit_are_those_of_the_formula():
    given = state("sit")
    assert (given["pos_embed"] - position_embedding(4, 96)).abs().max() < 1e-6
    given["pos_embed"][0, 3, 5] += 2e-5
    with pytest.raises(ValueError, match="pos_embed"):
        ADAPTERS["sit"](given, 6)
    assert "pos_embed" in converted("sit").state_dict()
