"""Flows in the plane looked at from within: fields, their errors, and distances to real points."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flowdemo.core.couplings import Coupling, independent
from flowdemo.core.noise import generator
from flowdemo.data import OWN, DataSet, dataset, points_of, training_set
from flowdemo.evaluation.metrics import (
    curvature,
    energy_distance,
    sliced_wasserstein_2,
    wasserstein_2,
)
from flowdemo.model import Label, Model
from flowdemo.sampling.exact_model import ExactModel, exact_model
from flowdemo.sampling.run import Samples

SIDE, TIMES = 20, 11  # of the lattice on which fields are shown, and from 0 to 1
SEED = 20_000_000


@dataclass(frozen=True)
class Source:
    """A distribution in the plane: a built-in one, or one's own `points` (n, 2)."""

    name: str
    points: Tensor | None = None

    def __post_init__(self) -> None:
        if dataset(self.name).is_image:
            raise ValueError(f"'{self.name}' does not lie in the plane")
        if self.name == OWN and self.points is None:
            raise ValueError("give your own points first: draw them, or bring a table")

    @property
    def info(self) -> DataSet:
        return dataset(self.name)

    def draw(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """n points (n, 2) and labels (n,); of one's own points any, some perhaps twice."""
        if self.points is None:
            return points_of(self.name, n, seed)
        rows = torch.randint(len(self.points), (n,), generator=generator(seed))
        return self.points[rows], torch.zeros(n).long()

    def coupling(self) -> Coupling:
        """Fresh noise for training points."""
        if self.points is None:
            return independent(*training_set(self.name))
        return independent(self.points, torch.zeros(len(self.points)).long())

    def exact(self, path: str = "linear") -> ExactModel:
        """The exact velocity as a model."""
        return exact_model(self.name, self.points, path)


def real_like(source: Source, samples: Samples, seed: int) -> Tensor:
    """As many real points as there are samples, with as many of each class."""
    labels, classes = samples.labels, len(source.info.classes)
    n = len(labels)
    if (labels == classes).all():
        return source.draw(n, seed)[0]
    points, found = source.draw(4 * n * classes, seed)
    counts = torch.bincount(labels, minlength=classes).tolist()
    return torch.cat([points[found == k][:count] for k, count in enumerate(counts)])


def distance(source: Source, samples: Samples) -> float:
    """The exact W2 of samples to as many real points."""
    return wasserstein_2(samples.points, real_like(source, samples, SEED))


def report(source: Source, samples: Samples) -> dict[str, float]:
    """Every distance of samples to as many real points, and the curvature of their paths."""
    real = real_like(source, samples, SEED)
    numbers = {
        "wasserstein_2": wasserstein_2(samples.points, real),
        "floor_wasserstein_2": floor(source, samples),
        "sliced_wasserstein_2": sliced_wasserstein_2(samples.points, real, generator(SEED)),
        "energy_distance": energy_distance(samples.points, real),
    }
    path = samples.trajectory
    if len(path.times) < 3:
        return numbers  # a single step has no curvature
    return numbers | {"curvature": curvature(path.states, path.times)}


def floor(source: Source, samples: Samples) -> float:
    """The exact W2 of two real draws of that many points."""
    return wasserstein_2(*(real_like(source, samples, SEED + k) for k in range(2)))


def lattice(extent: float, side: int = SIDE) -> Tensor:
    """The middles of side x side cells of [-extent, extent]^2, line by line from below: (side^2, 2)."""
    middles = extent * ((torch.arange(side) + 0.5) * 2 / side - 1)
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    return torch.stack([x, y], dim=2).reshape(-1, 2)


@torch.inference_mode()
def velocity_field(
    model: Model, extent: float, label: Label = None, guidance: float = 1.0
) -> Tensor:
    """v on the lattice at TIMES times from 0 to 1: (TIMES, side^2, 2)."""
    x, times = lattice(extent), torch.linspace(0, 1, TIMES)
    return torch.stack([model.velocity(x, t, label, guidance) for t in times])


@torch.inference_mode()
def average_field(
    model: Model, extent: float, label: Label = None, guidance: float = 1.0
) -> Tensor:
    """u(x, t, s) on the lattice for s >= t, else 0: (TIMES of t, TIMES of s, side^2, 2)."""
    x, times = lattice(extent), torch.linspace(0, 1, TIMES)
    field = torch.zeros(TIMES, TIMES, len(x), 2)
    for i, t in enumerate(times):
        for j in range(i, TIMES):
            field[i, j] = model.average_velocity(x, t, times[j], label, guidance)
    return field


@torch.inference_mode()
def velocity_error(
    model: Model, exact: Model, samples: Samples, watch: Callable[[int], None] = lambda rows: None
) -> float:
    """The root mean square of |v - v*| along samples of the exact velocity: where the flow passes."""
    labels, guidance = samples.labels, samples.request.guidance
    path, errors = samples.trajectory, []
    for t, x in zip(path.times[:-1], path.states[:-1], strict=True):
        watch(0)
        v, exact_v = (m.velocity(x, t, labels, guidance) for m in (model, exact))
        errors.append((v - exact_v).square().sum(1).mean())
    return torch.stack(errors).mean().sqrt().item()


def crossings(states: Tensor) -> int:
    """How many pairs of paths (k, n, 2), drawn as lines through their states, cross in the plane."""
    paths = states.double().transpose(0, 1)
    a, b = paths[:, :-1], paths[:, 1:]  # the ends of every piece, (n, k - 1, 2)
    a, b, c, d = a[:, None, :, None], b[:, None, :, None], a[None, :, None], b[None, :, None]
    # Two pieces cross if the ends of each lie on different sides of the other.
    met = (side_of(a, b, c) != side_of(a, b, d)) & (side_of(c, d, a) != side_of(c, d, b))
    return int(torch.triu(met.flatten(2).any(2), diagonal=1).sum())


def side_of(a: Tensor, b: Tensor, point: Tensor) -> Tensor:
    """Whether a point lies left of the line from a to b."""
    along, off = b - a, point - a
    return along[..., 0] * off[..., 1] > along[..., 1] * off[..., 0]
