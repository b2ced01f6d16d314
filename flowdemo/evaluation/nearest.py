"""The nearest real images in the classifier's features: they would reveal copied samples."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from safetensors.torch import load_file
from torch import Tensor

from flowdemo.evaluation.classifier import FOLDER, Judge

ROWS, COMPONENTS = 4000, 64
FILE = "nearest.safetensors"


@dataclass(frozen=True)
class Gallery:
    """Some training images: features (m, d), and codes (m, c) in their principal components.

    The images themselves do not ship; `redrawn` restores them from their components (pixels, c).
    `typical` is the median distance of an image to the nearest other one.
    """

    typical: float
    features: Tensor
    codes: Tensor
    components: Tensor
    mean: Tensor
    shape: tuple[int, ...]

    def nearest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (n,) of the images whose features are nearest to (n, d), and the distances (n,)."""
        distance, rows = torch.cdist(features, self.features).min(1)
        return rows, distance

    def redrawn(self, rows: Tensor) -> Tensor:
        """The images of these rows from their components, pixels in [0, 1]: (n, ...)."""
        pixels = self.mean + self.codes[rows] @ self.components.T
        return pixels.clamp(0, 1).reshape(-1, *self.shape)


def gallery_of(pixels: Tensor, judge: Judge) -> dict[str, Tensor]:
    """What ships of the first ROWS training images (n, channels, height, width)."""
    flat = pixels.flatten(1)
    mean = flat.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov(flat.T))  # in ascending order of variance
    components = vectors[:, -COMPONENTS:].flip(1)
    features, _ = judge.look(pixels[:ROWS])
    others = torch.cdist(features, features).kthvalue(2, dim=1).values  # the first is itself
    return {
        "typical": others.median(),
        "features": features.half(),
        "codes": ((flat[:ROWS] - mean) @ components).half(),
        "components": components.half().contiguous(),
        "mean": mean.half(),
        "shape": torch.tensor(pixels.shape[1:]),
    }


@lru_cache
def gallery(data: str) -> Gallery | None:
    """The gallery of a data set, or None where there is none."""
    file = FOLDER / data / FILE
    if not file.is_file():
        return None
    stored = load_file(file)
    shape, typical = tuple(stored.pop("shape").tolist()), stored.pop("typical").item()
    return Gallery(typical, **{key: value.float() for key, value in stored.items()}, shape=shape)
