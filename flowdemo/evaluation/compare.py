"""The same noise and the same classes through several requests."""

import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from flowdemo.core.solvers import SolverError
from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.report import straightness_of
from flowdemo.model import Model
from flowdemo.sampling.request import ALL, NAMED, Label, Request, checked_label, label_of
from flowdemo.sampling.run import MAX_EVALUATIONS, Samples, Watch, run

MAX_ROWS = 16
FOLLOWED = {"image": 20, "points": 500}  # samples that are compared with the reference solution
REFERENCE = {"solver": "dopri5", "tolerance": 1e-5, "steps": None}
MAX_KEPT = 64  # flows whose measured numbers are kept
TIMINGS, TIMING_SECONDS = 3, 0.5  # warm runs whose median is shown, unless one takes longer


@dataclass(frozen=True)
class Row:
    """One request with its samples; the numbers that cost more than the samples come later.

    `right` says which samples the classifier takes for their class, of those whose class it knows.
    `rmse` is the root mean square difference, in pixels or units of the plane, to the reference
    solution of the model's own flow. In the plane also: `wasserstein_2` to as many real points and
    `floor`, that of two real draws; `velocity_error`, the root mean square error of the velocity.
    """

    request: Request
    model: Model
    samples: Samples
    right: Tensor | None = None
    straightness: float | None = None
    rmse: float | None = None
    warm_seconds: float | None = None
    wasserstein_2: float | None = None
    floor: float | None = None
    velocity_error: float | None = None

    @property
    def method(self) -> str:
        return self.model.config.method

    @property
    def accuracy(self) -> float | None:
        return None if self.right is None else self.right.double().mean().item()

    @property
    def seconds(self) -> float:
        """Of warm runs, once they were timed."""
        return self.samples.seconds if self.warm_seconds is None else self.warm_seconds

    def numbers(self) -> dict[str, Any]:
        """The row as exported JSON has it; what was not measured is None."""
        fields = ("model", "solver", "steps", "tolerance", "guidance")
        return {key: getattr(self.request, key) for key in fields} | {
            "revision": self.samples.revision,
            "nfe": self.samples.nfe,
            "seconds": self.seconds,
            "class_accuracy": self.accuracy,
            "straightness": self.straightness,
            "rmse": self.rmse,
        }


def resolve(
    requests: list[Request], load: Callable[[str], Model], max_rows: int = MAX_ROWS
) -> tuple[list[Model], list[Request]]:
    """The model of each row, and the rows completed.

    n, label and seed are those of the first row. The label numbers the classes of the first row, whose
    names count; "all" are the classes that all rows share. ValueError if the rows are none or too many,
    need models of different data, or ask a model for what it does not offer.
    """
    if not 1 <= len(requests) <= max_rows:
        raise ValueError(f"a comparison has 1 to {max_rows} rows, not {len(requests)}")
    loaded = {name: load(name) for name in dict.fromkeys(row.model for row in requests)}
    models = [loaded[row.model] for row in requests]
    kinds = {model.config.data: model.name for model in models}
    if len(kinds) > 1:
        names = " and ".join(f"{name} ({data})" for data, name in kinds.items())
        raise ValueError(f"rows share their noise, so their data must be the same: not {names}")
    first = requests[0]
    alike = [replace(row, n=first.n, label=ALL, seed=first.seed) for row in requests]
    complete = [row.completed(model) for row, model in zip(alike, models, strict=True)]
    labels = labels_by_name(models, first.label, complete[0].n)
    return models, [replace(row, label=k) for row, k in zip(complete, labels, strict=True)]


def labels_by_name(models: list[Model], label: Label, n: int) -> list[Label]:
    """The label of each row: models may number classes of the same name differently.

    ValueError names the first class that a row does not have.
    """
    names = [model.config.classes for model in models]
    label = checked_label(label_of(label, names[0]), n, models[0])
    if label == "any" or len(set(names)) == 1:
        return [label] * len(models)
    common = shared(names)
    if label == ALL:
        wanted = [common[i % len(common)] for i in range(n)] if common else ["of any name"]
    else:
        wanted = [names[0][k] for k in ([label] * n if isinstance(label, int) else label)]
    for model in models:
        if unknown := [name for name in wanted if name not in model.config.classes]:
            there = ", ".join([*common[:NAMED], "any"])
            raise ValueError(f"{model.name} has no class '{unknown[0]}'; the rows share: {there}")
    return [tuple(classes.index(name) for name in wanted) for classes in names]


