"""The state of a training run as one safetensors file, written while it runs."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from flowdemo.core.resampling import Resampler
from flowdemo.files import save_tensors, write_file
from flowdemo.training.trainer import State

FILE = "training.safetensors"
COUNTERS = ("step", "seconds", "skipped", "bad")


def save_state(state: State, folder: Path) -> None:
    """Writes networks, optimizer, generators and counters; replaces the old file atomically."""
    tensors: dict[str, Tensor] = {"generator": state.generator.get_state()}
    for part, net in (("net", state.net), ("ema", state.ema)):
        tensors |= {f"{part}.{key}": value for key, value in net.state_dict().items()}
    for row, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{row}.{key}": value for key, value in values.items()}
    if isinstance(state.times, Resampler):
        tensors |= {f"times.{key}": value for key, value in state.times.state_dict().items()}
    # The two networks may share constant buffers, which the format does not allow.
    tensors = {key: value.detach().cpu().clone() for key, value in tensors.items()}
    counters = {key: getattr(state, key) for key in COUNTERS}
    text = json.dumps(counters | {"scaler": state.scaler.state_dict()})
    write_file(folder / FILE, lambda path: save_tensors(tensors, path, {"state": text}))


def load_state(state: State, folder: Path) -> bool:
    """Fills a new `state` from the folder; False if nothing is saved there, ValueError if damaged."""
    file = folder / FILE
    if not file.is_file():
        return False
    try:
        fill(state, file)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        why = str(error).partition("\n")[0]
        raise ValueError(
            f"{file} is damaged, or of another run ({type(error).__name__}: {why}); "
            "remove it, and the run starts anew"
        ) from error
    return True


def fill(state: State, path: Path) -> None:
    """Copies the contents of the file into the state."""
    with safe_open(path, framework="pt", device=str(state.device)) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        counters = json.loads(file.metadata()["state"])
    state.net.load_state_dict(part(tensors, "net."))
    state.ema.load_state_dict(part(tensors, "ema."))
    load_optimizer(state.optimizer, part(tensors, "optimizer."))
    if isinstance(state.times, Resampler):
        on_cpu = {key: value.cpu() for key, value in part(tensors, "times.").items()}
        state.times.load_state_dict(on_cpu)
    state.generator.set_state(tensors["generator"].cpu().to(torch.uint8))
    state.scaler.load_state_dict(counters.pop("scaler"))
    for key in COUNTERS:
        setattr(state, key, counters[key])


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The moments and step counts of Adam."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        row, name = key.split(".")
        moments.setdefault(int(row), {})[name] = value.cpu() if name == "step" else value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
