"""The state of a training run as one safetensors file, written while it runs."""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from flowdemo.files import save_tensors, write_file
from flowdemo.training.trainer import State

FILE = "training.safetensors"


def save_state(state: State, folder: Path) -> None:
    """Writes network, average, optimizer, generator and counters; the old file stays until then."""
    tensors: dict[str, Tensor] = {"generator": state.generator.get_state()}
    for part, net in (("net", state.net), ("ema", state.ema)):
        tensors |= {f"{part}.{key}": value for key, value in net.state_dict().items()}
    for row, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{row}.{key}": value for key, value in values.items()}
    # The two networks may share constant buffers, which the format does not allow.
    tensors = {key: value.detach().cpu().clone() for key, value in tensors.items()}
    counters = {"step": str(state.step), "seconds": repr(state.seconds)}
    write_file(folder / FILE, lambda path: save_tensors(tensors, path, counters))


def load_state(state: State, folder: Path) -> bool:
    """Fills a fresh `state` from the folder; False if nothing was saved there."""
    if not (folder / FILE).is_file():
        return False
    device = next(state.net.parameters()).device
    with safe_open(folder / FILE, framework="pt", device=str(device)) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        counters = file.metadata()
    state.net.load_state_dict(part(tensors, "net."))
    state.ema.load_state_dict(part(tensors, "ema."))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in part(tensors, "optimizer.").items():
        row, name = key.split(".")
        moments.setdefault(int(row), {})[name] = value.cpu() if name == "step" else value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    state.generator.set_state(tensors["generator"].cpu().to(torch.uint8))
    state.step, state.seconds = int(counters["step"]), float(counters["seconds"])
    return True


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
