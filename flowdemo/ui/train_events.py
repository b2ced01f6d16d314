"""What happens in the Train tab when something is pressed, chosen or brought."""

import base64
import html
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from flowdemo.config import ModelConfig
from flowdemo.training.finetune import Wish
from flowdemo.ui import events, train, train_text
from flowdemo.ui.events import Components
from flowdemo.ui.models import configs
from flowdemo.ui.train import View
from flowdemo.ui.train_live import Curve
from flowdemo.ui.train_open import zipped
from flowdemo.ui.train_pictures import Basket, Reading, sheet
from flowdemo.ui.work import Stopped, Switch, fresh_folder, spoken


@dataclass(frozen=True)
class Results(Components):
    """What a run changes."""

    status: gr.HTML
    box: gr.Column
    loss: gr.LinePlot
    error: gr.LinePlot
    samples: gr.HTML
    numbers: gr.HTML
    after: gr.Column
    files: gr.DownloadButton
    wished: gr.Textbox
    name: gr.State


OUTPUTS = len(Results.__dataclass_fields__)
FRESH = "my symbol"  # the class that is offered for a drawing
MAX_DRAWING = 1_000_000  # characters


def config_of(model: str) -> ModelConfig:
    """The description of a checkpoint that can be fine-tuned; ValueError for any other."""
    if model not in train.offered():
        raise ValueError(f"{model or 'this'} cannot be fine-tuned: choose one of the list")
    return configs()[model]  # also of one whose weights are broken


def shown(basket: Basket, model: str, said: str) -> list[Any]:
    """What was gathered: words, the contact sheet, and the classes to choose and to remove."""
    classes, counts = config_of(model).classes, basket.counts
    words = said if not counts else f"{said} {total(counts)}".strip()
    everything = dict.fromkeys([*counts, *classes])
    return [
        html.escape(words) or train_text.NOTHING,
        sheet(basket, classes),
        gr.update(choices=list(everything)),
        gr.update(choices=list(counts), value=next(iter(counts), None)),
        gr.update(visible=bool(counts)),
    ]


def total(counts: dict[str, int]) -> str:
    """How many pictures there are of how many classes."""
    n, classes = sum(counts.values()), len(counts)
    return f"{n} picture{'s' * (n > 1)} of {classes} class{'es' * (classes > 1)}."


def choose_model(basket: Basket, model: str) -> list[Any]:
    """The pictures for another checkpoint, a name for its result, and how many steps it takes."""
    with spoken():
        config = config_of(model)
        dropped = basket.suit(config)
        said = f"{dropped} pictures are dropped: this network sees them otherwise; add them again."
        wished = [train.fresh_name(model), train.usual_steps(config)]
        return [*shown(basket, model, said if dropped else ""), *wished]


def add_drawing(basket: Basket, model: str, name: str, pad: str | None) -> list[Any]:
    """One more drawing of the class, a PNG as a data address; the pad is empty again."""
    with spoken():
        basket.suit(config_of(model))
        basket.draw(drawing_of(pad or ""), name or "")
        return [*shown(basket, model, ""), ""]


def drawing_of(address: str) -> bytes:
    """The picture on the pad; ValueError if there is none."""
    kind, _, content = address.partition(",")
    if kind != "data:image/png;base64" or len(content) > MAX_DRAWING:
        raise ValueError("nothing is drawn: draw a symbol, then add it")
    return base64.b64decode(content)


def add_files(
    switch: Switch, basket: Basket, model: str, name: str, files: list[str] | None
) -> Iterator[list[Any]]:
    """Uploaded pictures and zip files, with signs of life."""
    with spoken():
        basket.suit(config_of(model))
        states = basket.upload([Path(file) for file in files or []], name or "", switch.wanted())
    yield from added(basket, model, states, [None])  # the list of files is empty then


