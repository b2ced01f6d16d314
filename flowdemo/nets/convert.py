"""Weights that others published, turned into those of the networks here.

An adapter takes a state dict as it was read from the file and the number of attention heads, which the
shapes of yarr and SiT do not tell. It returns the sizes for the network's constructor that are the
checkpoint's own (dim, depth, heads) and the network's state dict in float32. A file that holds other
names, shapes or values than its kind must hold is a ValueError of one line.

Files whose time runs the other way (t = 1 is noise) and whose networks return noise - data are turned
round in the weights, so that the networks know one convention only.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from flowdemo.nets.imf import IMF
from flowdemo.nets.sit import SiT
from flowdemo.nets.transformer import PATCH, frequencies, position_embedding
from flowdemo.nets.yarr import YarrDiT

Converted = tuple[dict[str, Any], dict[str, Tensor]]
MAX_NAMED = 3  # keys that a message names

# Parts of our names and what the file calls them, replaced in this order.
YARR_NAMES = {
    "stem.": "input.", "patch_embedder": "x_embedder", "label_embedder": "y_embedder.table",
    "time_embedder.mlp": "t_embedder.perceptron", "blocks.": "layers.",
    ".q.": ".queries.", ".k.": ".keys.", ".v.": ".values.", ".out.": ".output.",
    "q_norm": "query_norm", "k_norm": "key_norm",
    "norm1": "attention_norm", "norm2": "feed_forward_norm",
    "mlp.gate": "feed_forward.input_layer_1", "mlp.up": "feed_forward.input_layer_2",
    "mlp.down": "feed_forward.output_layer", "modulator.linear": "modulator.adaptive_modulator.1",
    "output.linear": "final_layer.fc", "output.modulator": "final_layer.modulator",
}  # fmt: skip
SIT_NAMES = {
    "patch_embedder": "x_embedder.proj", "label_embedder": "y_embedder.embedding_table",
    "time_embedder": "t_embedder", "attention.out": "attn.proj", "attention.qkv": "attn.qkv",
    "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2",
    "modulator.linear": "adaLN_modulation.1", "output.": "final_layer.",
}  # fmt: skip
IMF_NAMES = {
    "patch_embedder": "x_embedder.proj", "embedders.class": "y_embedder.embedding_table",
    "embedders.guidance": "omega_embedder", "embedders.length": "h_embedder",
    "embedders.high": "cfg_t_start_embedder", "embedders.low": "cfg_t_end_embedder",
    "tokens.class": "class_tokens", "tokens.guidance": "omega_tokens",
    "tokens.high": "t_min_tokens", "tokens.low": "t_max_tokens", "tokens.length": "time_tokens",
    "attention_scale": "attn_scale", "attention.": "attn.",
    ".q.": ".q_proj.", ".k.": ".k_proj.", ".v.": ".v_proj.", ".out.": ".out_proj.",
    "mlp.gate": "mlp.w1", "mlp.up": "mlp.w3", "mlp.down": "mlp.w2",
    "output_norm": "u_final_layer.norm", "output.": "u_final_layer.linear.",
}  # fmt: skip


def yarr(state: Mapping[str, Any], heads: int) -> Converted:
    """Weights of "painebenjamin/yarr" for `YarrDiT`."""
    given = checked(state)
    rows, dim = shape_of(given, "model.y_embedder.table.weight", 2)
    channels = shape_of(given, "model.input.0.weight", 4)[1]
    sizes = {"dim": dim, "depth": count(given, "model.layers"), "heads": heads}
    with torch.device("meta"):
        net = YarrDiT(channels, PATCH, rows - 1, **sizes)
    weights = matched(given, net, lambda key: "model." + renamed(key, YARR_NAMES))
    reverse_scalar(weights, "time_embedder")
    negate(weights, "output.linear")
    return sizes, weights


def sit(state: Mapping[str, Any], heads: int) -> Converted:
    """Weights of SiT (arXiv:2401.08740) for `SiT`, without the untrained half of the output."""
    given = checked(state)
    rows, dim = shape_of(given, "y_embedder.embedding_table.weight", 2)
    channels = shape_of(given, "x_embedder.proj.weight", 4)[1]
    grid = math.isqrt(shape_of(given, "pos_embed", 3)[1])
    sizes = {"dim": dim, "depth": count(given, "blocks"), "heads": heads}
    with torch.device("meta"):
        net = SiT(channels, PATCH * grid, rows - 1, **sizes)
    out = 2 * PATCH**2 * channels  # the velocity, and as many channels that mean nothing
    changed = {"final_layer.linear.weight": (out, dim), "final_layer.linear.bias": (out,)}
    weights = matched(given, net, lambda key: renamed(key, SIT_NAMES), changed)
    if not torch.allclose(weights["pos_embed"], position_embedding(grid, dim), rtol=0, atol=1e-5):
        raise ValueError("'pos_embed' is not the position embedding of SiT")
    for key in ("output.linear.weight", "output.linear.bias"):  # rows (2 i + j) 2 C + c
        weights[key] = weights[key].unflatten(0, (PATCH**2, -1))[:, :channels].flatten(0, 1)
    return sizes, weights


def imf(state: Mapping[str, Any], heads: int | None = None) -> Converted:
    """Weights of improved MeanFlow (arXiv:2512.02012) for `IMF`; the file itself tells the heads."""
    given = without_flax(checked(state))
    rows, dim = shape_of(given, "net.y_embedder.embedding_table.weight", 2)
    channels = shape_of(given, "net.x_embedder.proj.weight", 4)[1]
    (size,) = shape_of(given, "net.u_heads.0.attn.q_norm.weight", 1)
    if size == 0 or dim % size or heads not in (None, dim // size):
        raise ValueError(f"a width of {dim} in heads of {size} features is not {heads} heads")
    shared, own = count(given, "net.shared_blocks"), count(given, "net.u_heads")
    sizes = {"dim": dim, "depth": shared + own, "heads": dim // size}
    with torch.device("meta"):
        net = IMF(channels, PATCH, rows - 1, **sizes)
    out = PATCH**2 * channels
    unused = {"norm.weight": (dim,), "linear.weight": (out, dim), "linear.bias": (out,)}
    changed = {f"net.v_final_layer.{key}": shape for key, shape in unused.items()}
    weights = matched(given, net, lambda key: imf_name(key, shared), changed)
    for name in ("embedders.low", "embedders.high"):
        reverse_scalar(weights, name)
    negate(weights, "output")
    return sizes, weights


def imf_name(key: str, shared: int) -> str:
    """The file's name of our `key`: it keeps the first `shared` blocks apart from the others."""
    if match := re.match(r"blocks\.(\d+)\.", key):
        n = int(match[1])
        part = f"shared_blocks.{n}." if n < shared else f"u_heads.{n - shared}."
        key = part + key[match.end() :]
    return "net." + renamed(key, IMF_NAMES)


