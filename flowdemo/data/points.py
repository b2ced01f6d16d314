"""One's own points in the plane, from a table of numbers."""

import math
import re

import torch
from torch import Tensor

MIN_POINTS, MAX_POINTS, MAX_BYTES = 10, 20_000, 2_000_000
RADIUS = 3.0  # root mean square distance from the middle, about that of the built-in sets


def parse_points(text: str) -> Tensor:
    """Points (n, 2) from lines of two numbers, between them a comma, a semicolon or white space.

    One first line of titles may stand above. ValueError names the line that is wrong, or says that
    there are too few or too many.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"the table is larger than {MAX_BYTES // 1_000_000} MB; give fewer points")
    text = text.removeprefix("\ufeff")  # some programs put this mark before a table
    lines = [(k, line) for k, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if lines and not any(map(is_number, cells_of(lines[0][1]))):
        lines = lines[1:]
    if not MIN_POINTS <= len(lines) <= MAX_POINTS:
        raise ValueError(f"{MIN_POINTS} to {MAX_POINTS} points are needed, not {len(lines)}")
    return torch.tensor([point_of(k, line) for k, line in lines], dtype=torch.float32)


def cells_of(line: str) -> list[str]:
    return re.split(r"\s*[,;]\s*|\s+", line.strip())


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def point_of(k: int, line: str) -> list[float]:
    """The two numbers of line k."""
    cells = cells_of(line)
    if len(cells) != 2 or not all(map(is_number, cells)):
        raise ValueError(f"line {k} must be two numbers, not '{line.strip()[:40]}'")
    point = [float(cell) for cell in cells]
    if not all(map(math.isfinite, point)) or max(map(abs, point)) > 1e30:
        raise ValueError(f"line {k} must be finite numbers, not '{line.strip()[:40]}'")
    return point


def fitted(points: Tensor) -> Tensor:
    """The points (n, 2) moved and scaled, alike in both directions, to the size of the built-in sets.

    ValueError if they all lie in one place.
    """
    centred = points.double() - points.double().mean(0)
    size = centred.square().sum(1).mean().sqrt()
    if not size > 1e-6 * points.double().abs().max():
        raise ValueError("the points all lie in one place")
    return (RADIUS * centred / size).float()