def add_place(
    switch: Switch, basket: Basket, model: str, name: str, where: str, most: int
) -> Iterator[list[Any]]:
    """A data set by name, or a folder of this machine, with signs of life."""
    with spoken():
        basket.suit(config_of(model))
        if not (where or "").strip():
            raise ValueError("name a data set first")
        states = basket.read(where.strip(), name or "", int(most or 1), switch.wanted())
    yield from added(basket, model, states)


def added(
    basket: Basket, model: str, states: Reading, more: Sequence[Any] = ()
) -> Iterator[list[Any]]:
    """An addition as updates of what was gathered, and of `more` when it is done.

    One that is stopped or fails leaves everything as it is.
    """
    same = [gr.skip()] * len(more)
    with spoken(), closing(states):
        try:
            for state in states:
                if isinstance(state, int):
                    yield [f"{state} pictures looked at ...", *[gr.skip()] * 4, *same]
                else:
                    yield [*shown(basket, model, skipped(state.broken)), *more]
        except Stopped:
            yield [*shown(basket, model, "Stopped."), *same]
        except (ValueError, OSError):
            yield [*shown(basket, model, ""), *same]
            raise


def halt(switch: Switch) -> None:
    """Stops the reading, which says so itself."""
    switch.stop()


def skipped(broken: tuple[str, ...]) -> str:
    """What of an addition could not be used."""
    return f"{len(broken)} cannot be used, first {broken[0]}." if broken else ""


def undo(basket: Basket, model: str) -> list[Any]:
    """Without the last addition."""
    with spoken():
        basket.undo()
        return shown(basket, model, "")


def clear(basket: Basket, model: str) -> list[Any]:
    """Without any pictures."""
    with spoken():
        basket.parts = []
        return shown(basket, model, "")


def drop(basket: Basket, model: str, name: str) -> list[Any]:
    """Without a class."""
    with spoken():
        basket.drop(name or "")
        return shown(basket, model, "")


def begin(switch: Switch, basket: Basket) -> int:
    """A new run takes the place of the one before, of what is gathered now; its number."""
    basket.ask()
    return switch.begin()


def press(
    switch: Switch, number: int | None, basket: Basket, model: str, *values: Any
) -> Iterator[list[Any]]:
    """The run of that number as updates of the results; it may have waited for its turn."""
    with spoken():
        config_of(model)
        wish = wish_of(values)
    wanted, asked = switch.wanted(number), basket.asked or basket
    try:
        yield from events.press(switch, train.run(wish, model, asked, wanted), fields, OUTPUTS)
    finally:
        if number == switch.newest:  # else it is that of a press that waits
            basket.asked = None


def wish_of(values: tuple[Any, ...]) -> Wish:
    """The values of the controls: name, steps, learning rate, what is frozen, seed, minutes."""
    name, steps, learning_rate, frozen, seed, minutes = values
    return Wish(
        (name or "").strip(), int(steps or 0), float(learning_rate or 0), frozen,
        seed=int(seed or 0), seconds=60 * float(minutes or 0) or None,
    )  # fmt: skip


def fields(view: View) -> list[Any]:
    """A view in the order of the results; the last is the checkpoint that can be opened.

    What was made before can be opened until there are steps, from which on there will be a new one.
    """
    if view.curve is None:
        return events.said(html.escape(view.words), OUTPUTS)
    # The curves come with the samples: drawn every second they take a browser half of the machine.
    curves = [gr.skip()] * 2 if view.samples is None else frames(view.curve)
    update = [html.escape(view.words), gr.update(visible=True), *curves]
    update += [or_skip(view.samples), view.numbers or ""]
    if view.name is None:
        return [*update, gr.update(visible=False), *[gr.skip()] * 3]
    start = configs()[view.name].finetune.start
    return [
        *update, gr.update(visible=True), zipped(view.name, fresh_folder()),
        train.fresh_name(start), view.name,
    ]  # fmt: skip


def or_skip(value: Any) -> Any:
    return gr.skip() if value is None else value


def frames(curve: Curve) -> list[Any]:
    """Loss and raw error as tables."""
    table = pd.DataFrame(curve.points, columns=["step", "loss", "error"])
    return [table[["step", key]] for key in ("loss", "error")]
