"""The layout and the wiring of the Generate tab."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from flowdemo.ui.generate import controls
from flowdemo.ui.generate.controls import Controls, find_class, first_request
from flowdemo.ui.generate.view import TAB, VIEW, export_run, is_live, run
from flowdemo.ui.shared import nearest, text
from flowdemo.ui.shared.player import player
from flowdemo.ui.shared.runner import (
    LANE,
    PRIVATE,
    PROMPT,
    QUICK,
    Place,
    Runner,
    Start,
    start_buttons,
)
from flowdemo.ui.shared.work import Switch, spoken


def build(demo: gr.Blocks, tab: gr.Tab) -> Place:
    """The tab with its first picture in it."""
    request = first_request()
    *_, view = run(request)
    shown = {name: show(view) for name, show in VIEW.items()}
    with gr.Row(elem_classes="fd-main"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            chosen = controls.build(request)
            start = start_buttons("Generate")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            outputs = layout_samples(shown)
        with gr.Column(scale=2, min_width=220, elem_classes="fd-side"):
            outputs |= {
                "numbers": gr.HTML(shown["numbers"], elem_id="numbers"),
                "link": gr.HTML(shown["link"], elem_id="link"),
            }
            export = gr.Button(text.EXPORT, elem_id="export", size="sm", interactive=False)
            files = gr.File(label="Files", file_count="multiple", visible=False, elem_id="files")
        with gr.Column(scale=9, min_width=300, elem_classes="fd-plots"), gr.Row():
            outputs |= layout_plots(shown)
    outputs |= nearest.fold(view.near)
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN)
    runner = Runner(TAB, chosen.values, outputs, start.status, first=view)
    export.click(export_run, runner.shown, files, **PRIVATE, **LANE)
    return wire(demo, tab, runner, chosen, start, export)


def layout_samples(shown: dict[str, Any]) -> dict[str, Any]:
    """The final samples and their film."""
    picture = gr.Image(
        shown["picture"], show_label=False, format="png", type="pil", interactive=False,
        elem_classes="fd-samples", elem_id="picture", buttons=[],
    )  # fmt: skip
    gr.Markdown(text.PLAYER, elem_classes="fd-caption")
    return {"picture": picture, "film": player(shown["film"], "player")}


def layout_plots(shown: dict[str, Any]) -> dict[str, Any]:
    """Trajectories over their caption, and beside them speed and turning."""
    with gr.Column(min_width=280):
        gr.Markdown("#### Trajectories")
        trajectories = gr.Plot(shown["trajectories"], show_label=False, elem_id="trajectories")
        caption = gr.Markdown(shown["caption"], elem_classes="fd-caption")
    with gr.Column(min_width=280):
        gr.Markdown("#### Speed and turning")
        rates = gr.Plot(shown["rates"], show_label=False, elem_id="rates")
        gr.Markdown(text.RATES, elem_classes="fd-caption")
    return {"trajectories": trajectories, "caption": caption, "rates": rates}


def wire(
    demo: gr.Blocks,
    tab: gr.Tab,
    runner: Runner,
    chosen: Controls,
    start: Start,
    export: gr.Button,
) -> Place:
    """What happens when something is pressed, moved or opened."""
    offered = [chosen.data, chosen.method, chosen.model]

    def offer(event: Callable[..., Any]) -> None:
        event(controls.refresh, chosen.model, offered, **QUICK)

    def after(event: Callable[..., Any]) -> None:
        offer(runner.after(event).then)  # the run may have downloaded a model

    offer(tab.select)
    pressed = runner.start(start, chosen.seed)
    offer(pressed.then)
    for control in offered:
        picked = [runner.switch, chosen.data, chosen.method, *chosen.values]
        after(control.input(controls.choose, picked, chosen.all, **PROMPT).success)
    for done in (pressed, runner.on_load(demo, chosen.all)):
        # Before this, the visitor has no run of their own to export.
        done.then(lambda: gr.Button(interactive=True), None, export, **QUICK)
    chosen.label.input(controls.guidable, chosen.label, chosen.guidance, **QUICK)
    chosen.solver.input(controls.show_solver, chosen.values, chosen.all, **PROMPT)
    wire_live(runner, chosen)
    return Place(runner, chosen, offer)


def wire_live(runner: Runner, chosen: Controls) -> None:
    """The picture of a cheap run follows the sliders.

    Its straightness costs far more than the picture and is left to the next press.
    """

    def follow(switch: Switch, *values: Any) -> Iterator[list[Any]]:
        with spoken():
            cheap = is_live(controls.read(*values))
        if cheap:
            switch.begin()
            yield from runner.press(switch, *values, pending=False)
        else:
            yield runner.nothing()

    given = [runner.switch, *chosen.values]
    moving = {"trigger_mode": "always_last", "show_progress": "hidden", **PRIVATE, **LANE}
    for control in (chosen.guidance, chosen.label, chosen.n, chosen.steps, chosen.seed):
        control.input(follow, given, runner.results, **moving)
    looked_up = chosen.find.input(find_class, chosen.find, chosen.label, **QUICK)
    looked_up.then(follow, given, runner.results, **moving)
