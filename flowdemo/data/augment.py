"""Random variations of pictures, for small data sets and for classifiers."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

SHIFT, ANGLE, SCALE, SHEAR = 2 / 28, math.radians(12), 0.1, 0.1  # the most, each way


def augment(images: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Each of the images (n, c, h, w), pixels in [0, 1], a little moved, turned, scaled and sheared.

    At strength 1 by at most 1/14 of the side, 12 degrees, 10 % and 0.1. What comes in from outside is
    the colour of the nearest edge. The n x 5 random numbers come from the generator alone.
    """
    n, _, height, width = images.shape
    draws = strength * (2 * torch.rand(n, 5, generator=generator) - 1)
    A = affine(draws, width / height).to(images)
    grid = F.affine_grid(A, list(images.shape), align_corners=False)
    # Bicubic: the softer edges of bilinear samples would be learnt.
    moved = F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return moved.clamp(0, 1)


def affine(draws: Tensor, aspect: float) -> Tensor:
    """Maps (n, 2, 3) of places in the result to places in the image, both in [-1, 1], from (n, 5).

    A = scale * rotation * shear in pixels; in coordinates of [-1, 1] it is S^-1 A S with
    S = diag(aspect, 1), or a turned picture that is not square would be skewed.
    """
    x, y, angle, scale, shear = draws.unbind(1)
    cos, sin, k = (ANGLE * angle).cos(), (ANGLE * angle).sin(), SHEAR * shear
    rows = [
        torch.stack([cos, (k * cos - sin) / aspect, 2 * SHIFT * x], dim=1),
        torch.stack([sin * aspect, k * sin + cos, 2 * SHIFT * y], dim=1),
    ]
    size = torch.stack([1 + SCALE * scale, 1 + SCALE * scale, torch.ones_like(x)], dim=1)
    return torch.stack(rows, dim=1) * size[:, None]  # (n, 2, 3)


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Each of the images (n, c, h, w) as in a mirror, left for right, with probability 1/2."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(-1), images)


def jitter(pixels: Tensor, generator: Generator) -> Tensor:
    """Every image turned by up to 12 degrees, scaled by up to 10 % and moved by up to 2 pixels."""

    def between(bound: float) -> Tensor:
        return bound * (2 * torch.rand(len(pixels), generator=generator) - 1)

    angle, scale = between(0.21), 1 + between(0.1)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift = 2 * 2 / pixels.shape[-1]  # 2 pixels, where the grid spans [-1, 1]
    rows = [torch.stack(r, 1) for r in ((cos, -sin, between(shift)), (sin, cos, between(shift)))]
    grid = F.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def crop_and_flip(pixels: Tensor, generator: Generator) -> Tensor:
    """Every image moved by up to 4 pixels (mirrored at its edges), and flipped with probability 1/2.

    A random square of a quarter of the side becomes grey (arXiv:1708.04552).
    """
    n, _, height, width = pixels.shape
    dy, dx = torch.randint(0, 9, (2, n, 1), generator=generator)
    rows, columns = dy + torch.arange(height), dx + torch.arange(width)
    padded = F.pad(pixels, [4] * 4, mode="reflect").permute(0, 2, 3, 1)
    moved = padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None]]
    return flip(grey_square(moved.permute(0, 3, 1, 2), generator), generator)


def grey_square(pixels: Tensor, generator: Generator) -> Tensor:
    """A square of a quarter of the width, anywhere in each image, becomes grey."""
    n, _, height, width = pixels.shape
    side = width // 4
    top, left = (torch.randint(0, size - side + 1, (n, 1), generator=generator)
                 for size in (height, width))  # fmt: skip
    inside = [
        (start <= torch.arange(size)) & (torch.arange(size) < start + side)
        for start, size in ((top, height), (left, width))
    ]
    return pixels.masked_fill((inside[0][:, :, None] & inside[1][:, None])[:, None], 0.5)
