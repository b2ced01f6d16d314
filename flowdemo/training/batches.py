"""Random draws of a training step: its batch, CFG weights and times."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch, Coupling, drop_labels
from flowdemo.core.resampling import RESAMPLERS
from flowdemo.core.times import ENDS, TIMES, TimeSampler, after, discrete, logit_normal, with_start


def time_sampler(recipe: Recipe) -> TimeSampler:
    """The time sampler of a recipe; a new one if it learns from errors."""
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


def draw_batch(recipe: Recipe, coupling: Coupling, empty: int, generator: Generator) -> Batch:
    """A batch with random CFG weights and dropped labels; the pairs of a teacher have both already."""
    batch = coupling(recipe.batch_size, generator)
    if recipe.pairs is not None:
        return batch
    if recipe.net.guidance:
        w = random_guidance(recipe, recipe.batch_size, generator)
        batch = replace(batch, guidance=w)
    return drop_labels(batch, recipe.label_dropout, empty, generator)


def random_guidance(recipe: Recipe, n: int, generator: Generator) -> Tensor:
    """CFG weights (n,): uniform in the range of the recipe, but a share of them is 1."""
    low, high = recipe.guidance
    w = low + (high - low) * torch.rand(n, generator=generator)
    return torch.where(torch.rand(n, generator=generator) < recipe.share_unguided, 1.0, w)
