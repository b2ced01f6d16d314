"""The Train tab: a checkpoint learns one's own pictures, shown while it does."""

import math
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from flowdemo import checkpoints, settings
from flowdemo.checkpoints import visitors
from flowdemo.config.checkpoint import ModelConfig
from flowdemo.methods import METHODS, colour_of
from flowdemo.model import Model
from flowdemo.sampling.run import sample
from flowdemo.training.finetune import (
    FineTuning,
    Rehearsal,
    Snapshot,
    Tuned,
    completed,
    finetune,
    refusal,
)
from flowdemo.training.trainer import Progress
from flowdemo.ui.generate.view import NOTHING, number_list
from flowdemo.ui.shared import visitor as own
from flowdemo.ui.shared.models import CHEAP, configs, label_of, load, operations_of
from flowdemo.ui.shared.runner import Tab, or_skip
from flowdemo.ui.shared.thumbnails import strips
from flowdemo.ui.shared.work import Stopped, Wanted, fresh_folder, yielding
from flowdemo.ui.train.pictures import Basket

COLUMNS, SIDE, NEW, OLD = 8, 84, 4, 3  # of the samples that are drawn meanwhile
SEED, STEPS = 9_000, 12
COSTLIEST = 3 * CHEAP  # operations of a network that strangers may train
EVERY, SHARE = 2.0, 0.15  # seconds between two drawings, and their largest share of the time
POINTS = 300  # of the curve


@dataclass(frozen=True)
class Curve:
    """(step, loss, raw error), running means, thinned out as they get many."""

    points: tuple[tuple[int, float, float], ...] = ()
    mean: tuple[float, float] | None = None
    every: int = 1

    def then(self, progress: Progress) -> "Curve":
        """The curve after one more step."""
        now = (progress.loss, progress.error)
        if not all(map(math.isfinite, now)):  # a step that was left out
            return self
        old = self.mean or now
        mean = tuple(0.95 * a + 0.05 * b for a, b in zip(old, now, strict=True))
        points, every = self.points, self.every
        if progress.step % every == 0 or not points:
            points = (*points, (progress.step, *mean))
        if len(points) > POINTS:
            points, every = points[::2], 2 * every
        return Curve(points, mean, every)


@dataclass(frozen=True)
class View:
    """What is shown of a run; None where nothing is new. `name` is that of the saved checkpoint."""

    curve: Curve
    samples: str | None = None
    numbers: str | None = None
    name: str | None = None
    report: dict[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True)
class Asked:
    """A training that a visitor asks for; it may have to wait for its turn."""

    plan: FineTuning
    model: str
    basket: Basket


def offered() -> list[str]:
    """The checkpoints here that can be fine-tuned, one-step digits first."""
    names = [name for name, config in configs().items() if refusal(config) is None]
    here = {*checkpoints.folders(), *own.names()}
    return sorted((n for n in names if n in here), key=lambda name: name != "mnist-meanflow")


def fresh_name(model: str) -> str:
    """ "mnist-meanflow-mine", "mnist-meanflow-mine-2" and so on: a name that is not taken."""
    first = own.plain(model).split("/")[-1].split("@")[0][:48].lower()
    return free(f"{re.sub('-mine(-[0-9]+)?$', '', first)}-mine")


def usual_steps(config: ModelConfig) -> int:
    """What its method usually takes, within what this app allows."""
    return min(settings.max_tuning()[0], completed(FineTuning("x"), config).steps)


def free(name: str) -> str:
    """The name, with a number behind it if it is taken, also by a result of this visitor."""
    mine = set(map(own.plain, own.names()))
    longest = visitors.LONGEST if settings.is_public() else 64
    names = chain([name[:longest]], (f"{name[: longest - 4]}-{k}" for k in count(2)))
    return next(each for each in names if not (each in mine or checkpoints.is_taken(each)))


def allowed(plan: FineTuning) -> FineTuning:
    """The plan within what this app allows; ValueError if it asks for more, or for anything."""
    if not settings.may_train():
        raise ValueError(
            "nothing is trained on pictures here: duplicate this Space or run FlowDemo yourself; "
            "who serves it may set FLOWDEMO_ALLOW_TRAINING=1"
        )
    most, seconds = settings.max_tuning()
    if plan.steps > most:
        raise ValueError(f"at most {most} steps here, not {plan.steps}")
    if plan.seconds is not None and not plan.seconds > 0:
        raise ValueError("the minutes must be more than 0")
    checkpoints.check_name(plan.name)
    if settings.is_public():  # said before the work rather than after it
        visitors.make_room(checkpoints.TRAINED / checkpoints.VISITORS)
    return replace(plan, seconds=min(plan.seconds or seconds, seconds))


