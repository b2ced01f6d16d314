"""The same noise and the same classes through several (model, solver, steps, CFG weight)."""

import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor

from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.report import straightness_of
from flowdemo.labels import labels_by_name
from flowdemo.model import Model
from flowdemo.sampling import (
    MAX_EVALUATIONS,
    LabelChoice,
    Plan,
    Samples,
    checked,
    evaluations_per_step,
    is_adaptive,
    kind_of,
    sample,
)
from flowdemo.solvers import SOLVERS, SolverError

MAX_ROWS = 16
FOLLOWED = {"image": 20, "points": 500}
REFERENCE, MAX_KEPT = ("dopri5", 1e-5), 64
TIMINGS, TIMING_SECONDS = 3, 0.5  # warm runs whose median is shown, unless one takes longer
Watch = Callable[[int], None]


@dataclass(frozen=True)
class Spec:
    """A row of a comparison; what is None is the model's own default."""

    model: str
    solver: str | None = None
    steps: int | None = None
    tolerance: float | None = None
    guidance: float | None = None

    def __str__(self) -> str:
        """MODEL:solver:steps:guidance, or MODEL:solver@tolerance:guidance."""
        if self.tolerance is not None:
            how = f"{self.solver}@{self.tolerance:g}"
        else:
            how = f"{self.solver}:{self.steps}"
        return f"{self.model}:{how}:{self.guidance:g}"


@dataclass(frozen=True)
class Row:
    """A finished row; the numbers that cost more than the samples come later.

    `right` says which samples the classifier takes for their class, of those whose class it knows.
    `rmse` is the root mean square difference, in pixels or units of the plane, to the model's own
    reference solution.
    """

    spec: Spec
    method: str
    samples: Samples
    right: Tensor | None = None
    straightness: float | None = None
    rmse: float | None = None
    warm_seconds: float | None = None

    @property
    def accuracy(self) -> float | None:
        return None if self.right is None else self.right.double().mean().item()

    @property
    def seconds(self) -> float:
        """Of warm runs, once they were timed."""
        return self.samples.seconds if self.warm_seconds is None else self.warm_seconds


def parse_spec(text: str) -> Spec:
    """MODEL[:solver[:steps]][:guidance] or MODEL:solver@tolerance[:guidance]; ValueError if not."""
    model, *rest = text.strip().split(":")
    form = f"'{text}' is not of the form MODEL:solver:steps[:guidance]"
    if not model or len(rest) > 3:
        raise ValueError(form)
    solver, _, tolerance = (rest.pop(0) if rest else "").partition("@")
    adaptive = solver in SOLVERS and is_adaptive(solver)
    try:
        steps = int(rest.pop(0)) if rest and not adaptive else None
        guidance = float(rest.pop(0)) if rest else None
        allowed = float(tolerance) if tolerance else None
    except ValueError as error:
        raise ValueError(f"{form} ({error})") from error
    if rest:
        raise ValueError(f"{form}: {solver} takes no steps; write {solver}@1e-4")
    return Spec(model, solver or None, steps, allowed, guidance)


def compare(
    models: list[Model],
    specs: list[Spec],
    n: int = 10,
    label: LabelChoice = "all",
    seed: int = 0,
    *,
    watch: Watch = lambda rows: None,
    max_evaluations: int | None = None,
) -> Iterator[Row]:
    """The rows of what `resolve` returned, in order, each as soon as its samples are there.

    All of them start from the same noise with the same classes: `label` numbers those of the first
    row, whose names count; "all" are the classes that all rows share. The other arguments are those
    of `sample`, but the limit is that of all rows together: ValueError, for fixed steps before
    anything is drawn, for adaptive ones when they reach it.
    """
    labels = labels_by_name(models, label, n)
    left = max_evaluations or MAX_EVALUATIONS[kind_of(models[0])]
    if (work := sum(map(planned, models, specs)) * n) > left:
        raise ValueError(f"{work} network evaluations exceed the limit of {left}; choose less")
    for model, spec, own in zip(models, specs, labels, strict=True):
        how = {key: value for key, value in asdict(spec).items() if key != "model"}
        made = sample(model, n, own, seed=seed, **how, watch=watch, max_evaluations=left)
        left = max(1, left - round(made.nfe * n))
        yield look(model, spec, made)


def planned(model: Model, spec: Spec) -> int:
    """Evaluations that a row will take on one sample; of an adaptive one nothing is known."""
    if spec.steps is None:
        return 0
    return spec.steps * evaluations_per_step(model, spec.solver, spec.guidance)


