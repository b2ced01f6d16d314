"""The layout and the wiring of the Compare tab."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from flowdemo.ui import compare_controls, invert_tab, near_box, text
from flowdemo.ui.compare_controls import Controls, first_comparison
from flowdemo.ui.compare_events import (
    Results,
    beside,
    choose_data,
    choose_preset,
    export_rows,
    fetch,
    fetch_linked,
    measure,
    nearest,
    open_link,
    opened,
    press,
    press_linked,
)
from flowdemo.ui.controls import Start, start
from flowdemo.ui.events import (
    HUB,
    LANE,
    LATEST,
    MEASURE,
    PRIVATE,
    PROMPT,
    QUICK,
    RUN,
    Place,
    randomized,
    stop_run,
)
from flowdemo.ui.models import by_data
from flowdemo.ui.player import player
from flowdemo.ui.work import Switch


def build(demo: gr.Blocks, tab: gr.Tab, tabs: gr.Tabs) -> Place:
    """The tab; its first comparison is made when it is first opened."""
    data = next(iter(by_data()))
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            controls, offer = compare_controls.build(first_comparison(data), data, tab)
            begin = start("Compare", "c-")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(text.COMPARE, elem_classes="fd-caption")
            films = player("", "c-player")
            table = gr.HTML("", elem_id="c-table", elem_classes="fd-scroll")
            link, made = files_and_link()
            left, right, slider, near = a_and_b()
    panels = quality_panels()
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN_COMPARE)
    with gr.Accordion("Inversion: a digit back to noise", open=False, elem_id="c-invert"):
        invert_tab.build()
    results = Results(begin.status, films, table, *panels, link, left, right, made)

    def show_beside(event: Callable[..., Any]) -> None:
        event(beside, [made, left, right], slider, **QUICK)
        event(nearest, [made, right], near, **PROMPT)

    for changed in (left.change, right.change):
        show_beside(changed)
    switch = gr.State(Switch())
    after = wire(demo, (tab, tabs, switch), (controls, begin), results, show_beside)
    return Place(switch, controls, after, offer)


def files_and_link() -> tuple[gr.HTML, gr.State]:
    """The link to the rows, their export, and the rows that it exports."""
    made = gr.State([], time_to_live=3600)
    with gr.Row():
        link = gr.HTML("", elem_id="c-link")
        export = gr.Button(text.EXPORT_ROWS, elem_id="c-export", size="sm")
    files = gr.File(label="Files", file_count="multiple", visible=False, elem_id="c-files")
    export.click(export_rows, made, files, **PRIVATE, **LANE)
    return link, made


def a_and_b() -> tuple[gr.Dropdown, gr.Dropdown, gr.ImageSlider, list[gr.blocks.Block]]:
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
        near = near_box.build(None, "c-")
    return left, right, slider, near


def quality_panels() -> list[gr.Plot]:
    """Distance, accuracy and milliseconds over NFE."""
    gr.Markdown("#### Quality over NFE")
    with gr.Row():
        panels = [
            gr.Plot(show_label=False, elem_id=f"c-{name}", min_width=300)
            for name in ("distance", "accuracy", "timing")
        ]
    gr.Markdown(text.QUALITY, elem_classes="fd-caption")
    return panels


def wire(
    demo: gr.Blocks, page: tuple[gr.Tab, gr.Tabs, gr.State], place: tuple[Controls, Start],
    results: Results, show_beside: Callable[[Any], None],
) -> Callable[[Any], None]:  # fmt: skip
    """What happens when something is pressed, chosen or opened; returns what runs after an event."""
    (tab, tabs, switch), (controls, begin) = page, place
    values = controls.values
    waiting, here = {"show_progress_on": results.status, **RUN}, {"show_progress": "hidden", **HUB}

    def shown(run: Any) -> None:
        slow = {"show_progress": "hidden", **LATEST, **MEASURE}
        run.success(measure, [switch, results.made], results.measured, **slow)
        show_beside(run.success)

    def after(event: Any) -> None:
        had = event.success(fetch, [switch, controls.rows], results.status, **here)
        shown(had.success(press, [switch, *values], results.all, **waiting))

    after(
        begin.go.click(randomized, [switch, begin.randomize, controls.seed], controls.seed, **QUICK)
    )
    shown(tab.select(opened, [switch, results.made, *values], results.all, **waiting))
    for control, choose in ((controls.data, choose_data), (controls.preset, choose_preset)):
        picked = [switch, controls.data, controls.preset, *values]
        after(control.input(choose, picked, controls.all, **PROMPT))
    linked = demo.load(open_link, None, [*controls.all, results.status, tabs], **PRIVATE)
    had = linked.success(fetch_linked, [switch, controls.rows], results.status, **here)
    shown(had.success(press_linked, [switch, *values], results.all, **waiting))
    begin.stop.click(stop_run, switch, results.status, **QUICK)
    return after
