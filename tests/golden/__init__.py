"""Random weights in the layouts of public checkpoints, with inputs and outputs of the original code."""

from functools import cache
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

HEADS = {"yarr": 4, "sit": 6, "imf": 6}


@cache
def golden(name: str) -> dict[str, Tensor]:
    return load_file(Path(__file__).parent / f"{name}.safetensors")


def state(name: str) -> dict[str, Tensor]:
    """A fresh copy of the dictionary as the original code would write it."""
    tensors = golden(name).items()
    return {key[6:]: value.clone() for key, value in tensors if key.startswith("state.")}
