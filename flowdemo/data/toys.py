"""Distributions in the plane. A sampler takes (n, generator), returns points (n, 2) and labels (n,)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

ToySampler = Callable[[int, Generator], tuple[Tensor, Tensor]]


def two_gaussians(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Unit Gaussians at (-4, 0), label 0, and (4, 0), label 1, with equal weights."""
    label = torch.randint(2, (n,), generator=generator)
    mean = torch.stack([8.0 * label - 4.0, torch.zeros(n)], dim=1)
    return mean + torch.randn(n, 2, generator=generator), label


def moons(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two interleaved half circles of radius 2 with noise of scale 0.15; label 0 is the upper one."""
    label = torch.randint(2, (n,), generator=generator)
    angle = math.pi * torch.rand(n, generator=generator)
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
    points = 2 * torch.where(label[:, None] == 0, upper, -upper)
    return points + 0.15 * torch.randn(n, 2, generator=generator), label


TOYS: dict[str, ToySampler] = {"two-gaussians": two_gaussians, "moons": moons}
