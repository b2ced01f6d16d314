"""The measured numbers of a checkpoint: quality over evaluations and CFG weight."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from flowdemo.config.checkpoint import Measured
from flowdemo.data import pixels_of, points_of
from flowdemo.evaluation.classifier import FOLDER, judge_or_error
from flowdemo.evaluation.metrics import frechet_distance, moments, straightness, wasserstein_2
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.sampling.initial_noise import start
from flowdemo.sampling.request import Request, evaluations_per_step
from flowdemo.sampling.run import Samples, Watch, run

NFES, GUIDANCES = (1, 2, 4, 8, 16, 50), (1.0, 2.0)
SEED, BATCH, IMAGES, POINTS = 20_000_000, 100, 10_000, 2_000
STRAIGHTNESS_SAMPLES = {"image": 8, "points": 100}  # that are followed, whoever asks


def evaluate(
    model: Model,
    n: int | None = None,
    nfes: tuple[int, ...] = NFES,
    guidances: tuple[float, ...] = GUIDANCES,
) -> Iterator[Measured]:
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
                how = {"solver": solver, "steps": nfe // per_step, "guidance": guidance}
                request = Request(model.name, n, **how)
                yield Measured(nfe=nfe, **how, **measured(model, request))


def measured(model: Model, request: Request) -> dict[str, Any]:
    """n and the quality of its samples, with the labels of the test set or of fresh points."""
    data = model.config.data
    if not model.is_image:
        n = request.n or POINTS
        real, labels = points_of(data, n, SEED)
        return {"n": n, "wasserstein_2": wasserstein_2(draw(model, labels, request), real)}
    referee, labels = judge_or_error(data), test_labels(data)[: request.n or IMAGES]
    features, predicted = referee.look(draw(model, labels, request))
    distance = frechet_distance(*moments(features), referee.mean, referee.covariance)
    accuracy = (predicted == labels).double().mean().item()
    return {"n": len(labels), "class_accuracy": accuracy, "frechet_distance": distance}


def draw(model: Model, labels: Tensor, request: Request) -> Tensor:
    """Samples (n, ...) with these labels, a batch at a time; every row has noise of its own."""
    parts = []
    for i, part in enumerate(labels.split(BATCH)):
        batch = replace(request, n=len(part), label=part.tolist(), seed=SEED + i)
        made = run(model, batch, keep_trajectory=False)
        parts.append(made.images if made.points is None else made.points)
    return torch.cat(parts)


def straightness_of(model: Model, samples: Samples, watch: Watch = lambda rows: None) -> float:
    """Straightness of the flow that made these samples, along the first of them."""
    most = STRAIGHTNESS_SAMPLES[model.kind]
    labels, guidance = samples.labels[:most], samples.request.guidance
    x_0 = samples.x_0[:most].to(model.device)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        watch(0)
        return model.velocity(x, t, labels, guidance)

    return straightness(velocity, x_0, eps=model.config.eps)


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
    n = 100 if model.is_image else 1000
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
    """Select the first points so that each class is as frequent as in `wanted`.

    Otherwise the floor would include random class frequencies, which samples do not have:
    they are drawn with the labels of the points they are compared with.
    """
    shares = torch.bincount(wanted).tolist()
    return torch.cat([points[labels == i][:count] for i, count in enumerate(shares)])


def test_labels(data: str) -> Tensor:
    """The labels of the test set, which the samples of an evaluation share."""
    return pixels_of(data, "test")[1]
