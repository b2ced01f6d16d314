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


def eight_gaussians(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Gaussians of scale 0.35 at eight places on a circle of radius 4, from (4, 0) on."""
    label = torch.randint(8, (n,), generator=generator)
    means = circle(torch.arange(8) / 8, 4.0)
    return means[label] + 0.35 * torch.randn(n, 2, generator=generator), label


def checkerboard(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Uniform on the eight dark squares, two units wide, of a board of four by four; one class."""
    column = torch.randint(4, (n,), generator=generator)
    row = 2 * torch.randint(2, (n,), generator=generator) + column % 2
    corner = 2.0 * torch.stack([column, row], dim=1) - 4
    return corner + 2 * torch.rand(n, 2, generator=generator), torch.zeros_like(column)


def spirals(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two arms of one and a half turns from the middle to radius 4; label 1 is label 0 turned round."""
    label = torch.randint(2, (n,), generator=generator)
    part = torch.rand(n, generator=generator).sqrt()  # as dense outside as inside
    points = circle(1.5 * part + label / 2, 4 * part)
    return points + 0.1 * torch.randn(n, 2, generator=generator), label


def rings(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Three rings of radius 1, 2.5 and 4 with noise of scale 0.1, equally likely."""
    label = torch.randint(3, (n,), generator=generator)
    points = circle(torch.rand(n, generator=generator), 1 + 1.5 * label)
    return points + 0.1 * torch.randn(n, 2, generator=generator), label


def pinwheel(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Five bent blades from the middle outwards."""
    label = torch.randint(5, (n,), generator=generator)
    along = 2.2 + 0.6 * torch.randn(n, generator=generator)
    across = 0.22 * torch.randn(n, generator=generator)
    turns = label / 5 + 0.14 * along  # the farther out, the farther round
    outwards, sideways = circle(turns, 1.0), circle(turns + 0.25, 1.0)
    return along[:, None] * outwards + across[:, None] * sideways, label


def swiss_roll(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """One and a half turns of a rolled-up sheet, from radius 1.3 to 4; one class."""
    turns = 0.75 + 1.5 * torch.rand(n, generator=generator)
    points = circle(turns, 4 * turns / 2.25)
    return points + 0.12 * torch.randn(n, 2, generator=generator), torch.zeros(n).long()


def circle(turns: Tensor, radius: Tensor | float) -> Tensor:
    """Points (n, 2) at so many turns counter-clockwise from the x axis."""
    angle = 2 * math.pi * turns
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


TOYS: dict[str, ToySampler] = {
    "two-gaussians": two_gaussians,
    "eight-gaussians": eight_gaussians,
    "moons": moons,
    "checkerboard": checkerboard,
    "spirals": spirals,
    "rings": rings,
    "pinwheel": pinwheel,
    "swiss-roll": swiss_roll,
}

# The means and the scale of the distributions that are Gaussian mixtures, one component a class.
MIXTURES: dict[str, tuple[Tensor, float]] = {
    "two-gaussians": (torch.tensor([[-4.0, 0.0], [4.0, 0.0]]), 1.0),
    "eight-gaussians": (circle(torch.arange(8) / 8, 4.0), 0.35),
}
