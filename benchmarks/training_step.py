"""The cost of every kind of training step over that of flow matching, on one network and batch.

    python -m benchmarks.training_step [rounds] [key=value of the recipe]...

25 % of the rows have s > t. Medians of the ratio within each round.
"""

import statistics
import sys
import time

import torch

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import independent
from flowdemo.core.paths import linear
from flowdemo.core.times import uniform
from flowdemo.methods import Loss
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.methods.meanflow import MeanFlow, MeanFlowOptions
from flowdemo.model import Model
from flowdemo.training.batches import draw_batch
from flowdemo.training.processes import Processes
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.run import finished, prepare
from flowdemo.training.trainer import backward, update

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SHARE, ALONE = 0.25, Processes()


def kinds(teacher: Model) -> dict[str, tuple[Loss, bool]]:
    """Kind of step -> its loss, and whether the CFG weight is drawn."""

    def mean(master: Model | None = None, **options) -> MeanFlow:
        chosen = MeanFlowOptions(share_interval=SHARE, **options)
        return MeanFlow(linear(), uniform, chosen, master.velocity if master else None, empty=10)

    return {
        "flow matching": (FlowMatching(linear(), uniform), False),
        "MeanFlow": (mean(), False),
        "tangent predicted": (mean(tangent="predicted"), False),
        "double backward": (mean(derivative="double-backward"), False),
        "finite difference": (mean(derivative="finite-difference"), False),
        "split": (mean(derivative="split"), False),
        "fixed guidance, omega 2": (mean(omega=2.0), False),
        "fixed guidance, omega 1, kappa 0.5": (mean(kappa=0.5), False),
        "weight as input, predicted by itself": (mean(), True),
        "weight as input, from a teacher": (mean(teacher), True),
    }


def stepper(recipe: Recipe, teacher: Model):
    """The kinds, and a function that times one step of a kind."""
    state, losses = prepare(recipe, None, DEVICE), kinds(teacher)
    images = torch.randn(1000, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    coupling = independent(images, torch.arange(1000) % 10)
    plain = recipe.model_copy(update={"guidance": (1.0, 1.0)})

    def one(kind: str) -> float:
        loss, weighed = losses[kind]
        batch = draw_batch(recipe if weighed else plain, coupling, 10, state.generator)
        if not weighed:
            batch = batch.without_guidance()
        batch = loss.timed(batch, state.generator)
        began = time.perf_counter()
        backward(recipe, state, state.net, batch, loss, ALONE)
        update(state, recipe, ALONE)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return list(losses), one


def main(count: int = 20, *changes: str) -> None:
    """Prints a line a kind."""
    recipe = read_recipe("mnist-meanflow", ["start_from=null", *changes])
    flow = read_recipe("mnist-flow-matching", list(changes))
    teacher = finished(flow, prepare(flow, None, DEVICE), [])
    names, one = stepper(recipe, teacher)
    for name in names:
        one(name)
    rounds = [{name: one(name) for name in names} for _ in range(count)]
    print(f"batch {recipe.batch_size}, {torch.get_num_threads()} threads, {DEVICE}, {count} rounds")
    for name in names:
        ms = 1000 * statistics.median(r[name] for r in rounds)
        ratio = statistics.median(r[name] / r[names[0]] for r in rounds)
        print(f"{name}: {ms:.0f} ms, ratio {ratio:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
