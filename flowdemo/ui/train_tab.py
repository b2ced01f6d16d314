"""The layout and the wiring of the Train tab."""

import os
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from flowdemo import settings
from flowdemo.training.finetune import FROZEN, Wish
from flowdemo.ui import shelf_events, shelf_tab, text, train, train_events, train_text
from flowdemo.ui.controls import names_for
from flowdemo.ui.events import (
    HUB,
    LATEST,
    PROMPT,
    QUICK,
    TRAIN,
    Components,
    Place,
    begin_run,
    stop_run,
)
from flowdemo.ui.models import known
from flowdemo.ui.train_events import FRESH, Results
from flowdemo.ui.train_pictures import Basket
from flowdemo.ui.work import Switch

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Gathered(Components):
    """What every addition changes."""

    said: gr.HTML
    sheet: gr.HTML
    name: gr.Dropdown
    gone: gr.Dropdown
    tools: gr.Row


def build(tab: gr.Tab, tabs: gr.Tabs, desk: gr.State, generate: Place, compare: Place) -> None:
    """The tab; where nothing may be trained it says why."""
    if not settings.may_train():
        gr.Markdown(train_text.REFUSED, elem_id="f-refused")
        if "SPACE_ID" in os.environ:
            gr.DuplicateButton(elem_id="f-duplicate")
        return
    basket, switch = gr.State(Basket()), gr.State(Switch())
    first = train.offered()[0]
    with gr.Row(elem_classes="fd-main fd-two fd-natural"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            model = gr.Dropdown(
                names_for(train.offered()), value=first, label="Checkpoint",
                allow_custom_value=True, elem_id="f-model",
            )  # fmt: skip
            classes = gr.Dropdown(
                list(known(first).config.classes), value=FRESH, label="Class of your pictures",
                info=train_text.CLASS_HELP, allow_custom_value=True, elem_id="f-class",
            )  # fmt: skip
            sources = layout_sources()
            said = gr.HTML(train_text.NOTHING, elem_classes="fd-status", elem_id="f-said")
            wish = layout_wish(first)
            with gr.Row():
                go = gr.Button("Start", variant="primary", elem_id="f-go", min_width=100)
                stop = gr.Button("Stop", elem_id="f-stop", min_width=80)
            status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id="f-status")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(train_text.TRAIN, elem_classes="fd-caption")
            gathered, buttons = layout_gathered(said, classes)
            results, opens, sent = layout_results(status, wish[0], desk)
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(train_text.EXPLAIN)
    wire_sources(sources, (basket, model), gathered, buttons, wish[0])
    begun = go.click(begin_run, switch, None, **QUICK)
    done = begun.then(
        train_events.press, [switch, basket, model, *wish], results.all,
        show_progress_on=status, **LATEST, **TRAIN,
    )  # fmt: skip
    stop.click(stop_run, switch, status, **QUICK)
    for event in (tab.select, done.then):
        event(train_events.refresh, model, model, **QUICK)
    if sent is not None:
        done.then(shelf_events.offer_to_send, [desk, results.name], sent, **QUICK)
    for place, button, show in (
        (generate, opens[0], train_events.open_in_generate),
        (compare, opens[1], train_events.open_in_compare),
    ):
        place.offer(done.then)
        given, changed = [place.switch, results.name], [tabs, *place.controls.all]
        place.after(button.click(show, given, changed, **PROMPT))


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
    halt: gr.Button


def layout_sources() -> Sources:
    """A pad, files, and data sets."""
    with gr.Tabs(elem_id="f-sources"):
        with gr.Tab("Draw"):
            pad = gr.HTML(
                "",
                html_template=(HERE / "draw.html").read_text(),
                js_on_load=(HERE / "draw.js").read_text(),
                elem_id="f-pad",
            )
            draw = gr.Button("Add drawing", elem_id="f-draw")
        with gr.Tab("Upload"):
            gr.Markdown(train_text.UPLOAD_HELP, elem_classes="fd-caption")
            files = gr.File(
                label="Pictures or zip files", file_count="multiple", height=140,
                file_types=["image", ".zip"], elem_id="f-files",
            )  # fmt: skip
            upload = gr.Button("Add files", elem_id="f-upload")
        with gr.Tab("Data set" if settings.is_public() else "Data set or folder"):
            public = settings.is_public()
            help_ = train_text.PLACE_HELP_PUBLIC if public else train_text.PLACE_HELP
            place = gr.Textbox(label="Name", info=help_, elem_id="f-place")
            largest = min(5000, settings.max_pictures((1, 28, 28)))
            most = gr.Slider(
                10, largest, 500, step=10, precision=0, label="Pictures at most", elem_id="f-most"
            )
            with gr.Row():
                read = gr.Button("Add", elem_id="f-read", min_width=80)
                halt = gr.Button("Stop", elem_id="f-halt", min_width=70)
    return Sources(pad, draw, files, upload, place, most, read, halt)


