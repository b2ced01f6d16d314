"""The plane in which trajectories are drawn: principal components of images, or the plane itself."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from safetensors.torch import load_file
from torch import Tensor

from flowdemo.data import DATASETS, OWN, dataset, points_of
from flowdemo.evaluation.classifier import FOLDER


@dataclass(frozen=True)
class Plane:
    """Real points (m, 2) with labels (m,), and how samples are projected."""

    points: Tensor
    labels: Tensor
    mean: Tensor | None = None
    components: Tensor | None = None

    def project(self, states: Tensor) -> Tensor:
        """States (k, n, ...), un-normalised, to (k, n, 2)."""
        if self.components is None:
            return states
        return (states.flatten(2) - self.mean) @ self.components

    def anchors(self, names: tuple[str, ...]) -> dict[str, Tensor]:
        """The mean point of each class that is there."""
        found = {i: self.points[self.labels == i] for i in range(len(names))}
        return {names[i]: rows.mean(0) for i, rows in found.items() if len(rows)}


@lru_cache
def plane(data: str) -> Plane | None:
    """The plane of a data set, or None where there is none."""
    if data == OWN:
        return Plane(torch.zeros(0, 2), torch.zeros(0).long())
    if data in DATASETS and not dataset(data).is_image:
        return Plane(*points_of(data, 1500, seed=0))
    file = FOLDER / data / "plane.safetensors"
    if not file.is_file():
        return None
    stored = load_file(file)
    points, labels = stored["points"].float()[:1500], stored["labels"].long()[:1500]
    return Plane(points, labels, stored["mean"], stored["components"].to(torch.float32))


def plane_of(states: Tensor) -> Plane:
    """The plane in which the states (k, n, ...) of a run vary most, for data that has none here."""
    flat = states.flatten(0, 1).flatten(1).float()
    flat = flat[:: max(1, len(flat) // 256)]
    mean = flat.mean(0)
    _, vectors = torch.linalg.eigh((flat - mean) @ (flat - mean).T)  # rows are fewer than pixels
    components = torch.nn.functional.normalize((flat - mean).T @ vectors[:, -2:].flip(1), dim=0)
    return Plane(torch.zeros(0, 2), torch.zeros(0).long(), mean, components)
