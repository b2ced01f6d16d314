"""What a device makes of the recipes: training steps, sampling, memory, and the share of its peak.

    python -m benchmarks.device [RECIPE]... [key=value of the recipes]...

Prints tables of Markdown for RESULTS.md. Networks have fresh weights and batches are of noise, which
take as long as trained ones and real ones. A step is timed in float32 and bfloat16, compiled, and for
transformers without the fused attention kernels; its floating-point operations are counted as they
are dispatched, and the peak is that of the largest product of matrices tried here in bfloat16.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from flowdemo.config.recipe import Recipe
from flowdemo.methods import AVERAGE, METHODS
from flowdemo.model import Model
from flowdemo.nets.transformer import plain_attention
from flowdemo.sampling.run import sample
from flowdemo.training.batches import draw_batch
from flowdemo.training.dataset import dataset_of
from flowdemo.training.estimate import random_pairs
from flowdemo.training.perceptual import perceptual_of
from flowdemo.training.precision import faster
from flowdemo.training.processes import Processes
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.run import finished, machine, prepare
from flowdemo.training.trainer import backward, update

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RECIPES = ("cifar10-flow-matching", "cifar10-reflow", "cifar10-meanflow")
ON_GPU = DEVICE.type == "cuda"
REPEATS, SIDES, SAMPLES = (20, (4096, 8192), 256) if ON_GPU else (3, (1024, 2048), 16)
ALONE = Processes()


@dataclass(frozen=True)
class Way:
    """How a step is made: changes of the recipe, and which attention."""

    changes: tuple[str, ...]
    attention: Callable[[], AbstractContextManager[None]] = nullcontext


def ways(recipe: Recipe) -> dict[str, Way]:
    """Those that the recipe can be trained in; compiled it has no dropout."""
    half = "precision=bfloat16"
    found = {
        "float32": Way(("precision=float32",)),
        "bfloat16": Way((half,)),
        "bfloat16, compiled, no dropout": Way((half, "compile=true", "net.dropout=0")),
    }
    if recipe.net.kind == "dit":
        found["bfloat16, plain attention"] = Way((half,), plain_attention)
    return found


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median of a few, after one that is not counted."""
    found = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        if ON_GPU:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:])


def peak() -> float:
    """Floating-point operations a second of the best product of two square matrices."""
    rates = []
    for side in SIDES:
        a = torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16)
        rates.append(2 * side**3 / seconds(lambda a=a: a @ a))
    return max(rates)


def stepper(recipe: Recipe) -> tuple[Callable[[], None], Model]:
    """A function that makes one step, and the model whose weights it moves."""
    state, info = prepare(recipe, None, DEVICE), dataset_of(recipe)
    net = faster(state.net) if recipe.compile else state.net
    empty, coupling = len(info.classes), random_pairs(info)
    taught = recipe.method == "meanflow" and recipe.teacher
    velocity = teacher_of(recipe).velocity if taught else None
    perceptual = perceptual_of(recipe, info, DEVICE)
    loss = METHODS[recipe.method].loss(recipe, state.times, velocity, perceptual, empty)

    def step() -> None:
        batch = draw_batch(recipe, coupling, empty, state.generator)
        batch = batch if recipe.net.guidance else batch.without_guidance()
        backward(recipe, state, net, loss.timed(batch, state.generator), loss, ALONE)
        update(state, recipe, ALONE)

    return step, finished(recipe, state, [])


def teacher_of(recipe: Recipe) -> Model:
    """The teacher's network with fresh weights."""
    plan = read_recipe(recipe.teacher)
    return finished(plan, prepare(plan, None, DEVICE), [])


def rows(name: str, changes: list[str], best: float) -> Iterator[str]:
    """A row of the table for each way, and one for sampling."""
    plain = read_recipe(name, ["start_from=null", *changes])
    step, _ = stepper(read_recipe(name, ["start_from=null", *changes, "precision=float32"]))
    with FlopCounterMode(display=False) as counted:
        step()
    operations = counted.get_total_flops()
    for title, way in ways(plain).items():
        recipe = read_recipe(name, ["start_from=null", *changes, *way.changes])
        step, model = stepper(recipe)
        if ON_GPU:
            torch.cuda.reset_peak_memory_stats()
        with way.attention():
            spent = seconds(step)
        memory = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if ON_GPU else "-"
        share = operations / spent / best
        rate = recipe.batch_size / spent
        yield f"| {name} | {title} | {1000 * spent:.0f} ms | {rate:.0f} | {memory} | {share:.2f} |"
    yield f"| {name} | sampling in float32 | {sampled(model)} | - | - |"


def sampled(model: Model) -> str:
    """Images a second at one and at fifty evaluations."""
    solver = AVERAGE if AVERAGE in model.solvers else "euler"
    found = []
    for steps in (1, 50):
        how = {"solver": solver, "steps": steps, "keep_trajectory": False}
        spent = seconds(lambda how=how: sample(model, SAMPLES, "all", **how), 3)
        found.append(f"{SAMPLES / spent:.1f}")
    return f"{found[0]} a second at 1 NFE | {found[1]} at 50"


def main(*arguments: str) -> None:
    """Prints the table."""
    names = [name for name in arguments if "=" not in name] or RECIPES
    changes, best = [change for change in arguments if "=" in change], peak()
    print(f"{machine(DEVICE)}: {best / 1e12:.2f} TFLOP/s at best")
    print("\n| recipe | how | a step | images a second | memory | share of the peak |")
    print("|---|---|---|---|---|---|")
    for name in names:
        for row in rows(name, changes, best):
            print(row, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
