"""Reflow pairs: noise, and the data that a teacher's ODE carries it to."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from flowdemo.couplings import Batch
from flowdemo.files import save_tensors, write_file
from flowdemo.model import Model
from flowdemo.noise import generator, noise
from flowdemo.recipe import Recipe
from flowdemo.solvers import grid, integrate
from flowdemo.training.trainer import autocast, random_guidance

SHARD = 500  # pairs a file: what a killed run may have to make again


def make_pairs(recipe: Recipe, teacher: Model, folder: Path) -> Iterator[tuple[int, int]]:
    """Writes the shards that `folder` lacks; yields (pairs there, pairs wanted) after each."""
    count = recipe.pairs.count
    for first, file in shard_files(recipe, folder).items():
        n = min(SHARD, count - first)
        if not file.is_file():
            began = time.perf_counter()
            made = pairs_from(recipe, teacher, first, n)
            shard = {"x_1": made.x_1.half(), "label": made.label, "guidance": made.guidance}
            cost = {"seconds": repr(time.perf_counter() - began)}
            write_file(file, partial(save_tensors, shard, metadata=cost))
        yield first + n, count


def pairs_from(recipe: Recipe, teacher: Model, first: int, n: int) -> Batch:
    """n pairs from number `first` on; a pair depends on its number's shard alone."""
    label, w = conditions(recipe, teacher.empty, first, n)
    x_0 = noise(recipe.pairs.seed, n, teacher.config.shape, first)
    return Batch(x_0, carry(recipe, teacher, x_0, label, w), label, w)


def conditions(recipe: Recipe, empty: int, first: int, n: int) -> tuple[Tensor, Tensor]:
    """Labels and CFG weights (n,) of the pairs from `first` on; empty labels have w = 1."""
    draws = generator(recipe.pairs.seed * 1_000_003 + first)
    label = torch.randint(empty, (n,), generator=draws)
    dropped = torch.rand(n, generator=draws) < recipe.label_dropout
    w = torch.where(dropped, 1.0, random_guidance(recipe, n, draws))
    return torch.where(dropped, empty, label), w


@torch.inference_mode()
def carry(recipe: Recipe, teacher: Model, x_0: Tensor, label: Tensor, w: Tensor) -> Tensor:
    """x_1 (n, ...) float32 on the CPU by the recipe's solver."""
    device = next(teacher.net.parameters()).device
    step = teacher.step(recipe.pairs.solver, label.to(device), w.to(device))
    with autocast(device):
        path = integrate(step, x_0.to(device), grid(recipe.pairs.steps), keep=False)
    return path.states[-1].float().cpu()


def load_pairs(recipe: Recipe, shape: tuple[int, ...], folder: Path) -> Batch:
    """All pairs of the recipe; the noise is drawn again from its seed."""
    shards = [load_file(file) for file in shard_files(recipe, folder).values()]
    x_1, label, w = (torch.cat([s[key] for s in shards]) for key in ("x_1", "label", "guidance"))
    return Batch(noise(recipe.pairs.seed, len(x_1), shape), x_1.float(), label, w)


def pair_seconds(recipe: Recipe, folder: Path) -> float:
    """What making all pairs took, however many runs it was."""
    total = 0.0
    for path in shard_files(recipe, folder).values():
        with safe_open(path, framework="pt") as file:
            total += float(file.metadata()["seconds"])
    return total


def shard_files(recipe: Recipe, folder: Path) -> dict[int, Path]:
    """Number of the first pair -> file."""
    return {i: folder / f"pairs-{i:08d}.safetensors" for i in range(0, recipe.pairs.count, SHARD)}
