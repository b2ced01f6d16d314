"""The Train tab: a checkpoint learns one's own pictures, shown while it does."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

from flowdemo import checkpoints, settings, visitors
from flowdemo.config import ModelConfig
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.plots import METHOD_COLOURS
from flowdemo.sampling import sample
from flowdemo.training.finetune import (
    Rehearsal,
    Snapshot,
    Tuned,
    Wanted,
    Wish,
    completed,
    finetune,
    refusal,
)
from flowdemo.training.trainer import Progress
from flowdemo.ui import own
from flowdemo.ui.models import CHEAP, configs, label_of, load, operations_of
from flowdemo.ui.strips import strips
from flowdemo.ui.train_live import Clock, Curve
from flowdemo.ui.train_pictures import Basket
from flowdemo.ui.work import Stopped, yielding

COLUMNS, SIDE, NEW, OLD = 8, 84, 4, 3  # of the samples that are drawn meanwhile
SEED, STEPS = 9_000, 12
COSTLIEST = 3 * CHEAP  # operations of a network that strangers may train


@dataclass(frozen=True)
class View:
    """What is shown of a run; None where nothing is new. `name` is that of the saved checkpoint."""

    words: str
    curve: Curve | None = None
    samples: str | None = None
    numbers: str | None = None
    name: str | None = None
    report: dict[str, Any] | None = None


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
    return min(settings.max_tuning()[0], completed(Wish("x"), config).steps)


def free(name: str) -> str:
    """The name, with a number behind it if it is taken, also by a result of this visitor."""
    mine = set(map(own.plain, own.names()))
    longest = visitors.LONGEST if settings.is_public() else 64
    names = chain([name[:longest]], (f"{name[: longest - 4]}-{k}" for k in count(2)))
    return next(each for each in names if not (each in mine or checkpoints.is_taken(each)))


def allowed(wish: Wish) -> Wish:
    """The wish within what this app allows; ValueError if it asks for more, or for anything."""
    if not settings.may_train():
        raise ValueError(
            "nothing is trained on pictures here: duplicate this Space or run FlowDemo yourself; "
            "who serves it may set FLOWDEMO_ALLOW_TRAINING=1"
        )
    most, seconds = settings.max_tuning()
    if wish.steps > most:
        raise ValueError(f"at most {most} steps here, not {wish.steps}")
    if wish.seconds is not None and not wish.seconds > 0:
        raise ValueError("the minutes must be more than 0")
    checkpoints.check_name(wish.name)
    if settings.is_public():  # said before the work rather than after it
        visitors.make_room(checkpoints.TRAINED / checkpoints.VISITORS)
    return replace(wish, seconds=min(wish.seconds or seconds, seconds))


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


def run(wish: Wish, model: str, basket: Basket, wanted: Wanted = lambda: True) -> Iterator[View]:
    """A run, shown while it goes on; its last view names the checkpoint that was saved.

    `Stopped` if it was not wanted any more before anything was learnt; afterwards the best is
    saved, and where nobody looks any more the newest. ValueError says what cannot be trained.
    """
    wish = allowed(wish)
    if not wanted():
        raise Stopped
    origin = start_of(model)
    pictures, labels = basket.lesson(origin.config)
    seen, calm = Seen(Clock(wish.seconds)), yielding(lambda rows: None)
    try:
        with closing(finetune(wish, origin, pictures, labels, wanted)) as states:
            for state in states:
                if seen.latest is None and not wanted():
                    raise Stopped
                yield from seen.views(state, labels)
                calm(0)  # a timed run of somebody else goes first
        yield View("Saving ...", seen.curve)
    except GeneratorExit:  # the page was closed, or its connection was lost
        if seen.model is not None and not settings.is_public():
            keep(seen.model, wish.name)
        raise
    yield finished(state, wish, labels, seen.curve, seen.latest)


@dataclass
class Seen:
    """What there is to show of a run so far: the newest step, and the newest model."""

    clock: Clock
    curve: Curve = field(default_factory=Curve)
    latest: Progress | None = None
    model: Model | None = None

    def views(
        self, state: Rehearsal | Progress | Snapshot | Tuned, labels: list[str]
    ) -> Iterator[View]:
        """A view, where that state is worth one."""
        if isinstance(state, Rehearsal):
            yield View(rehearsing(state))
        elif isinstance(state, Progress):
            self.curve, self.latest = self.curve.then(state), state
        else:
            self.model = state.model
        if isinstance(state, Snapshot):
            shown = self.clock.draw(lambda: drawn(state.model, labels))
            yield View(self.clock.said(state.progress), self.curve, shown)


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
    one_step = AVERAGE in model.solvers
    how = {"solver": AVERAGE, "steps": 1} if one_step else {"solver": "euler", "steps": STEPS}
    w = model.config.defaults.guidance
    made = sample(model, len(numbers), numbers, w, seed=SEED, keep_trajectory=False, **how).images
    lines = zip((*new, *old), made.split(COLUMNS), strict=True)
    return strips(
        {f"{name}{' (learning)' * (name in new)}": rows for name, rows in lines}, COLUMNS, SIDE
    )


def finished(tuned: Tuned, wish: Wish, labels: list[str], curve: Curve, last: Progress) -> View:
    """The end: the checkpoint saved, and what it cost."""
    name, model = keep(tuned.model, wish.name), tuned.model
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
    return View(words, curve, drawn(model, labels), numbers(report, model), name, report)


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
        "old classes right, before": "&ndash;" if before is None else f"{before:.1%}",
        "after": "&ndash;" if after is None else f"{after:.1%}",
        "steps": str(report["steps"]),
        "kept, the best": f"step {report['kept_step']}",
        "time": f"{report['seconds']:g} s",
        "images seen": f"{report['images_seen']:,}",
    }
    note = "" if before is not None else "<p>No classifier here knows exactly the old classes.</p>"
    rows = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in cells.items())
    colour = METHOD_COLOURS[model.config.method]
    return f'<dl class="fd-numbers" style="--fd-method: {colour}">{rows}</dl>{note}'
