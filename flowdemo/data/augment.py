"""Random variations of pictures, for small data sets."""

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
