"""Training with everything on, over a bare loop: forward, backward, Adam on a batch that is there.

    python -m benchmarks.throughput [rounds] [steps a round]

Everything: data drawn, gradient clipped, moving average, log, bins of t. The state, saved every
minute, and the pictures, every 500 steps, do not fall into so few. Rounds of both alternate; the
median of their ratio. Needs FLOWDEMO_DATA.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.paths import linear
from flowdemo.times import uniform
from flowdemo.training.bundled import read_recipe
from flowdemo.training.precision import autocast
from flowdemo.training.run import prepare, run_recipe
from flowdemo.training.sets import coupling_of

NAME = "mnist-flow-matching"


def bare(recipe, steps: int) -> float:
    """Seconds a step."""
    device = torch.device("cpu")
    state, generator = prepare(recipe, None, device), torch.Generator().manual_seed(0)
    loss = FlowMatching(linear(), uniform)
    batch = loss.timed(coupling_of(recipe)(recipe.batch_size, generator), generator)
    began = time.perf_counter()
    for _ in range(steps):
        state.optimizer.zero_grad()
        with autocast(device):
            value = loss(state.net, batch).loss.mean()
        value.backward()
        state.optimizer.step()
    return (time.perf_counter() - began) / steps


def whole(recipe, steps: int) -> float:
    """The same for the training loop of a recipe."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_recipe(recipe.model_copy(update={"steps": steps + 1}), Path(folder) / "x")
        next(run)  # reading the data is no part of a step
        began = time.perf_counter()
        for progress in run:
            if progress.step == steps + 1:
                break
        seconds = (time.perf_counter() - began) / steps
        run.close()
    return seconds


def main(rounds: int = 5, steps: int = 20) -> None:
    """Prints both, and the share of the bare loop's speed that is left."""
    recipe = read_recipe(NAME)
    bare(recipe, 2), whole(recipe, 2)
    pairs = [(bare(recipe, steps), whole(recipe, steps)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    share = statistics.median(x / y for x, y in pairs)
    print(f"{NAME}, batch {recipe.batch_size}, {torch.get_num_threads()} threads: bare {1000 * a:.0f} "
          f"ms a step, with everything {1000 * b:.0f} ms: {share:.3f} of its speed")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
