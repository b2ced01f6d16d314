"""The Train tab and its wiring."""

import os

import gradio as gr

from flowdemo import settings
from flowdemo.ui import (
    shelf_events,
    text,
    train,
    train_events,
    train_layout,
    train_open,
    train_text,
)
from flowdemo.ui.controls import names_for
from flowdemo.ui.events import LATEST, PRIVATE, PROMPT, QUICK, TRAIN, Place, begin_run, stop_run
from flowdemo.ui.models import configs
from flowdemo.ui.train_layout import Gathered, Shown, Sources
from flowdemo.ui.train_pictures import Basket
from flowdemo.ui.work import Switch

PICTURES = {"concurrency_limit": 2, "concurrency_id": "pictures"}  # reading decodes for seconds


def build(tab: gr.Tab, tabs: gr.Tabs, desk: gr.State, generate: Place, compare: Place) -> None:
    """The tab; where nothing may be trained it says why."""
    if not settings.may_train():
        gr.Markdown(train_text.REFUSED, elem_id="f-refused")
        if "SPACE_ID" in os.environ:
            gr.DuplicateButton(elem_id="f-duplicate")
        return
    basket, first = gr.State(Basket()), train.offered()[0]
    with gr.Row(elem_classes="fd-main fd-two fd-natural"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            model, classes = layout_start(first)
            sources = train_layout.sources()
            said = gr.HTML(train_text.NOTHING, elem_classes="fd-status", elem_id="f-said")
            wish = train_layout.wish(first)
            with gr.Row():
                go = gr.Button("Start", variant="primary", elem_id="f-go", min_width=100)
                stop = gr.Button("Stop", elem_id="f-stop", min_width=80)
            status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id="f-status")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(train_text.TRAIN, elem_classes="fd-caption")
            gathered, buttons = train_layout.gathered(said, classes)
            shown = train_layout.results(status, wish[0], desk)
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(train_text.EXPLAIN)
    wire_sources(sources, (basket, model), gathered, buttons, wish[:2])
    done = wire_run((go, stop), [basket, model, *wish], shown)
    for event in (tab.select, done.then):
        event(train_open.refresh, model, model, **QUICK)
    wire_result(done, shown, (tabs, desk), generate, compare)


def layout_start(first: str) -> tuple[gr.Dropdown, gr.Dropdown]:
    """The checkpoint, and the class of the pictures that are added next."""
    custom = {"allow_custom_value": True}
    model = gr.Dropdown(
        names_for(train.offered()), value=first, label="Checkpoint", elem_id="f-model", **custom
    )
    classes = gr.Dropdown(
        list(configs()[first].classes), value=train_events.FRESH, elem_id="f-class",
        label="Class of your pictures", info=train_text.CLASS_HELP, **custom,
    )  # fmt: skip
    return model, classes


def wire_run(
    buttons: tuple[gr.Button, gr.Button], asked: list[gr.components.Component], shown: Shown
) -> gr.events.Dependency:
    """Start and Stop; returns the end of a run."""
    (go, stop), switch, status = buttons, gr.State(Switch()), shown.results.status
    number = gr.Number(visible="hidden")  # goes with the press: a state is read at the run's turn
    stop.click(stop_run, switch, status, **QUICK)
    return go.click(train_events.begin, [switch, asked[0]], number, **QUICK).then(
        train_events.press, [switch, number, *asked], shown.results.all, show_progress_on=status,
        **LATEST, **TRAIN,
    )  # fmt: skip


def wire_result(
    done: gr.events.Dependency, shown: Shown, page: tuple[gr.Tabs, gr.State], generate: Place,
    compare: Place,
) -> None:  # fmt: skip
    """The result in the other tabs: there to choose after a run, and opened at a press."""
    (tabs, desk), name = page, shown.results.name
    if shown.sent is not None:
        done.then(shelf_events.offer_to_send, [desk, name], shown.sent, **QUICK)
    for place, button, show in (
        (generate, shown.generate, train_open.open_in_generate),
        (compare, shown.compare, train_open.open_in_compare),
    ):
        place.offer(done.then)
        changed = [tabs, *place.controls.all]
        place.after(button.click(show, [place.switch, name], changed, **PROMPT))


def wire_sources(
    sources: Sources, own: tuple[gr.State, gr.Dropdown], gathered: Gathered,
    buttons: list[gr.Button], wished: list[gr.components.Component],
) -> None:  # fmt: skip
    """What adds pictures and takes them away."""
    model, known_ = own[1], [*own]
    named = [*known_, gathered.name]
    model.input(train_events.choose_model, known_, [*gathered.all, *wished], **PROMPT)
    added = sources.draw.click(
        train_events.add_drawing, [*named, sources.pad], [*gathered.all, sources.pad], **PROMPT
    )
    refused = "() => { document.dispatchEvent(new Event('fd-drawing-refused')); }"
    added.failure(None, None, None, js=refused, **PRIVATE)
    reading = gr.State(Switch())  # a training may go on meanwhile
    for button, work, given, more in (
        (sources.upload, train_events.add_files, [sources.files], [sources.files]),
        (sources.read, train_events.add_place, [sources.place, sources.most], []),
    ):
        button.click(begin_run, reading, None, **QUICK).then(
            work, [reading, *named, *given], [*gathered.all, *more],
            show_progress_on=gathered.said, **LATEST, **PICTURES,
        )  # fmt: skip
    for halt in sources.halts:
        halt.click(train_events.halt, reading, None, **QUICK)
    works = (train_events.undo, train_events.clear, train_events.drop)
    for button, work in zip(buttons, works, strict=True):
        given = [*known_, gathered.gone] if work is train_events.drop else known_
        button.click(work, given, gathered.all, **PROMPT)
