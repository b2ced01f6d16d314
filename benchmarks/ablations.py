"""What the choices of MeanFlow are worth, in the plane: three seeds each, as many steps for each row.

    python -m benchmarks.ablations [processes]

Eight Gaussians without their classes; every row changes one choice of the first. What the teacher's own
training took (8,000 steps of 512) is not counted. Wasserstein-2 of 2,000
samples to 2,000 real points after 1 and after 4 evaluations, mean and standard deviation over seeds.
Prints the table of docs/training.md.
"""

import json
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from flowdemo.checkpoints import load_folder
from flowdemo.config.checkpoint import parse
from flowdemo.config.recipe import Recipe
from flowdemo.data import points_of
from flowdemo.evaluation.metrics import wasserstein_2
from flowdemo.sampling.run import sample
from flowdemo.training.recipe_files import set_value
from flowdemo.training.run import run_recipe

SEEDS, STEPS, POINTS = (0, 1, 2), 2000, 2000
DATA, TEACHER = "eight-gaussians", "eight-gaussians-flow-matching"
BASE = {
    "name": "ablation", "method": "meanflow", "data": DATA,
    "net": {"kind": "mlp", "width": 128, "depth": 4, "end_time": True},
    "label_dropout": 1.0, "times": "uniform", "steps": STEPS, "batch_size": 256,
    "learning_rate": 1e-3, "ema": 0.99, "precision": "float32",
    "meanflow": {"share_interval": 0.5, "power": 0.0},
}  # fmt: skip
CHOICES: dict[str, list[str]] = {
    "as it is: half of the rows s > t, uniform times, power 0, (t, h), no teacher": [],
    "a quarter of the rows s > t": ["meanflow.share_interval=0.25"],
    "three quarters of the rows s > t": ["meanflow.share_interval=0.75"],
    "logit-normal times": ["times=logit-normal"],
    "logit-normal times of mean 0.4": ["times=logit-normal", "logit_mean=0.4"],
    "CIFAR-10's sampler of the paper": ["meanflow.intervals=cifar-paper"],
    "CIFAR-10's separate sampler": ["meanflow.intervals=cifar-separate"],
    "a quarter from t = 0, a quarter to s = 1": [
        "meanflow.share_start=0.25", "meanflow.share_end=0.25",
    ],
    "power 0.5": ["meanflow.power=0.5"],
    "power 1, c = 0.01": ["meanflow.power=1", "meanflow.c=0.01"],
    "told (t, s)": ["net.time_inputs=t,s"],
    "told (t, s, h)": ["net.time_inputs=t,s,h"],
    "told h alone": ["net.time_inputs=h"],
    "started from flow matching": [f"start_from={TEACHER}"],
    "started from it, and its velocity": [f"start_from={TEACHER}", f"teacher={TEACHER}"],
    "tangent predicted": ["meanflow.tangent=predicted"],
    "split, no derivative": ["meanflow.derivative=split"],
    "embedding up to 100 radians": ["net.max_frequency=100"],
    "embedding up to 1000 radians": ["net.max_frequency=1000"],
}  # fmt: skip


def recipe_of(changes: list[str], seed: int) -> Recipe:
    """The base recipe with some changes."""
    content = json.loads(json.dumps(BASE | {"seed": seed}))
    for change in changes:
        set_value(content, change)
    return parse(Recipe, json.dumps(content), "ablation")


def run(title: str, seed: int, steps: int = STEPS) -> tuple[float, float]:
    """W2 after 1 and after 4 evaluations."""
    torch.set_num_threads(1)
    recipe = recipe_of([*CHOICES[title], f"steps={steps}"], seed)
    with tempfile.TemporaryDirectory() as folder:
        for _ in run_recipe(recipe, Path(folder) / "x"):
            pass
        model = load_folder(Path(folder) / "x")
    real, _ = points_of(DATA, POINTS, 90_000)
    made = (sample(model, POINTS, None, steps=k, seed=90_000 + seed).points for k in (1, 4))
    return tuple(wasserstein_2(points, real) for points in made)


def main(processes: int = 1) -> None:
    """Prints the table, a row as soon as its seeds are done."""
    print(f"| {STEPS} steps of 256, {len(SEEDS)} seeds | W2, 1 evaluation | W2, 4 evaluations |")
    print("|---|---|---|")
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        jobs = {title: [pool.submit(run, title, seed) for seed in SEEDS] for title in CHOICES}
        for title, row in jobs.items():
            one, four = zip(*(job.result() for job in row), strict=True)
            print(f"| {title} | {cell(one)} | {cell(four)} |", flush=True)


def cell(values: tuple[float, ...]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
