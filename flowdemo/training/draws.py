"""What a training step draws: its batch, CFG weights and times."""

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Generator, Tensor

from flowdemo.couplings import Batch, Coupling, drop_labels
from flowdemo.data import DataSet, dataset, training_set
from flowdemo.data.statistics import statistics
from flowdemo.recipe import Recipe
from flowdemo.resampling import RESAMPLERS
from flowdemo.times import ENDS, TIMES, TimeSampler, after, discrete, logit_normal, with_start


def dataset_of(recipe: Recipe) -> DataSet:
    """The data set of a recipe, with the normalisation that it asks for."""
    return normalised(recipe.data, recipe.normalise)


@lru_cache
def normalised(name: str, how: str) -> DataSet:
    """A data set normalised as "data" says of itself, by "min-max" to [-1, 1], or by "mean-std".

    The numbers are those of its training set, for each channel or coordinate.
    """
    info = dataset(name)
    if how == "data" or (
        how == "min-max" and info.is_image and (info.mean, info.std) == (0.5, 0.5)
    ):
        return info
    return replace(info, **NORMALISE[how](training_set(name)[0]))


def min_max(data: Tensor) -> dict[str, tuple[float, ...]]:
    """The middle and half the range: [low, high] becomes [-1, 1]. Of images that is [0, 1]."""
    if data.dtype == torch.uint8:
        return {"mean": (0.5,) * data.shape[1], "std": (0.5,) * data.shape[1]}
    low, high = data.amin(0).double(), data.amax(0).double()
    return {"mean": tuple(((low + high) / 2).tolist()), "std": tuple(((high - low) / 2).tolist())}


def mean_std(data: Tensor) -> dict[str, tuple[float, ...]]:
    """Mean 0 and standard deviation 1 in each channel or coordinate."""
    if data.dtype == torch.uint8:
        return dict(zip(("mean", "std"), statistics(data), strict=True))
    points = data.double()
    std = points.std(0, correction=0)
    return {"mean": tuple(points.mean(0).tolist()), "std": tuple(std.tolist())}


NORMALISE = {"min-max": min_max, "mean-std": mean_std}


def time_sampler(recipe: Recipe) -> TimeSampler:
    """The times of a recipe, a fresh sampler where it learns."""
    if recipe.times in RESAMPLERS:
        return RESAMPLERS[recipe.times]()
    if isinstance(recipe.times, int):
        times = discrete(recipe.times)
    elif recipe.times == "logit-normal":
        times = logit_normal(recipe.logit_mean, recipe.logit_std)
    else:
        times = (TIMES | ENDS)[recipe.times]
    times = with_start(times, recipe.share_start) if recipe.share_start else times
    return after(recipe.eps, times) if recipe.eps else times


def draw(recipe: Recipe, coupling: Coupling, empty: int, generator: Generator) -> Batch:
    """A batch; independent ones get random weights and dropped labels, a teacher's pairs have both."""
    batch = coupling(recipe.batch_size, generator)
    if recipe.pairs is not None:
        return batch
    if recipe.net.guidance:
        w = random_guidance(recipe, recipe.batch_size, generator)
        batch = replace(batch, guidance=w)
    return drop_labels(batch, recipe.label_dropout, empty, generator)


def random_guidance(recipe: Recipe, n: int, generator: Generator) -> Tensor:
    """CFG weights (n,): uniform in the recipe's range, but a share of them is 1."""
    low, high = recipe.guidance
    w = low + (high - low) * torch.rand(n, generator=generator)
    return torch.where(torch.rand(n, generator=generator) < recipe.share_unguided, 1.0, w)
