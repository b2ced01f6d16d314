"""Kills training runs at random moments, resumes them, and compares with runs that never stopped.

    python -m benchmarks.kill_resume [kills] [seed]

Runs of four kinds: making reflow pairs, MeanFlow steps, times that learn with optimal transport, and a
network with dropout. A kill is SIGKILL to the process, the last one of a run behind its last step;
equal means every bit of the state and of the checkpoint. The images are random, so no data is needed.
"""

import os
import random
import signal
import sys
import tempfile
import time
from functools import partial
from multiprocessing import connection, get_context
from pathlib import Path

import torch
from safetensors.torch import load_file

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Coupling, independent
from flowdemo.core.noise import generator
from flowdemo.training import log, pairs, run

BASE = {"name": "x", "data": "moons", "steps": 100, "batch_size": 64}
MLP = {"kind": "mlp", "width": 16, "depth": 2}
UNET = {"kind": "unet", "widths": (8,), "dim": 16, "patch": 4, "dropout": 0.3}
PLANS = {
    "pairs": Recipe(
        method="reflow", net=MLP, teacher="moons-flow-matching",
        pairs={"count": 4000, "solver": "heun", "steps": 8}, **(BASE | {"steps": 20}),
    ),
    "steps": Recipe(
        method="meanflow", net=MLP | {"end_time": True, "guidance": True}, meanflow={},
        guidance=(1.0, 3.0), **BASE,
    ),
    "times": Recipe(
        method="flow-matching", net=MLP, times="loss-second-moment", coupling="ot", **BASE
    ),
    "dropout": Recipe(
        method="flow-matching", net=UNET, **(BASE | {"data": "mnist", "batch_size": 4})
    ),
}  # fmt: skip


def images(recipe: Recipe) -> Coupling:
    """A coupling of random images."""
    data = torch.randn(50, 1, 28, 28, generator=generator(0))
    return independent(data, torch.arange(50) % 10)


def work(plan: Recipe, folder: Path, told: connection.Connection) -> None:
    """The process that is killed: it starts or goes on, and tells of everything it does."""
    log.SAVE_SECONDS, pairs.SHARD = 0.02, 50  # a kill shall also hit a save
    if plan.data == "mnist":
        run.coupling_of = images
    for progress in run.run_recipe(plan, folder, resume=True):
        at = getattr(progress, "step", None)
        told.send(f"pair {progress.made}" if at is None else f"step {at}")


def go(plan: Recipe, folder: Path, after: int | str | None = None, delay: float = 0.0) -> str:
    """Runs until it has told of `after` things, or of that one, and `delay` seconds more, or ends.

    Returns what it told last, or "" if it ended; RuntimeError if it failed.
    """
    process_of = get_context("fork")  # what has been imported need not be again
    here, there = process_of.Pipe(duplex=False)
    process = process_of.Process(target=partial(work, plan, folder, there))
    process.start()
    there.close()
    last, count = "start", 0
    while after not in (count, last):
        try:
            last, count = here.recv(), count + 1
        except EOFError:
            break
    if after in (count, last):
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run in {folder} failed after {last}")
    return last if process.exitcode else ""


def contents(folder: Path) -> dict[str, torch.Tensor]:
    """All that a finished run has."""
    return load_file(folder / "training" / "training.safetensors") | {
        f"checkpoint.{key}": value for key, value in load_file(folder / "model.safetensors").items()
    }


def broken(kind: str, root: Path, kills: int, chance: random.Random) -> tuple[list[str], bool]:
    """The moments of the kills that hit, and whether the run ended as one that was never killed."""
    plan, moments = PLANS[kind], []
    go(plan, root / "whole")
    for k in range(kills):
        after, delay = chance.randrange(80 // kills), 0.01 * chance.random()
        if k == kills - 1:  # in the last save, or while the checkpoint is written
            after, delay = f"step {plan.steps}", 3 * delay
        if last := go(plan, root / "killed", after, delay):
            moments.append(f"{last} + {1000 * delay:.1f} ms")
    assert go(plan, root / "killed") == ""
    whole, resumed = contents(root / "whole"), contents(root / "killed")
    equal = whole.keys() == resumed.keys()
    return moments, equal and all(torch.equal(whole[key], resumed[key]) for key in whole)


def main(kills: int = 20, seed: int | None = None) -> None:
    torch.set_num_threads(1)
    seed = random.randrange(10**6) if seed is None else seed
    chance, hits, equals = random.Random(seed), 0, 0
    for kind in PLANS:
        with tempfile.TemporaryDirectory() as root:
            moments, equal = broken(kind, Path(root), max(1, kills // len(PLANS)), chance)
        print(f"{kind}: killed after {', '.join(moments)}: {'equal' if equal else 'DIFFERENT'}")
        hits, equals = hits + len(moments), equals + equal
    print(f"seed {seed}: {hits} kills in {len(PLANS)} runs, of which {equals} ended bit-equal")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