def start_of(name: str) -> Model:
    """The checkpoint that is to learn; ValueError if its steps cost more than this app allows."""
    model = load(name)
    if settings.is_public() and (model.is_large or operations_of(model) > COSTLIEST):
        raise ValueError(
            f"{name} is too large to be trained on this public page: choose a smaller checkpoint, "
            "or run FlowDemo yourself"
        )
    # What a visitor made goes on without the part of its name that is that visitor's secret.
    return replace(model, config=model.config.model_copy(update={"name": own.plain(name)}))


def run(asked: Asked, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """A run, shown while it goes on; its last view names the checkpoint that was saved.

    `Stopped` if it was not wanted any more before anything was learnt; afterwards the best is
    saved, and where nobody looks any more the newest. ValueError says what cannot be trained.
    """
    plan = allowed(asked.plan)
    if not wanted():
        raise Stopped
    origin = start_of(asked.model)
    pictures, labels = asked.basket.lesson(origin.config)
    seen, calm = Seen(Clock(plan.seconds)), yielding(lambda rows: None)
    try:
        with closing(finetune(plan, origin, pictures, labels, wanted)) as states:
            for state in states:
                if seen.latest is None and not wanted():
                    raise Stopped
                yield from seen.views(state, labels)
                calm(0)  # a timed run of somebody else goes first
        yield "Saving ..."
    except GeneratorExit:  # the page was closed, or its connection was lost
        if seen.model is not None and not settings.is_public():
            keep(seen.model, plan.name)
        raise
    yield finished(state, plan, labels, seen.curve, seen.latest)


class Clock:
    """Schedules drawing (every few seconds, at most a small share of the time) and estimates the rest.

    `seconds`, if any, are those after which the run ends, counted from here.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.due, self.seconds, self.began = 0.0, seconds, time.perf_counter()
        self.first: tuple[int, float] | None = None  # step and time of the first that was told

    def said(self, progress: Progress) -> str:
        """Progress in words, with the time that is left, drawing and all."""
        now = time.perf_counter()
        step, then = self.first = self.first or (progress.step, now)
        done = progress.step - step
        each = (now - then) / done if done else progress.seconds / progress.step
        left = each * (progress.steps - progress.step)
        if self.seconds is not None:
            left = min(left, max(0.0, self.began + self.seconds - now))
        return f"Step {progress.step} of {progress.steps}, about {left:.0f} s left"

    def draw(self, make: Callable[[], str]) -> str | None:
        """What `make` returns, or None if it is not the time yet."""
        began = time.perf_counter()
        if began < self.due:
            return None
        made = make()
        now = time.perf_counter()
        self.due = now + max(EVERY, (now - began) / SHARE)
        return made


@dataclass
class Seen:
    """What there is to show of a run so far: the newest step, and the newest model."""

    clock: Clock
    curve: Curve = field(default_factory=Curve)
    latest: Progress | None = None
    model: Model | None = None

    def views(
        self, state: Rehearsal | Progress | Snapshot | Tuned, labels: list[str]
    ) -> Iterator[str | View]:
        """Words and a view, where that state is worth them."""
        if isinstance(state, Rehearsal):
            yield rehearsing(state)
        elif isinstance(state, Progress):
            self.curve, self.latest = self.curve.then(state), state
        else:
            self.model = state.model
        if isinstance(state, Snapshot):
            yield self.clock.said(state.progress)
            yield View(self.curve, self.clock.draw(lambda: drawn(state.model, labels)))


def rehearsing(state: Rehearsal) -> str:
    """What happens before the first step, in words."""
    if state.made == state.wanted:
        return "Measuring how many samples of the old classes are right ..."
    return f"Rehearsing what it knows: {state.made} of {state.wanted} classes"


def drawn(model: Model, labels: list[str]) -> str:
    """Samples of the classes that are learnt, and of a few old ones, each from the same noise."""
    new = list(dict.fromkeys(labels))[:NEW]
    old = [name for name in model.config.classes if name not in labels][:OLD]
    classes = [model.config.classes.index(name) for name in (*new, *old)]
    numbers = [label for label in classes for _ in range(COLUMNS)]
    solver = METHODS[model.config.method].own_solver
    how = {"solver": solver, "steps": 1 if model.config.net.end_time else STEPS}
    w = model.config.defaults.guidance
    made = sample(model, len(numbers), numbers, w, seed=SEED, keep_trajectory=False, **how).images
    lines = zip((*new, *old), made.split(COLUMNS), strict=True)
    return strips(
        {f"{name}{' (learning)' * (name in new)}": rows for name, rows in lines}, COLUMNS, SIDE
    )


def finished(
    tuned: Tuned, plan: FineTuning, labels: list[str], curve: Curve, last: Progress
) -> View:
    """The end: the checkpoint saved, and what it cost."""
    name, model = keep(tuned.model, plan.name), tuned.model
    report = {
        "name": name,
        "classes": list(model.config.classes),
        "accuracy_before": tuned.before,
        "accuracy_after": tuned.after,
        "steps": last.step,
        "kept_step": tuned.step,
        "seconds": round(last.seconds, 1),
        "images_seen": model.config.training["images_seen"],
    }
    words = f"Done: {label_of(name)} stands in Generate and Compare now."
    if tuned.note:
        words = f"{tuned.note[:1].upper()}{tuned.note[1:]}. {words}"
    return View(curve, drawn(model, labels), numbers(report, model), name, report, words)


def keep(model: Model, name: str) -> str:
    """Saves the model, on a public page for this visitor alone; the name by which it is loaded."""
    if not settings.is_public():
        name = free(name)
        checkpoints.save_as(model, name)
        return name
    secret = checkpoints.save_for_visitor(model, free(name))
    own.remember(secret)
    return secret


def numbers(report: dict[str, Any], model: Model) -> str:
    """The same as cells, as Generate has them."""
    before, after = report["accuracy_before"], report["accuracy_after"]
    cells = {
        "old classes right, before": NOTHING if before is None else f"{before:.1%}",
        "after": NOTHING if after is None else f"{after:.1%}",
        "steps": str(report["steps"]),
        "kept, the best": f"step {report['kept_step']}",
        "time": f"{report['seconds']:g} s",
        "images seen": f"{report['images_seen']:,}",
    }
    note = "" if before is not None else "<p>No classifier here knows exactly the old classes.</p>"
    return number_list(cells, colour_of(model.config.method)) + note


def read(number: int | None, basket: Basket, model: str, *values: Any) -> Asked:
    """What the controls ask for; of the pictures those that were there at the press `number`."""
    config_of(model)
    return Asked(plan_of(values), model, basket.asked or basket)


def plan_of(values: tuple[Any, ...]) -> FineTuning:
    """The values of the controls: name, steps, learning rate, what is frozen, seed, minutes."""
    name, steps, learning_rate, frozen, seed, minutes = values
    return FineTuning(
        (name or "").strip(), int(steps or 0), float(learning_rate or 0), frozen,
        seed=int(seed or 0), seconds=60 * float(minutes or 0) or None,
    )  # fmt: skip


def config_of(model: str) -> ModelConfig:
    """The description of a checkpoint that can be fine-tuned; ValueError for any other."""
    if model not in offered():
        raise ValueError(f"{model or 'this'} cannot be fine-tuned: choose one of the list")
    return configs()[model]  # also of one whose weights are broken


def curve_table(key: str) -> Callable[[View], Any]:
    """Loss or raw error as a table.

    It comes with the samples: curves that are drawn every second take a browser half of the machine.
    """

    def table(view: View) -> Any:
        if view.samples is None:
            return gr.skip()
        points = pd.DataFrame(view.curve.points, columns=["step", "loss", "error"])
        return points[["step", key]]

    return table


def once_saved(make: Callable[[str], Any]) -> Callable[[View], Any]:
    """What is shown of the saved checkpoint, by its name; until then it stays as it is."""
    return lambda view: gr.skip() if view.name is None else make(view.name)


def zipped(name: str, folder: Path) -> str:
    """The files of a checkpoint as one zip file."""
    label = own.plain(name)
    file = folder / f"{label}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for part in sorted(checkpoints.folder_of(name).iterdir()):
            archive.write(part, f"{label}/{part.name}")
    return str(file)


VIEW: dict[str, Callable[[View], Any]] = {
    "box": lambda view: gr.update(visible=True),
    "loss": curve_table("loss"),
    "error": curve_table("error"),
    "samples": lambda view: or_skip(view.samples),
    "numbers": lambda view: view.numbers or "",
    # A checkpoint that was made before can be opened until there are steps.
    "after": lambda view: gr.update(visible=view.name is not None),
    "files": once_saved(lambda name: zipped(name, fresh_folder())),
    "name": once_saved(lambda name: fresh_name(configs()[name].finetune.start)),
}
TAB = Tab(read, run, VIEW)