def layout_wish(model: str) -> list[gr.components.Component]:
    """What a `Wish` says, in the order of `wish_of`."""
    own, (most, seconds) = Wish("x"), settings.max_tuning()
    name = gr.Textbox(train.fresh_name(model), label="Name of the result", elem_id="f-name")
    steps = gr.Slider(
        10,
        min(most, 2000),
        min(most, own.steps),
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
            [], show_label=False, container=False, min_width=120, allow_custom_value=True,
            elem_id="f-gone",
        )  # fmt: skip
        drop = gr.Button("Remove this class", elem_id="f-drop", **small)
    return Gathered(said, sheet, classes, gone, tools), [undo, clear, drop]


def layout_results(
    status: gr.HTML, wished: gr.Textbox, desk: gr.State
) -> tuple[Results, list[gr.Button], gr.Dropdown | None]:
    """Curves, samples, numbers, and what can be done with the result."""
    with gr.Column(visible=False, elem_id="f-run") as box:
        gr.Markdown("#### Training")
        with gr.Row():
            loss, error = (curve_plot(name) for name in ("loss", "error"))
        samples = gr.HTML("", elem_id="f-samples")
        gr.Markdown(train_text.SAMPLES, elem_classes="fd-caption")
        numbers = gr.HTML("", elem_id="f-numbers", elem_classes="fd-scroll")
    with gr.Column(visible=False, elem_id="f-after") as after:
        with gr.Row():
            wide = {"min_width": 130}
            opens = [
                gr.Button("Open in Generate", variant="primary", elem_id="f-generate", **wide),
                gr.Button("Open in Compare", elem_id="f-compare", **wide),
            ]
            files = gr.DownloadButton("Download", elem_id="f-download", **wide)
        if settings.is_public():
            gr.Markdown(train_text.KEPT_AN_HOUR, elem_classes="fd-caption")
        sent = shelf_tab.sending(desk, "f-")
    shown = (box, loss, error, samples, numbers, after, files)
    return Results(status, *shown, wished, gr.State("")), opens, sent


def curve_plot(key: str) -> gr.LinePlot:
    """A curve over the steps."""
    return gr.LinePlot(x="step", y=key, title=key, height=180, min_width=200, elem_id=f"f-{key}")


def wire_sources(
    sources: Sources, own: tuple[gr.State, gr.Dropdown], gathered: Gathered,
    buttons: list[gr.Button], wished: gr.Textbox,
) -> None:  # fmt: skip
    """What adds pictures and takes them away."""
    model, known_ = own[1], [*own]
    named = [*known_, gathered.name]
    model.input(train_events.choose_model, known_, [*gathered.all, wished], **PROMPT)
    sources.draw.click(
        train_events.add_drawing, [*named, sources.pad], [*gathered.all, sources.pad], **PROMPT
    )
    sources.upload.click(
        train_events.add_files, [*named, sources.files], [*gathered.all, sources.files], **PROMPT
    )
    reading = gr.State(Switch())  # a training may go on meanwhile
    sources.read.click(begin_run, reading, None, **QUICK).then(
        train_events.add_place, [reading, *named, sources.place, sources.most], gathered.all,
        show_progress_on=gathered.said, **HUB,
    )  # fmt: skip
    sources.halt.click(stop_run, reading, gathered.said, **QUICK)
    works = (train_events.undo, train_events.clear, train_events.drop)
    for button, work in zip(buttons, works, strict=True):
        given = [*known_, gathered.gone] if work is train_events.drop else known_
        button.click(work, given, gathered.all, **PROMPT)
