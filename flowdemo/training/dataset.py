"""The training data of a recipe, a known data set or one's own pictures, and its normalisation."""

import logging
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Generator, Tensor

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Coupling, independent
from flowdemo.data import DATASETS, DataSet, dataset, training_set
from flowdemo.data.augment import flip
from flowdemo.data.pictures import Pictures, read_pictures
from flowdemo.data.statistics import statistics

LOG = logging.getLogger(__name__)


def dataset_of(recipe: Recipe) -> DataSet:
    """The data set of a recipe, with the normalisation that it asks for."""
    return normalised(recipe.data, recipe.source, recipe.shape, recipe.normalise)


def coupling_of(recipe: Recipe) -> Coupling:
    """Fresh noise with rows of the training set, normalised."""
    info = dataset_of(recipe)
    data, labels = training_data(recipe.data, recipe.source, recipe.shape)
    if not info.is_image:
        return independent(info.normalise(data), labels)

    def prepare(pixels: Tensor, generator: Generator) -> Tensor:
        pixels = flip(pixels, generator) if recipe.flip else pixels
        return info.normalise(pixels.float() / 255)

    return independent(data, labels, prepare)


def training_data(
    data: str, source: str | None, shape: tuple[int, ...] | None
) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, channels, h, w) or points (n, 2), and their labels (n,)."""
    if source is None:
        return training_set(data)
    own = own_pictures(source, shape)
    return own.images, own.labels


@lru_cache(maxsize=1)
def own_pictures(source: str, shape: tuple[int, ...]) -> Pictures:
    """One's own pictures, read once; each that cannot be read is named in a warning."""
    read = read_pictures(source, shape)
    for line in read.broken:
        LOG.warning("skipped: %s", line)
    return read


@lru_cache
def normalised(data: str, source: str | None, shape: tuple[int, ...] | None, how: str) -> DataSet:
    """A data set normalised by its own numbers ("data"), to [-1, 1] ("min-max"), or by "mean-std".

    The last two take the numbers from its training set, for each channel or coordinate.
    """
    if source is None:
        info = dataset(data)
    elif data in DATASETS:
        raise ValueError(f"'data' is the name of your own pictures, and '{data}' is another set")
    else:
        info = DataSet(data, shape, own_pictures(source, shape).classes, 0.5, 0.5)
    if how == "data" or (how == "min-max" and info.is_image):  # images have numbers of their own
        return info
    return replace(info, **NORMALISE[how](training_data(data, source, shape)[0]))


def min_max(points: Tensor) -> dict[str, tuple[float, ...]]:
    """The middle and half the range of each coordinate: [low, high] becomes [-1, 1]."""
    low, high = points.amin(0).double(), points.amax(0).double()
    return {"mean": tuple(((low + high) / 2).tolist()), "std": tuple(((high - low) / 2).tolist())}


def mean_std(data: Tensor) -> dict[str, tuple[float, ...]]:
    """Mean 0 and standard deviation 1 in each channel or coordinate."""
    if data.dtype == torch.uint8:
        return dict(zip(("mean", "std"), statistics(data), strict=True))
    points = data.double()
    std = points.std(0, correction=0)
    return {"mean": tuple(points.mean(0).tolist()), "std": tuple(std.tolist())}


NORMALISE = {"min-max": min_max, "mean-std": mean_std}
