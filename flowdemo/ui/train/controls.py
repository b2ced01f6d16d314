"""The controls of the Train tab: where pictures come from, and what is asked for."""

import base64
import html
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from flowdemo import settings
from flowdemo.training.finetune import FROZEN, FineTuning
from flowdemo.ui.shared.models import configs
from flowdemo.ui.shared.runner import Components
from flowdemo.ui.shared.work import Stopped, Switch, spoken
from flowdemo.ui.train import text as train_text
from flowdemo.ui.train import view as train
from flowdemo.ui.train.pictures import Basket, Reading, sheet
from flowdemo.ui.train.view import config_of

HERE = Path(__file__).parent
NEW_CLASS = "my symbol"  # the class that is offered for a drawing
MAX_DRAWING = 1_000_000  # characters


@dataclass(frozen=True)
class Gathered(Components):
    """What every addition changes."""

    said: gr.HTML
    sheet: gr.HTML
    name: gr.Dropdown
    gone: gr.Dropdown
    tools: gr.Row


@dataclass(frozen=True)
class Sources:
    """Where pictures come from."""

    pad: gr.HTML
    draw: gr.Button
    files: gr.File
    upload: gr.Button
    place: gr.Textbox
    most: gr.Slider
    read: gr.Button
    halts: list[gr.Button]


def layout_sources() -> Sources:
    """A pad, files, and data sets."""
    with gr.Tabs(elem_id="f-sources"):
        with gr.Tab("Draw"):
            pad, draw = drawing_pad()
        with gr.Tab("Upload"):
            gr.Markdown(train_text.UPLOAD_HELP, elem_classes="fd-caption")
            files = gr.File(
                label="Pictures or zip files", file_count="multiple", height=140,
                file_types=["image", ".zip"], elem_id="f-files",
            )  # fmt: skip
            with gr.Row():
                upload = gr.Button("Add files", elem_id="f-upload", min_width=80)
                wait = gr.Button("Stop", elem_id="f-wait", min_width=70)
        public = settings.is_public()
        with gr.Tab("Data set" if public else "Data set or folder"):
            help_ = train_text.PLACE_HELP_PUBLIC if public else train_text.PLACE_HELP
            place = gr.Textbox(label="Name", info=help_, elem_id="f-place")
            largest = min(5000, settings.max_pictures((1, 28, 28)))
            most = gr.Slider(
                10, largest, 500, step=10, precision=0, label="Pictures at most", elem_id="f-most"
            )
            with gr.Row():
                read = gr.Button("Add", elem_id="f-read", min_width=80)
                halt = gr.Button("Stop", elem_id="f-halt", min_width=70)
    return Sources(pad, draw, files, upload, place, most, read, [wait, halt])


def drawing_pad() -> tuple[gr.HTML, gr.Button]:
    """Where a symbol is drawn, and the button that adds it."""
    template, script = ((HERE / f"draw.{kind}").read_text() for kind in ("html", "js"))
    pad = gr.HTML("", html_template=template, js_on_load=script, elem_id="f-pad")
    return pad, gr.Button("Add drawing", elem_id="f-draw")


def layout_plan(model: str) -> list[gr.components.Component]:
    """What a `FineTuning` says, in the order of `train.plan_of`."""
    own, (most, seconds) = FineTuning("x"), settings.max_tuning()
    usual = train.usual_steps(configs()[model])
    name = gr.Textbox(train.fresh_name(model), label="Name of the result", elem_id="f-name")
    steps = gr.Slider(
        10,
        min(most, 2000),
        usual,
        step=10,
        precision=0,
        label="Steps",
        elem_id="f-steps",
    )
    with gr.Accordion("How", open=False, elem_id="f-how"):
        rate = gr.Number(own.learning_rate, label="Learning rate", elem_id="f-rate")
        frozen = gr.Radio(
            list(FROZEN), value=own.frozen, label=train_text.FROZEN_TITLE, elem_id="f-frozen"
        )
        seed = gr.Number(own.seed, label="Seed", precision=0, minimum=0, elem_id="f-seed")
        minutes = gr.Slider(
            1, seconds // 60, min(20, seconds // 60), step=1, label="Minutes at most",
            elem_id="f-minutes",
        )  # fmt: skip
    return [name, steps, rate, frozen, seed, minutes]


def layout_gathered(said: gr.HTML, classes: gr.Dropdown) -> tuple[Gathered, list[gr.Button]]:
    """The contact sheet, and what takes pictures away again."""
    gr.Markdown("#### Your pictures")
    gr.Markdown(train_text.SHEET, elem_classes="fd-caption")
    sheet = gr.HTML("", elem_id="f-sheet")
    small = {"size": "sm", "min_width": 90}
    with gr.Row(visible=False, elem_classes="fd-tools") as tools:
        undo = gr.Button("Undo the last", elem_id="f-undo", **small)
        clear = gr.Button("Clear", elem_id="f-clear", **small)
        gone = gr.Dropdown(
            [], label="Class to remove", show_label=False, container=False, min_width=120,
            allow_custom_value=True, elem_id="f-gone",
        )  # fmt: skip
        drop = gr.Button("Remove this class", elem_id="f-drop", **small)
    return Gathered(said, sheet, classes, gone, tools), [undo, clear, drop]


def gathered(basket: Basket, model: str, said: str) -> list[Any]:
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
        return [*gathered(basket, model, said if dropped else ""), *wished]


def add_drawing(basket: Basket, model: str, name: str, pad: str | None) -> list[Any]:
    """One more drawing of the class, a PNG as a data address; the pad is empty again."""
    with spoken():
        basket.suit(config_of(model))
        basket.draw(drawing_of(pad or ""), name or "")
        return [*gathered(basket, model, ""), ""]


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
                    yield [*gathered(basket, model, skipped(state.broken)), *more]
        except Stopped:
            yield [*gathered(basket, model, "Stopped."), *same]
        except (ValueError, OSError):
            yield [*gathered(basket, model, ""), *same]
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
        return gathered(basket, model, "")


def clear(basket: Basket, model: str) -> list[Any]:
    """Without any pictures."""
    with spoken():
        basket.parts = []
        return gathered(basket, model, "")


def drop(basket: Basket, model: str, name: str) -> list[Any]:
    """Without a class."""
    with spoken():
        basket.drop(name or "")
        return gathered(basket, model, "")
