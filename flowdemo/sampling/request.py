"""What to sample: one request, whichever door it comes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from flowdemo.config.options import MAX_STEPS
from flowdemo.core.solvers import SOLVERS
from flowdemo.methods import AVERAGE
from flowdemo.model import Model

ALL, ANY = "all", "any"
MAX_SAMPLES = {"image": 4096, "points": 200_000}
MAX_SEED = 2**63 - 1
TOLERANCES, DEFAULT_TOLERANCE = (1e-6, 1e-1), 1e-3
STEPS_OF_A_VELOCITY = 20  # default of a MeanFlow network that is solved as a velocity field
NAMED = 20  # classes that a message names
Label = int | str | Sequence[int] | None
# Field -> its type, of what a link may say.
QUERY: dict[str, type] = {
    "n": int, "label": str, "guidance": float, "solver": str, "steps": int, "tolerance": float,
    "seed": int,
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What to sample; None is the checkpoint's own default.

    `label` is a class by number or by name, several of them as numbers or as text ("1,2,3"), "all"
    (the classes in turn) or "any" (the empty label, without guidance). `guidance` is the CFG weight.
    An adaptive solver takes a `tolerance` instead of steps. The noise of sample i depends on
    (seed, i) alone.
    """

    model: str = ""
    n: int | None = None
    label: Label = None
    guidance: float | None = None
    solver: str | None = None
    steps: int | None = None
    tolerance: float | None = None
    seed: int | None = None

    def __str__(self) -> str:
        """MODEL:solver:steps:guidance, or MODEL:solver@tolerance:guidance, of a completed request."""
        how = f":{self.steps}" if self.tolerance is None else f"@{self.tolerance:g}"
        return f"{self.model}:{self.solver}{how}:{self.guidance:g}"

    @classmethod
    def parse(cls, text: str, **shared: Any) -> Request:
        """MODEL[:solver[:steps]][:guidance] or MODEL:solver@tolerance[:guidance]; else ValueError."""
        model, *rest = text.strip().split(":")
        form = f"'{text}' is not of the form MODEL:solver:steps[:guidance]"
        if not model or len(rest) > 3:
            raise ValueError(form)
        solver, _, tolerance = (rest.pop(0) if rest else "").partition("@")
        try:
            steps = int(rest.pop(0)) if rest and not is_adaptive(solver) else None
            guidance = float(rest.pop(0)) if rest else None
            allowed = float(tolerance) if tolerance else None
        except ValueError as error:
            raise ValueError(f"{form} ({error})") from error
        if rest:
            raise ValueError(f"{form}: {solver} takes no steps; write {solver}@1e-4")
        how = {"solver": solver or None, "steps": steps, "tolerance": allowed, "guidance": guidance}
        return cls(model, **how, **shared)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Request:
        """The request in a link's query; ValueError for a number that is none."""
        given = {key: kind(query[key]) for key, kind in QUERY.items() if key in query}
        return cls(query.get("model", ""), **given)

    def query(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """The fields of a link to a completed request, the class by its name."""
        fields = vars(self) | {"label": self.label_text(classes)}
        return {key: value for key, value in fields.items() if value is not None}

    def label_text(self, classes: tuple[str, ...]) -> str:
        """The label of a completed request as controls and links have it."""
        if isinstance(self.label, str):
            return self.label
        labels = [self.label] if isinstance(self.label, int) else self.label
        return ",".join(classes[label] for label in labels)

    def completed(self, model: Model, backward: bool = False) -> Request:
        """The request with the model's defaults filled in; ValueError names the first wrong value.

        This is the only place that checks what is asked of a model. `backward` is for going from data
        to noise.
        """
        config, own = model.config, model.config.defaults
        if config.only_inverts and not backward:
            raise ValueError(
                f"{model.name} only goes from data to noise, in one step: invert with it"
            )
        n = within("n", or_else(self.n, usual_n(model)), (1, MAX_SAMPLES[model.kind]))
        seed = within("seed", or_else(self.seed, 0), (0, MAX_SEED))
        solver = self.solver or own.solver
        if solver not in model.solvers:
            raise ValueError(
                f"{model.name} offers no solver '{solver}', but {', '.join(model.solvers)}"
            )
        guidance = within("guidance", or_else(self.guidance, own.guidance), config.guidance)
        steps, tolerance = self._steps_or_tolerance(model, solver)
        label = checked_label(label_of(self.label, config.classes), n, model)
        return Request(self.model or model.name, n, label, guidance, solver, steps, tolerance, seed)

    def _steps_or_tolerance(self, model: Model, solver: str) -> tuple[int | None, float | None]:
        if is_adaptive(solver):
            if self.steps is not None:
                raise ValueError(f"'{solver}' chooses its steps; give a tolerance instead")
            tolerance = or_else(self.tolerance, DEFAULT_TOLERANCE)
            return None, within("tolerance", tolerance, TOLERANCES)
        if self.tolerance is not None:
            raise ValueError(f"'{solver}' takes steps, not a tolerance")
        steps, fixed = or_else(self.steps, default_steps(model, solver)), model.config.fixed_steps
        if fixed not in (None, steps):
            raise ValueError(f"{model.name} makes {fixed} step(s), not {steps}")
        return within("steps", steps, (1, MAX_STEPS)), None

    def labels(self, classes: int) -> Tensor:
        """The labels (n,) int64 of a completed request for so many classes."""
        if self.label == ANY:
            return torch.full((self.n,), classes)
        if self.label == ALL:
            return torch.arange(self.n) % classes
        return torch.tensor([self.label] * self.n if isinstance(self.label, int) else self.label)

    def first(self, most: int) -> Request:
        """The completed request for its first `most` samples alone."""
        n = min(self.n, most)
        label = self.label[:n] if isinstance(self.label, tuple) else self.label
        return replace(self, n=n, label=label)

    def evaluations(self, model: Model) -> int | None:
        """Network evaluations that one sample of a completed request takes; None if it adapts."""
        if self.steps is None:
            return None
        return self.steps * evaluations_per_step(model, self.solver, self.guidance)


def or_else(value: Any, default: Any) -> Any:
    return default if value is None else value


def within(name: str, value: float, bounds: tuple[float, float]) -> float:
    """The value; ValueError if it lies outside the bounds."""
    if not bounds[0] <= value <= bounds[1]:
        raise ValueError(f"{name} must lie in [{bounds[0]:g}, {bounds[1]:g}], not {value:g}")
    return value


def is_adaptive(solver: str) -> bool:
    """Whether this is a solver that chooses its own steps."""
    return solver in SOLVERS and SOLVERS[solver].adaptive


def usual_n(model: Model) -> int:
    """How many samples are drawn by default; a decoder takes seconds for each."""
    if not model.is_image:
        return 500
    return 4 if model.config.decoder else 16


def default_steps(model: Model, solver: str) -> int:
    """The model's own steps, also for another solver unless its own is the MeanFlow step."""
    own = model.config.defaults
    return own.steps if own.solver == solver or own.solver != AVERAGE else STEPS_OF_A_VELOCITY


def evaluations_per_step(model: Model, solver: str, guidance: float) -> int:
    """Network evaluations that a fixed step of a guided sample costs."""
    twice = guidance != 1 and not model.config.net.guidance
    return (1 if solver == AVERAGE else SOLVERS[solver].evaluations) * (2 if twice else 1)


def label_of(label: Label, classes: tuple[str, ...]) -> int | str | tuple[int, ...]:
    """A label in any form as a number, several numbers, "all" or "any"."""
    if label is None:
        return ALL
    if not isinstance(label, str):
        return label if isinstance(label, int) else tuple(label)
    if label in classes:
        return classes.index(label)
    if label in (ALL, ANY):
        return label
    numbers = []
    for part in label.split(","):
        if part not in classes and not part.lstrip("-").isdigit():
            some = ", ".join([*classes[:NAMED], *(["..."] if len(classes) > NAMED else [])])
            raise ValueError(f"no class '{part}'; there are: {some}, all, any")
        numbers.append(classes.index(part) if part in classes else int(part))
    return tuple(numbers) if len(numbers) > 1 else numbers[0]


def checked_label(label: int | str | tuple, n: int, model: Model) -> int | str | tuple:
    """The label; ValueError names what is not a class."""
    if isinstance(label, str):
        return label
    labels, classes = [label] if isinstance(label, int) else label, len(model.config.classes)
    if isinstance(label, tuple) and len(labels) != n:
        raise ValueError(f"{len(labels)} labels were given for {n} samples")
    if wrong := [x for x in labels if not isinstance(x, int) or not 0 <= x < classes]:
        raise ValueError(
            f"no class {wrong[0]!r}; {model.name} has 0 to {classes - 1}, 'all', 'any'"
        )
    return label
