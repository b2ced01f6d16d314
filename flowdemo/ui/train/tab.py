"""The layout and the wiring of the Train tab."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from flowdemo import checkpoints, settings
from flowdemo.sampling.request import ALL, Request
from flowdemo.ui.compare import controls as compare_controls  # fmt: skip
from flowdemo.ui.generate import controls  # fmt: skip
from flowdemo.ui.generate.controls import names_for
from flowdemo.ui.models import events as shelf_events  # fmt: skip
from flowdemo.ui.models import tab as shelf_tab  # fmt: skip
from flowdemo.ui.shared import text  # fmt: skip
from flowdemo.ui.shared.models import configs, known
from flowdemo.ui.shared.runner import (
    LATEST,
    PRIVATE,
    PROMISED,
    PROMPT,
    QUICK,
    TRAIN,
    Place,
    Runner,
    begin_run,
    go_and_stop,
    status_line,
    stop_run,
)
from flowdemo.ui.shared.work import Switch, spoken
from flowdemo.ui.train import controls as train_controls  # fmt: skip
from flowdemo.ui.train import text as train_text  # fmt: skip
from flowdemo.ui.train import view as train  # fmt: skip
from flowdemo.ui.train.controls import Gathered, Sources
from flowdemo.ui.train.pictures import Basket
from flowdemo.ui.train.view import TAB, View

PICTURES = {"concurrency_limit": 2, "concurrency_id": "pictures"}  # reading decodes for seconds


@dataclass(frozen=True)
class Ending:
    """What can be pressed at the end of a run; `sent` is the model to push, if any."""

    generate: gr.Button
    compare: gr.Button
    sent: gr.Dropdown | None


def build(tab: gr.Tab, tabs: gr.Tabs, workspace: gr.State, generate: Place, compare: Place) -> None:
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
            sources = train_controls.layout_sources()
            said = gr.HTML(train_text.NOTHING, elem_classes="fd-status", elem_id="f-said")
            plan = train_controls.layout_plan(first)
            go, stop = go_and_stop("Start", "f-")
            status = status_line("f-")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(train_text.TRAIN, elem_classes="fd-caption")
            gathered, buttons = train_controls.layout_gathered(said, classes)
            outputs, ending = layout_results(workspace)
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(train_text.EXPLAIN)
    wire_sources(sources, (basket, model), gathered, buttons, plan[:2])
    number = gr.Number(visible="hidden")  # goes with the press: a state is read at the run's turn
    runner = Runner(
        TAB, [number, basket, model, *plan], outputs | {"name": plan[0]}, status,
        queue={**LATEST, **TRAIN},
    )  # fmt: skip
    stop.click(stop_run, runner.switch, status, **QUICK)
    pressed = go.click(begin, [runner.switch, basket], number, **QUICK)

    def press(switch: Switch, *values: Any) -> Iterator[list[Any]]:
        yield from run_in_turn(runner, switch, *values)

    done = runner.after(pressed.then, press)
    for event in (tab.select, done.then):
        event(refresh, model, model, **QUICK)
    wire_ending(done, runner, ending, (tabs, workspace), generate, compare)


def layout_start(first: str) -> tuple[gr.Dropdown, gr.Dropdown]:
    """The checkpoint, and the class of the pictures that are added next."""
    custom = {"allow_custom_value": True}
    model = gr.Dropdown(
        names_for(train.offered()), value=first, label="Checkpoint", elem_id="f-model", **custom
    )
    classes = gr.Dropdown(
        list(configs()[first].classes), value=train_controls.NEW_CLASS, elem_id="f-class",
        label="Class of your pictures", info=train_text.CLASS_HELP, **custom,
    )  # fmt: skip
    return model, classes


def layout_results(workspace: gr.State) -> tuple[dict[str, Any], Ending]:
    """Curves, samples, numbers, and what can be done with the result."""
    with gr.Column(visible=False, elem_id="f-run") as box:
        gr.Markdown("#### Training")
        with gr.Row():
            curves = {key: curve_plot(key) for key in ("loss", "error")}
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
        sent = shelf_tab.sending(workspace, "f-")
    outputs = {"box": box, "samples": samples, "numbers": numbers, "after": after, "files": files}
    return outputs | curves, Ending(generate, compare, sent)


def curve_plot(key: str) -> gr.LinePlot:
    """A curve over the steps."""
    return gr.LinePlot(x="step", y=key, title=key, height=180, min_width=200, elem_id=f"f-{key}")


def begin(switch: Switch, basket: Basket) -> int:
    """A new run takes the place of the one before, of what is gathered now; its number."""
    basket.ask()
    return switch.begin()


def run_in_turn(
    runner: Runner, switch: Switch, number: int | None, basket: Basket, *values: Any
) -> Iterator[list[Any]]:
    """The run of that number, which may have waited for its turn."""
    try:
        wanted = switch.wanted(number)
        yield from runner.press(switch, number, basket, *values, wanted=wanted)
    finally:
        if number == switch.newest:  # else the gathered pictures are those of a press that waits
            basket.asked = None


def refresh(model: str) -> Any:
    """The checkpoints to start from: there may be more by now."""
    names = train.offered()
    return gr.update(choices=names_for(names), value=model if model in names else names[0])


def wire_ending(
    done: gr.events.Dependency, runner: Runner, ending: Ending, page: tuple[gr.Tabs, gr.State],
    generate: Place, compare: Place,
) -> None:  # fmt: skip
    """The result in the other tabs: there to choose after a run, and opened at a press."""
    tabs, workspace = page
    if ending.sent is not None:
        offer = shelf_events.offer_to_send
        done.then(offer, [workspace, ending.sent], ending.sent, **QUICK)
    for place, button, show in (
        (generate, ending.generate, open_in_generate),
        (compare, ending.compare, open_in_compare),
    ):
        place.offer(done.then)
        changed = [tabs, *place.controls.all]
        given = [place.runner.switch, runner.shown]
        place.runner.after(button.click(show, given, changed, **PROMPT).success)


def open_in_generate(switch: Switch, view: View) -> list[Any]:
    """The Generate tab with the result, asked for what it learnt."""
    with spoken():
        switch.begin()
        learnt = known(view.name).config.finetune.classes
        label = learnt[0] if len(learnt) == 1 else ALL
        request = replace(controls.default_request(view.name), label=label)
        changes = controls.updates(request.completed(known(view.name)))
        return [gr.Tabs(selected="generate"), *changes]


def open_in_compare(switch: Switch, view: View) -> list[Any]:
    """The Compare tab with the result beside what it was before, in the classes of both."""
    with spoken():
        switch.begin()
        switch.shown = PROMISED
        config = known(view.name).config
        before = [config.finetune.start] if checkpoints.find(config.finetune.start) else []
        rows = [Request(each).completed(known(each)) for each in (*before, view.name)]
        shared = replace(compare_controls.SHARED, n=compare_controls.default_n(config))
        changes = compare_controls.updates(rows, shared, config.data, gr.skip())
        return [gr.Tabs(selected="compare"), *changes]


def wire_sources(
    sources: Sources, own: tuple[gr.State, gr.Dropdown], gathered: Gathered,
    buttons: list[gr.Button], wished: list[gr.components.Component],
) -> None:  # fmt: skip
    """What adds pictures and takes them away."""
    model, named = own[1], [*own, gathered.name]
    choose = train_controls.choose_model
    model.input(choose, [*own], [*gathered.all, *wished], **PROMPT)
    added = sources.draw.click(
        train_controls.add_drawing, [*named, sources.pad], [*gathered.all, sources.pad], **PROMPT
    )
    refused = "() => { document.dispatchEvent(new Event('fd-drawing-refused')); }"
    added.failure(None, None, None, js=refused, **PRIVATE)
    reading = gr.State(Switch())  # a training may go on meanwhile
    for button, work, given, more in (
        (sources.upload, train_controls.add_files, [sources.files], [sources.files]),
        (sources.read, train_controls.add_place, [sources.place, sources.most], []),
    ):
        button.click(begin_run, reading, None, **QUICK).then(
            work, [reading, *named, *given], [*gathered.all, *more],
            show_progress_on=gathered.said, **LATEST, **PICTURES,
        )  # fmt: skip
    for halt in sources.halts:
        halt.click(train_controls.halt, reading, None, **QUICK)
    works = (train_controls.undo, train_controls.clear, train_controls.drop)
    for button, work in zip(buttons, works, strict=True):
        given = [*own, gathered.gone] if work is train_controls.drop else [*own]
        button.click(work, given, gathered.all, **PROMPT)