ADAPTERS: dict[str, Callable[..., Converted]] = {"yarr": yarr, "sit": sit, "imf": imf}


def checked(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of the file, those of its moving average where it has several sets, in float32."""
    if not isinstance(state, Mapping):
        raise ValueError("the file holds no dictionary of tensors")
    for name in ("ema", "model"):
        if isinstance(state.get(name), dict):
            state = state[name]
            break
    report([f"{key!r} is no tensor of numbers" for key, value in state.items() if odd(key, value)])
    tensors = {key: value.detach().float() for key, value in state.items()}
    infinite = [key for key, value in tensors.items() if not value.isfinite().all()]
    report([f"{key!r} is not finite" for key in infinite])
    return tensors


def odd(key: Any, value: Any) -> bool:
    """Whether this is anything but a name with a tensor of real numbers in memory."""
    if not isinstance(key, str) or not isinstance(value, Tensor):
        return True
    return value.is_meta or value.layout != torch.strided or not value.is_floating_point()


def without_flax(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names that the linear layers of iMF have without their wrappers."""
    plain = {re.sub(r"\._flax_(linear|embedding)", "", key): state[key] for key in state}
    if len(plain) < len(state):
        raise ValueError("the file holds a layer under two names")
    return plain


def shape_of(state: Mapping[str, Tensor], key: str, dims: int) -> tuple[int, ...]:
    """The shape of a tensor that must be there with so many axes."""
    if key not in state or state[key].dim() != dims:
        raise ValueError(f"the file has no '{key}' with {dims} axes")
    return tuple(state[key].shape)


def count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many blocks have names that start with `prefix`."""
    return len({match[1] for key in state if (match := re.match(rf"{prefix}\.(\d+)\.", key))})


def renamed(key: str, names: Mapping[str, str]) -> str:
    """The file's name of our `key`."""
    for ours, theirs in names.items():
        key = key.replace(ours, theirs)
    return key


def matched(
    given: Mapping[str, Tensor],
    net: nn.Module,
    theirs: Callable[[str], str],
    changed: Mapping[str, tuple[int, ...]] | None = None,
) -> dict[str, Tensor]:
    """The tensors of `net` by our names. ValueError unless the file holds them and nothing else.

    `changed` are the shapes, by the file's names, of what the network has otherwise or not at all.
    """
    ours = {key: theirs(key) for key in net.state_dict()}
    wanted = {ours[key]: tuple(value.shape) for key, value in net.state_dict().items()}
    wanted |= changed or {}
    there = {key: tuple(value.shape) for key, value in given.items()}
    report([f"{key!r} is missing" for key in wanted if key not in there])
    report([f"{key!r} is unexpected" for key in there if key not in wanted])
    wrong = [key for key in wanted if there[key] != wanted[key]]
    report([f"{key!r} is {there[key]}, not {wanted[key]}" for key in wrong])
    return {key: given[name] for key, name in ours.items()}


def report(faults: list[str]) -> None:
    """ValueError with the first of the faults, if there are any."""
    if faults:
        more = f" and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
        raise ValueError(f"the file does not fit: {', '.join(faults[:MAX_NAMED])}{more}")


def reverse_scalar(weights: dict[str, Tensor], embedder: str) -> None:
    """Makes an embedder take 1 - a where it took a.

    cos((1 - a) f) = cos f cos af + sin f sin af and sin((1 - a) f) = sin f cos af - cos f sin af, so
    E(1 - a) is a rotation of E(a), which the first layer takes up: W E(1 - a) = W' E(a).
    """
    key, f = f"{embedder}.mlp.0.weight", frequencies().double()
    w_cos, w_sin = weights[key].double().chunk(2, dim=1)
    turned = [w_cos * f.cos() + w_sin * f.sin(), w_cos * f.sin() - w_sin * f.cos()]
    weights[key] = torch.cat(turned, dim=1).float()


def negate(weights: dict[str, Tensor], linear: str) -> None:
    """noise - data to data - noise, in the last layer."""
    for key in (f"{linear}.weight", f"{linear}.bias"):
        weights[key] = -weights[key]