def shared(classes: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The names that are in all of them, in the order of the first."""
    first, *others = classes
    return tuple(name for name in first if all(name in other for other in others))


def compare(
    models: list[Model],
    requests: list[Request],
    *,
    watch: Watch = lambda rows: None,
    max_evaluations: int | None = None,
) -> Iterator[Row]:
    """The rows of what `resolve` returned, in order, each as soon as its samples are there.

    The limit of evaluations is that of all rows together: ValueError, for fixed steps before anything
    is drawn, for adaptive ones when they reach it.
    """
    left = max_evaluations or MAX_EVALUATIONS[models[0].kind]
    pairs = list(zip(models, requests, strict=True))
    if (work := sum((row.evaluations(model) or 0) * row.n for model, row in pairs)) > left:
        raise ValueError(f"{work} network evaluations exceed the limit of {left}; choose less")
    for model, request in pairs:
        made = run(model, request, watch=watch, max_evaluations=left)
        left = max(1, left - round(made.nfe * request.n))
        referee = judge(model.config.data)
        right = referee and referee.right(made.images, made.labels)
        yield Row(request, model, made, right)


def measure(row: Row, watch: Watch = lambda rows: None) -> Row:
    """The row with straightness, distance to the reference solution and warm timing.

    The first two depend on the flow alone and are kept for a while, since rows share them. `rmse`
    stays None where the reference solution cannot be had. Large models are only timed.
    """
    if not row.model.is_followed:
        return replace(row, warm_seconds=row.samples.seconds)
    straight, rmse = straight_of(row.model, row.samples, watch), None
    with suppress(SolverError):
        target = reference(row.model, row.samples, watch)
        last = row.samples.trajectory.states[-1, : len(target)]
        rmse = (last - target).square().mean().sqrt().item()
    warm = warm_seconds(row.model, row.samples, watch)
    return replace(row, straightness=straight, rmse=rmse, warm_seconds=warm)


def straight_of(model: Model, samples: Samples, watch: Watch) -> float:
    """Straightness of the flow, which everybody who asked for the same shares."""
    return kept("S", model, samples, lambda asked: straightness_of(model, samples, watch))


def reference(model: Model, samples: Samples, watch: Watch) -> Tensor:
    """x_1 of the model's velocity from the same noise, by dopri5 at a tight tolerance.

    For a MeanFlow network the velocity is u(x, t, t).
    """

    def solved(asked: Request) -> Tensor:
        tight = replace(asked, **REFERENCE)
        made = run(model, tight, keep_trajectory=False, watch=watch)
        return made.trajectory.states[-1]

    return kept("x_1", model, samples, solved)


def kept(name: str, model: Model, samples: Samples, compute: Callable[[Request], Any]) -> Any:
    """What was computed before for the flow of these samples, or now for its first ones."""
    asked = samples.request.first(FOLLOWED[model.kind])
    key = (name, model.name, samples.revision, asked.n, asked.label, asked.guidance, asked.seed)
    if key not in _KEPT:
        made = compute(asked)
        with _LOCK:
            while len(_KEPT) >= MAX_KEPT:
                _KEPT.pop(next(iter(_KEPT)))  # the oldest
            _KEPT[key] = made
        return made
    return _KEPT[key]


_KEPT: dict[tuple, Any] = {}  # safe to share between visitors: equal requests have equal results
_LOCK = threading.Lock()


def warm_seconds(model: Model, samples: Samples, watch: Watch) -> float:
    """The median of a few runs after the first; of one run where that takes long."""
    if samples.seconds > TIMING_SECONDS:
        return samples.seconds
    return statistics.median(
        run(model, samples.request, keep_trajectory=False, watch=watch).seconds
        for _ in range(TIMINGS)
    )
