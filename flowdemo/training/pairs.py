"""Reflow pairs: noise, and the data to which the ODE of a teacher carries it."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch
from flowdemo.core.noise import generator, noise
from flowdemo.core.solvers import SOLVERS, follow, grid
from flowdemo.files import save_tensors, write_file
from flowdemo.model import Model
from flowdemo.training.batches import random_guidance
from flowdemo.training.precision import autocast
from flowdemo.training.processes import Processes

PARTS = {"x_1", "label", "guidance"}  # of a file of pairs
SHARD = 500  # pairs a file; a killed run loses at most one file


def make_pairs(
    recipe: Recipe, teacher: Model, folder: Path, processes: Processes | None = None
) -> Iterator[tuple[int, int]]:
    """Writes the missing files of pairs; yields (pairs there, pairs wanted) after each.

    Processes that train together share the work; a single process may start `pairs.processes` for it.
    """
    processes, count = processes or Processes(), recipe.pairs.count
    files = shard_files(recipe, folder)
    missing = [first for first, file in files.items() if not file.is_file()]
    mine = missing[processes.rank :: processes.size]
    processes.wait()  # until all have looked: the shares must come from one list
    there, wanted = len(files) - len(missing), recipe.pairs.processes
    several = wanted > 1 and processes.size == 1
    made = in_processes(recipe, teacher, folder, mine, wanted) if several else (
        write_shard(recipe, teacher, folder, first) for first in mine
    )  # fmt: skip
    if there:
        yield min(SHARD * there, count), count
    for _ in made:
        there += 1
        yield min(SHARD * there, count), count
    processes.wait()


def write_shard(recipe: Recipe, teacher: Model, folder: Path, first: int) -> int:
    """Makes the pairs from number `first` on and writes their file atomically."""
    began = time.perf_counter()
    made = pairs_from(recipe, teacher, first, min(SHARD, recipe.pairs.count - first))
    x_1 = made.x_1.to(stored_as(recipe, made.x_1))
    if not torch.isfinite(x_1).all():
        raise ValueError(f"{teacher.name} carries noise to numbers that are not finite")
    shard = {"x_1": x_1, "label": made.label, "guidance": made.guidance}
    facts = {"seconds": repr(time.perf_counter() - began), "teacher": teacher.revision}
    file = shard_files(recipe, folder)[first]
    write_file(file, partial(save_tensors, shard, metadata=facts))
    return first


def stored_as(recipe: Recipe, x_1: Tensor) -> torch.dtype:
    """float16 for images by fixed steps, whose solver error is larger than rounding; else float32."""
    coarse = x_1.ndim == 4 and not SOLVERS[recipe.pairs.solver].adaptive
    return torch.float16 if coarse else torch.float32


def in_processes(
    recipe: Recipe, teacher: Model, folder: Path, numbers: list[int], count: int
) -> Iterator[int]:
    """Writes these files in `count` processes, which share the threads of this one."""
    threads = max(1, torch.get_num_threads() // count)
    with ProcessPoolExecutor(
        count, get_context("spawn"), begin_worker, (threads, os.getpid())
    ) as pool:
        jobs = [pool.submit(write_shard, recipe, teacher, folder, first) for first in numbers]
        try:
            yield from (job.result() for job in as_completed(jobs))
        finally:
            pool.shutdown(cancel_futures=True)


def begin_worker(threads: int, parent: int) -> None:
    """Sets the threads of a worker, which ends when its parent ends, even if that is killed."""
    torch.set_num_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def pairs_from(recipe: Recipe, teacher: Model, first: int, n: int) -> Batch:
    """n pairs from number `first` on; a pair depends only on the file that its number is in."""
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
    pairs, device = recipe.pairs, teacher.device
    x_0, label, w = x_0.to(device), label.to(device), w.to(device)
    times = grid(pairs.steps or 1, teacher.config.eps)
    # Adaptive solvers need float32: bfloat16 is coarser than their tolerance.
    with autocast(device, "float32" if SOLVERS[pairs.solver].adaptive else "auto"):
        path = follow(
            lambda x, t: teacher.velocity(x, t, label, w),
            pairs.solver, x_0, times, pairs.tolerance, keep=False,
        )  # fmt: skip
    return path.states[-1].float().cpu()


def load_pairs(recipe: Recipe, teacher: Model, folder: Path) -> Batch:
    """All pairs of the recipe; their noise is drawn again from its seed.

    ValueError names a file of another teacher, or a damaged one.
    """
    shards = [checked_shard(recipe, teacher, *item) for item in shard_files(recipe, folder).items()]
    x_1, label, w = (torch.cat([s[key] for s in shards]) for key in ("x_1", "label", "guidance"))
    return Batch(noise(recipe.pairs.seed, len(x_1), teacher.config.shape), x_1.float(), label, w)


def checked_shard(recipe: Recipe, teacher: Model, first: int, file: Path) -> dict[str, Tensor]:
    """The tensors of one file of pairs."""
    n = min(SHARD, recipe.pairs.count - first)
    wrong = ValueError(f"{file} does not hold {n} finite pairs; remove it, and it is made again")
    try:
        facts, shard = facts_of(file), load_file(file)
        own, _, x_1 = facts["teacher"], float(facts["seconds"]), shard["x_1"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise wrong from error
    if own != teacher.revision:
        raise ValueError(f"{file} was made by another teacher; remove it, and it is made again")
    whole = shard.keys() == PARTS and {len(value) for value in shard.values()} == {n}
    if not whole or x_1.shape[1:] != teacher.config.shape or not torch.isfinite(x_1).all():
        raise wrong
    return shard


def pair_seconds(recipe: Recipe, folder: Path) -> float:
    """The time that all pairs took, over all runs and processes."""
    return sum(float(facts_of(file)["seconds"]) for file in shard_files(recipe, folder).values())


def facts_of(file: Path) -> dict[str, str]:
    """The metadata of a file of pairs."""
    with safe_open(file, framework="pt") as opened:
        return opened.metadata() or {}


def shard_files(recipe: Recipe, folder: Path) -> dict[int, Path]:
    """Number of the first pair -> file."""
    return {i: folder / f"pairs-{i:08d}.safetensors" for i in range(0, recipe.pairs.count, SHARD)}
