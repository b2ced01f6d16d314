"""The layout and the wiring of the Compare tab."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from flowdemo.ui.compare import controls as compare_controls
from flowdemo.ui.compare import invert
from flowdemo.ui.compare.controls import choose_data, choose_preset
from flowdemo.ui.compare.view import TAB, beside, export_rows, nearest
from flowdemo.ui.shared import nearest as near
from flowdemo.ui.shared import text
from flowdemo.ui.shared.models import by_data
from flowdemo.ui.shared.player import player
from flowdemo.ui.shared.runner import LANE, PRIVATE, PROMPT, QUICK, Place, Runner, start_buttons


def build(demo: gr.Blocks, tab: gr.Tab, tabs: gr.Tabs) -> Place:
    """The tab; its first comparison is made when it is first opened."""
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            controls, offer = compare_controls.build(next(iter(by_data())), tab)
            start = start_buttons("Compare", "c-")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(text.COMPARE, elem_classes="fd-caption")
            outputs = {
                "films": player("", "c-player"),
                "table": gr.HTML("", elem_id="c-table", elem_classes="fd-scroll"),
            }
            with gr.Row():
                outputs["link"] = gr.HTML("", elem_id="c-link")
                export = gr.Button(text.EXPORT_ROWS, elem_id="c-export", size="sm")
            files = gr.File(label="Files", file_count="multiple", visible=False, elem_id="c-files")
            outputs["left"], outputs["right"], slider, fold = a_and_b()
    outputs |= quality_panels()
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN_COMPARE)
    with gr.Accordion("Inversion: a digit back to noise", open=False, elem_id="c-invert"):
        invert.build()
    runner = Runner(TAB, controls.values, outputs, start.status)
    export.click(export_rows, runner.shown, files, **PRIVATE, **LANE)

    def show_beside(event: Callable[..., Any]) -> None:
        event(beside, [runner.shown, outputs["left"], outputs["right"]], slider, **QUICK)
        event(nearest, [runner.shown, outputs["right"]], fold, **PROMPT)

    for changed in (outputs["left"].change, outputs["right"].change):
        show_beside(changed)
    runs = [runner.start(start, controls.seed), runner.on_select(tab)]
    for control, choose in ((controls.data, choose_data), (controls.preset, choose_preset)):
        picked = [runner.switch, controls.data, controls.preset, *controls.values[1:]]
        chosen = control.input(choose, picked, controls.all, **PROMPT)
        runs.append(runner.after(chosen.success))
    for run in (*runs, runner.on_load(demo, controls.all, tabs)):
        show_beside(run.success)
    return Place(runner, controls, offer)


def a_and_b() -> tuple[gr.Dropdown, gr.Dropdown, gr.ImageSlider, list[Any]]:
    """Two rows under one handle, and the nearest real images of the second."""
    late = {"allow_custom_value": True}  # the choice may be of the rows before
    with gr.Accordion("A/B: two rows on top of each other", open=False, elem_id="c-ab"):
        gr.Markdown(text.AB, elem_classes="fd-caption")
        with gr.Row():
            left = gr.Dropdown([], label="A", elem_id="c-left", **late)
            right = gr.Dropdown([], label="B", elem_id="c-right", **late)
        slider = gr.ImageSlider(
            show_label=False, format="png", type="pil", interactive=False, buttons=[],
            elem_classes="fd-samples", elem_id="c-slider",
        )  # fmt: skip
        fold = near.fold(None, "c-")
    return left, right, slider, list(fold.values())


def quality_panels() -> dict[str, gr.Plot]:
    """Distance, accuracy and milliseconds over NFE."""
    gr.Markdown("#### Quality over NFE")
    with gr.Row():
        panels = {
            name: gr.Plot(show_label=False, elem_id=f"c-{name}", min_width=300)
            for name in ("distance", "accuracy", "timing")
        }
    gr.Markdown(text.QUALITY, elem_classes="fd-caption")
    return panels