def resolve(
    specs: list[Spec], load: Callable[[str], Model], max_rows: int = MAX_ROWS
) -> tuple[list[Model], list[Spec]]:
    """The model of each row, and the rows with their models' defaults filled in.

    ValueError if the rows are none or too many, need models of different data, or ask a model for
    what it does not offer.
    """
    if not 1 <= len(specs) <= max_rows:
        raise ValueError(f"a comparison has 1 to {max_rows} rows, not {len(specs)}")
    loaded = {name: load(name) for name in dict.fromkeys(spec.model for spec in specs)}
    models = [loaded[spec.model] for spec in specs]
    kinds = {model.config.data: model.name for model in models}
    if len(kinds) > 1:
        names = " and ".join(f"{name} ({data})" for data, name in kinds.items())
        raise ValueError(f"rows share their noise, so their data must be the same: not {names}")
    return models, [completed(spec, model) for spec, model in zip(specs, models, strict=True)]


def completed(spec: Spec, model: Model) -> Spec:
    """The row with the model's defaults filled in; ValueError if the model does not offer it."""
    own = model.config.defaults
    guidance = own.guidance if spec.guidance is None else spec.guidance
    plan: Plan = checked(model, guidance, spec.solver or own.solver, spec.steps, spec.tolerance)
    return Spec(spec.model, **asdict(plan))


def look(model: Model, spec: Spec, samples: Samples) -> Row:
    """A row with the classifier's verdict, where there is a classifier and a class was asked for."""
    referee = judge(model.config.data)
    right = referee and referee.right(samples.images, samples.labels)
    return Row(spec, model.config.method, samples, right)


def measure(row: Row, model: Model, watch: Watch = lambda rows: None) -> Row:
    """The row with straightness, distance to the reference solution and warm timing.

    The first two depend on the flow alone and are kept for a while, since rows share them. `rmse`
    stays None where the reference solution cannot be had. Of a network that is not followed only the
    run is timed.
    """
    if not model.is_followed:
        return replace(row, warm_seconds=row.samples.seconds)
    asked = followed(model, row.samples)
    straight = straight_of(model, row.samples, watch)
    rmse = None
    with suppress(SolverError):
        target = kept(("x_1", *key_of(model, asked)), lambda: reference(model, asked, watch))
        last = row.samples.trajectory.states[-1, : len(target)]
        rmse = (last - target).square().mean().sqrt().item()
    return replace(
        row, straightness=straight, rmse=rmse, warm_seconds=warm_seconds(model, row.samples, watch)
    )


def straight_of(model: Model, samples: Samples, watch: Watch) -> float:
    """Straightness along the first eight samples, which everybody who asked for the same shares."""
    key = key_of(model, followed(model, samples))
    return kept(("S", *key), lambda: straightness_of(model, samples, 8, watch))


def key_of(model: Model, asked: dict[str, Any]) -> tuple[str, ...]:
    """What the flow of a request depends on."""
    return (model.name, model.revision, *map(str, asked.values()))


def followed(model: Model, samples: Samples) -> dict[str, Any]:
    """The request for the first FOLLOWED of these samples: a reference costs much."""
    asked = {key: samples.settings[key] for key in ("n", "label", "guidance", "seed")}
    asked["n"] = min(asked["n"], FOLLOWED[kind_of(model)])
    if isinstance(asked["label"], list):
        asked["label"] = asked["label"][: asked["n"]]
    return asked


def reference(model: Model, asked: dict[str, Any], watch: Watch) -> Tensor:
    """x_1 of the model's velocity from the same noise, by dopri5 at a tight tolerance.

    For a MeanFlow network the velocity is u(x, t, t).
    """
    solver, tolerance = REFERENCE
    how = {"solver": solver, "tolerance": tolerance, "keep_trajectory": False, "watch": watch}
    return sample(model, **asked, **how).trajectory.states[-1]


def kept(key: tuple, compute: Callable[[], Any]) -> Any:
    """What was computed for that key before, or now."""
    if key not in _KEPT:
        made = compute()
        with _LOCK:
            while len(_KEPT) >= MAX_KEPT:
                _KEPT.pop(next(iter(_KEPT)))  # the oldest
            _KEPT[key] = made
        return made
    return _KEPT[key]


_KEPT: dict[tuple, Any] = {}  # nothing of a visitor: equal requests have equal results
_LOCK = threading.Lock()


def warm_seconds(model: Model, samples: Samples, watch: Watch) -> float:
    """The median of a few runs after the first; of one run where that takes long."""
    asked = {
        key: value for key, value in samples.settings.items() if key not in ("model", "revision")
    }
    if samples.seconds > TIMING_SECONDS:
        return samples.seconds
    return statistics.median(
        sample(model, **asked, keep_trajectory=False, watch=watch).seconds for _ in range(TIMINGS)
    )


def as_dict(row: Row) -> dict[str, Any]:
    """The numbers of a row; what was not measured is None."""
    return asdict(row.spec) | {
        "revision": row.samples.settings["revision"],
        "nfe": row.samples.nfe,
        "seconds": row.seconds,
        "class_accuracy": row.accuracy,
        "straightness": row.straightness,
        "rmse": row.rmse,
    }
