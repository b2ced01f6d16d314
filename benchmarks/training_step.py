"""The cost of a MeanFlow training step over a flow-matching step of the same network and batch.

    python -m benchmarks.training_step [rounds] [key=value of both recipes]...

25 % of the rows have s != t. Without a teacher, and with the guided velocity of a frozen one.
"""

import statistics
import sys
import time

import torch

from flowdemo.couplings import independent
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.methods.meanflow import MeanFlow
from flowdemo.model import Model
from flowdemo.options import MeanFlowOptions
from flowdemo.paths import linear
from flowdemo.times import uniform
from flowdemo.training.bundled import read_recipe
from flowdemo.training.run import finished, prepare
from flowdemo.training.trainer import autocast, draw, update

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def steps(recipe, teacher: Model):
    """One function a kind of step, all on one network and the same batches."""
    state = prepare(recipe, None, DEVICE)
    images = torch.randn(1000, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(1000) % 10
    options = MeanFlowOptions(share_interval=0.25)
    losses = {
        "flow matching": FlowMatching(linear(), uniform),
        "MeanFlow": MeanFlow(linear(), uniform, options),
        "MeanFlow with teacher": MeanFlow(linear(), uniform, options, teacher.velocity),
    }
    # Without a teacher the plain objective is timed: no weight input to guide by.
    plain = recipe.model_copy(update={"guidance": (1.0, 1.0)})

    def one(name: str) -> float:
        chosen = recipe if name.endswith("teacher") else plain
        batch = draw(chosen, independent(images, labels), 10, state.generator).to(DEVICE)
        began = time.perf_counter()
        with autocast(DEVICE):
            loss = losses[name](state.net, batch, state.generator)
        update(state, loss, recipe)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return list(losses), one


def main(count: int = 20, *changes: str) -> None:
    """Prints the medians of every kind, and of its ratio to flow matching within each round."""
    recipe = read_recipe("mnist-meanflow", ["start_from=null", *changes])
    flow = read_recipe("mnist-flow-matching", list(changes))
    teacher = finished(flow, prepare(flow, None, DEVICE), [])
    names, one = steps(recipe, teacher)
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
