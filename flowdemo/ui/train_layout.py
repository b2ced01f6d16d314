"""The parts of the Train tab: where pictures come from, what is asked for, and what is shown."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from flowdemo import settings
from flowdemo.training.finetune import FROZEN, Wish
from flowdemo.ui import shelf_tab, train, train_text
from flowdemo.ui.events import Components
from flowdemo.ui.models import configs
from flowdemo.ui.train_events import Results

HERE = Path(__file__).parent


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


def sources() -> Sources:
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


def wish(model: str) -> list[gr.components.Component]:
    """What a `Wish` says, in the order of `wish_of`."""
    own, (most, seconds) = Wish("x"), settings.max_tuning()
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


def gathered(said: gr.HTML, classes: gr.Dropdown) -> tuple[Gathered, list[gr.Button]]:
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


@dataclass(frozen=True)
class Shown:
    """What a run changes, and what can be pressed at its end; `sent` is the model to push, if any."""

    results: Results
    generate: gr.Button
    compare: gr.Button
    sent: gr.Dropdown | None


def results(status: gr.HTML, wished: gr.Textbox, desk: gr.State) -> Shown:
    """Curves, samples, numbers, and what can be done with the result."""
    with gr.Column(visible=False, elem_id="f-run") as box:
        gr.Markdown("#### Training")
        with gr.Row():
            curves = [curve_plot(name) for name in ("loss", "error")]
        samples = gr.HTML("", elem_id="f-samples")
        gr.Markdown(train_text.SAMPLES, elem_classes="fd-caption")
        numbers = gr.HTML("", elem_id="f-numbers")
    with gr.Column(visible=False, elem_id="f-after") as after:
        wide = {"min_width": 130}
        with gr.Row():
            generate = gr.Button(
                "Open in Generate", variant="primary", elem_id="f-generate", **wide
            )
            compare = gr.Button("Open in Compare", elem_id="f-compare", **wide)
            files = gr.DownloadButton("Download", elem_id="f-download", **wide)
        if settings.is_public():
            gr.Markdown(train_text.KEPT_AN_HOUR, elem_classes="fd-caption")
        sent = shelf_tab.sending(desk, "f-")
    shown = (box, *curves, samples, numbers, after, files)
    return Shown(Results(status, *shown, wished, gr.State("")), generate, compare, sent)


def curve_plot(key: str) -> gr.LinePlot:
    """A curve over the steps."""
    return gr.LinePlot(x="step", y=key, title=key, height=180, min_width=200, elem_id=f"f-{key}")
