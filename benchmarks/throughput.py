"""Training with everything on, over a bare loop: forward, backward, Adam on a batch that is there.

    python -m benchmarks.throughput [rounds] [steps a round] [key=value of the recipe]...

Everything: data drawn, gradient clipped, moving average, log, bins of t. Rounds of both alternate; the
median of their ratio. The state, saved every minute, and the pictures, every 500 steps, do not fall
into so few: each is timed by itself, and charged for its share. What drawing a batch takes is shown
as a share of a step. Needs FLOWDEMO_DATA.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from flowdemo.cli.train import draw_samples
from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import COUPLINGS
from flowdemo.core.paths import linear
from flowdemo.core.times import uniform
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.training.batches import draw_batch
from flowdemo.training.dataset import coupling_of
from flowdemo.training.log import SAVE_SECONDS
from flowdemo.training.precision import autocast
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.run import finished, prepare, run_recipe
from flowdemo.training.state_file import save_state

NAME, PICTURE_STEPS = "mnist-flow-matching", 500
CPU = torch.device("cpu")


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The median of a few."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def bare(recipe: Recipe, steps: int) -> float:
    """Seconds a step."""
    state, generator = prepare(recipe, None, CPU), torch.Generator().manual_seed(0)
    loss = FlowMatching(linear(), uniform)
    batch = loss.timed(coupling_of(recipe)(recipe.batch_size, generator), generator)

    def step() -> None:
        state.optimizer.zero_grad()
        with autocast(CPU):
            value = loss(state.net, batch).loss.mean()
        value.backward()
        state.optimizer.step()

    began = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - began) / steps


def whole(recipe: Recipe, steps: int) -> float:
    """The same for the training loop of a recipe."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_recipe(recipe.model_copy(update={"steps": steps + 1}), Path(folder) / "x")
        next(run)  # reading the data is no part of a step
        began = time.perf_counter()
        for progress in run:
            if progress.step == steps + 1:
                break
        spent = (time.perf_counter() - began) / steps
        run.close()
    return spent


def now_and_then(recipe: Recipe) -> dict[str, float]:
    """Seconds of saving the state, and of a picture."""
    state = prepare(recipe, None, CPU)
    loss = FlowMatching(linear(), uniform)
    batch = loss.timed(coupling_of(recipe)(recipe.batch_size, state.generator), state.generator)
    loss(state.net, batch).loss.mean().backward()
    state.optimizer.step()  # now it has moments to save
    model = finished(recipe, state, [])
    with tempfile.TemporaryDirectory() as folder:
        save = seconds(lambda: save_state(state, Path(folder)))
        picture = seconds(lambda: draw_samples(model, Path(folder) / "x.png"), 3)
    return {"save": save, "picture": picture}


def drawing(recipe: Recipe) -> dict[str, float]:
    """Seconds of drawing a batch, by coupling."""
    generator, data = torch.Generator().manual_seed(0), coupling_of(recipe)
    made = {name: choose(data) for name, choose in COUPLINGS.items()}
    return {
        name: seconds(partial(draw_batch, recipe, made[name], 10, generator), 20) for name in made
    }


def main(rounds: int = 5, steps: int = 20, *changes: str) -> None:
    """Prints both, the share of the bare loop's speed that is left, and what the rest takes."""
    recipe = read_recipe(NAME, list(changes))
    bare(recipe, 1), whole(recipe, 1)
    pairs = [(bare(recipe, steps), whole(recipe, steps)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    share = statistics.median(x / y for x, y in pairs)
    rare = now_and_then(recipe)
    charged = rare["save"] / SAVE_SECONDS + rare["picture"] / (PICTURE_STEPS * b)  # of the time
    print(f"{recipe.name}, batch {recipe.batch_size}, {torch.get_num_threads()} threads: bare "
          f"{1000 * a:.0f} ms a step, with everything {1000 * b:.0f} ms: {share:.3f} of its speed, "
          f"{share / (1 + charged):.3f} with saves and pictures")  # fmt: skip
    print(f"a save {rare['save']:.2f} s, a picture {rare['picture']:.2f} s")
    for name, spent in drawing(recipe).items():
        print(f"drawing a batch, {name}: {1000 * spent:.1f} ms, {spent / b:.3f} of a step")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if "=" not in argument]
    main(*(numbers or (5, 20)), *(argument for argument in sys.argv[1:] if "=" in argument))
