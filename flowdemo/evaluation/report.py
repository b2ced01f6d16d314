"""The measured numbers of a checkpoint: quality over evaluations and CFG weight."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from flowdemo.data import pixels_of, points_of
from flowdemo.evaluation.classifier import FOLDER, judge
from flowdemo.evaluation.metrics import frechet_distance, moments, straightness, wasserstein_2
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.sampling import Samples, evaluations_per_step, is_image, sample
from flowdemo.starts import start

NFES, GUIDANCES = (1, 2, 4, 8, 16, 50), (1.0, 2.0)
SEED, BATCH, IMAGES, POINTS = 20_000_000, 100, 10_000, 2_000


@dataclass(frozen=True)
class Row:
    """One cell of the grid; the numbers of images or those of points are None."""

    nfe: int
    guidance: float
    solver: str
    steps: int
    n: int
    class_accuracy: float | None = None
    frechet_distance: float | None = None
    wasserstein_2: float | None = None


def evaluate(
    model: Model,
    n: int | None = None,
    nfes: tuple[int, ...] = NFES,
    guidances: tuple[float, ...] = GUIDANCES,
) -> Iterator[Row]:
    """The rows of the grid that the model can do, one after the other.

    Solver: the network's own average step, else Euler. A model that guides by two evaluations takes
    half as many steps where w is not 1, and has no row at one evaluation.
    """
    solver = AVERAGE if AVERAGE in model.solvers else "euler"
    for guidance in guidances:
        low, high = model.config.guidance
        per_step = evaluations_per_step(model, solver, guidance)
        for nfe in nfes:
            fits = model.config.fixed_steps in (None, nfe // per_step)
            if low <= guidance <= high and nfe % per_step == 0 and fits:
                yield measure(model, nfe, guidance, solver, nfe // per_step, n)


def measure(model: Model, nfe: int, guidance: float, solver: str, steps: int, n: int | None) -> Row:
    """One row, on n samples with the labels of the test set (images) or of fresh points."""
    if not is_image(model):
        n = n or POINTS
        real, labels = points_of(model.config.data, n, SEED)
        points = draw(model, labels, guidance, solver, steps)
        w2 = wasserstein_2(points, real)
        return Row(nfe, guidance, solver, steps, n, wasserstein_2=w2)
    referee, labels = judge(model.config.data), test_labels(model.config.data)[: n or IMAGES]
    features, predicted = referee.look(draw(model, labels, guidance, solver, steps))
    accuracy = (predicted == labels).double().mean().item()
    distance = frechet_distance(*moments(features), referee.mean, referee.covariance)
    return Row(nfe, guidance, solver, steps, len(labels), accuracy, distance)


def draw(model: Model, labels: Tensor, guidance: float, solver: str, steps: int) -> Tensor:
    """Samples (n, ...) with these labels, a batch at a time; every row has noise of its own."""
    parts = []
    for i, part in enumerate(labels.split(BATCH)):
        made = sample(
            model,
            len(part),
            part.tolist(),
            guidance,
            solver,
            steps,
            seed=SEED + i,
            keep_trajectory=False,
        )
        parts.append(made.images if made.points is None else made.points)
    return torch.cat(parts)


def straightness_of(
    model: Model, samples: Samples, most: int = 16, watch: Callable[[int], None] = lambda done: None
) -> float:
    """Straightness of the flow that made these samples, along the first `most` of them."""
    labels, guidance = samples.labels[:most], samples.settings["guidance"]
    x_0 = samples.x_0[:most].to(model.device)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        watch(0)
        return model.velocity(x, t, labels, guidance)

    return straightness(velocity, x_0, eps=model.config.eps)


def as_dict(row: Row) -> dict[str, Any]:
    """The measured fields of a row."""
    return {key: value for key, value in asdict(row).items() if value is not None}


def merge(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Old and new rows, in order; a new row replaces the old one of its NFE and CFG weight."""
    rows = {(row["guidance"], row["nfe"]): row for row in [*old, *new]}
    return [rows[key] for key in sorted(rows)]


def summary(model: Model) -> dict[str, Any]:
    """What is measured once a checkpoint: straightness at w = 1 and what the distances compare to.

    A network that knows its velocity at single times alone has no straightness.
    """
    if not model.is_followed:
        return floor(model.config.data)
    n = 100 if is_image(model) else 1000
    labels = torch.arange(n) % model.empty
    x_0 = start(model, SEED, n)
    straight = straightness(lambda x, t: model.velocity(x, t, labels), x_0, eps=model.config.eps)
    return {"straightness": straight} | floor(model.config.data)


def floor(data: str) -> dict[str, float]:
    """The distance of real data to real data."""
    report = FOLDER / data / "report.json"
    if report.is_file():
        return json.loads(report.read_text())
    real, labels = points_of(data, POINTS, SEED)
    other = with_labels(*points_of(data, 4 * POINTS, SEED + 1), labels)
    return {"floor_points": POINTS, "floor_wasserstein_2": wasserstein_2(other, real)}


def with_labels(points: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
    """Of many points those first ones whose labels are as many of each class as in `wanted`.

    Else the floor would be the chance difference of the classes' shares, which samples do not have:
    they are drawn with the labels of the points they are compared with.
    """
    shares = torch.bincount(wanted).tolist()
    return torch.cat([points[labels == i][:count] for i, count in enumerate(shares)])


def test_labels(data: str) -> Tensor:
    """The labels of the test set, which the samples of an evaluation share."""
    return pixels_of(data, "test")[1]
