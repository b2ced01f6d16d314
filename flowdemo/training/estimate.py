"""Parameters, memory and time of a recipe, estimated from a few steps."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch, Coupling
from flowdemo.data import DataSet
from flowdemo.model import Model
from flowdemo.training.dataset import coupling_of, dataset_of
from flowdemo.training.pairs import SHARD, pairs_from
from flowdemo.training.perceptual import perceptual_of
from flowdemo.training.processes import Processes
from flowdemo.training.run import device_of, finished, prepare
from flowdemo.training.teachers import check_teacher, load_source
from flowdemo.training.trainer import train

STEPS, TRIED = 5, 16  # steps that are timed, after one that is not; pairs that are made
QUICK = 0.5  # seconds for these pairs
COPIES = 5  # of every weight in float32: network, average, gradient, and Adam's two moments


@dataclass(frozen=True)
class Estimate:
    """Parameters, bytes, and the seconds of a step, of all steps, and of the pairs."""

    parameters: int
    bytes_of_weights: int
    bytes_of_activations: int
    seconds_a_step: float
    seconds_of_steps: float
    seconds_of_pairs: float

    def lines(self) -> list[str]:
        """The estimate in words."""
        weights, rest = self.bytes_of_weights / 2**20, self.bytes_of_activations / 2**20
        steps, pairs = self.seconds_of_steps, self.seconds_of_pairs
        more = f", {minutes(pairs)} for the pairs, together" if pairs else ", together"
        return [
            f"parameters: {self.parameters:,}",
            f"memory: about {weights + rest:.0f} MiB ({weights:.0f} for weights and optimizer, "
            f"{rest:.0f} for what the backward pass needs)",
            f"time: {self.seconds_a_step:.2f} s a step, {minutes(steps)} for all{more} "
            f"about {minutes(steps + pairs)}",
        ]


def minutes(seconds: float) -> str:
    """A time in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def estimate(recipe: Recipe) -> Estimate:
    """Times a few steps on this machine and writes nothing; raises as `run_recipe` does."""
    device = device_of(Processes())
    teacher, origin = (load_source(name, device) for name in (recipe.teacher, recipe.start_from))
    check_teacher(recipe, teacher)
    info = dataset_of(recipe)
    state = prepare(recipe, origin, device)
    finished(recipe, state, [model for model in (teacher, origin) if model])  # checks it
    coupling = random_pairs(info) if recipe.pairs else coupling_of(recipe)
    perceptual = perceptual_of(recipe, info, device)
    short = recipe.model_copy(update={"steps": STEPS + 1})
    saved = SavedBytes()
    steps = train(short, state, coupling, len(info.classes), teacher, perceptual)
    with saved:
        next(steps)
    seconds, before = [], state.seconds
    for progress in steps:
        seconds.append(progress.seconds - before)
        before = progress.seconds
    step = statistics.median(seconds)
    size = sum(p.numel() for p in state.net.parameters())
    pairs = pairs_seconds(recipe, teacher) if recipe.pairs else 0.0
    return Estimate(size, 4 * COPIES * size, saved.bytes, step, step * recipe.steps, pairs)


def random_pairs(info: DataSet) -> Coupling:
    """Pairs of noise with noise, which cost as much time as real pairs."""

    def draw(n: int, generator: torch.Generator) -> Batch:
        x_0, x_1 = (torch.randn(n, *info.shape, generator=generator) for _ in range(2))
        label = torch.randint(len(info.classes), (n,), generator=generator)
        return Batch(x_0, x_1, label, torch.ones(n))

    return draw


def pairs_seconds(recipe: Recipe, teacher: Model) -> float:
    """The time for all pairs, from a few of them, or from a whole file if these are quick.

    Several `processes` share the threads of one, so their time is taken to be the same.
    """
    for n in (TRIED, SHARD):
        began = time.perf_counter()
        pairs_from(recipe, teacher, 0, n)
        seconds = time.perf_counter() - began
        if seconds > QUICK:
            break
    return seconds * recipe.pairs.count / n


class SavedBytes:
    """Counts the bytes that autograd saves for the backward pass, each storage once."""

    def __init__(self) -> None:
        self.bytes, self.seen = 0, set()
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self.keep, lambda tensor: tensor)

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor

    def __enter__(self) -> None:
        self.hooks.__enter__()

    def __exit__(self, *error: object) -> None:
        self.hooks.__exit__(*error)
