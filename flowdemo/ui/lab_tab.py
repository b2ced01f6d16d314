"""The layout and the wiring of the 2-D Lab."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from flowdemo.data import DATASETS
from flowdemo.solvers import FIXED
from flowdemo.ui import lab_look_tab, lab_text, lab_train_tab, text
from flowdemo.ui.controls import Start, start
from flowdemo.ui.events import (
    LATEST,
    MEASURE,
    PRIVATE,
    PROMPT,
    QUICK,
    RUN,
    Components,
    begin_run,
    randomized,
    stop_run,
)
from flowdemo.ui.generate import ANY
from flowdemo.ui.generate_events import guidable
from flowdemo.ui.lab import MAX_POINTS
from flowdemo.ui.lab_desk import Desk, titles
from flowdemo.ui.lab_events import (
    Results,
    choose_data,
    label_choices,
    measure,
    open_link,
    opened,
    press,
    press_linked,
    refresh,
    take_drawing,
    take_table,
)
from flowdemo.ui.player import player
from flowdemo.ui.work import Switch

HERE = Path(__file__).parent
FIRST = "moons"


@dataclass(frozen=True)
class Controls(Components):
    """The components, in the order of `Asked`."""

    data: gr.Radio
    shown: gr.CheckboxGroup
    n: gr.Slider
    label: gr.Radio
    guidance: gr.Slider
    solver: gr.Dropdown
    steps: gr.Slider
    seed: gr.Number


@dataclass(frozen=True)
class Own(Components):
    """Where one's own points come from."""

    box: gr.Column
    pad: gr.HTML
    take_drawing: gr.Button
    file: gr.File
    table: gr.Textbox
    take_table: gr.Button


@dataclass(frozen=True)
class Runs:
    """How the tab runs: by one visitor's switch and desk, with what the controls say."""

    switch: gr.State
    desk: gr.State
    controls: Controls
    results: Results

    def after(self, event: Callable[..., Any], work: Callable[..., Any] = press) -> None:
        """Runs `work` at an event, and then measures what it showed."""
        inputs, status = [self.switch, self.desk, *self.controls.all], self.results.status
        done = event(work, inputs, self.results.all, show_progress_on=status, **RUN)
        slow = {"show_progress": "hidden", **LATEST, **MEASURE}
        done.success(measure, [self.switch, self.results.made], self.results.table, **slow)


def build(demo: gr.Blocks, tab: gr.Tab, tabs: gr.Tabs) -> gr.State:
    """The tab; its first films are made when it is first opened. Returns the visitor's desk."""
    desk = gr.State(Desk())
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            controls, own = layout_controls()
            begin = start("Show", "l-")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(lab_text.LAB, elem_classes="fd-caption")
            films = player("", "l-player")
            table = gr.HTML("", elem_id="l-table", elem_classes="fd-scroll")
            link = gr.HTML("", elem_id="l-link")
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(lab_text.EXPLAIN_LAB)
    results = Results(begin.status, films, table, link, gr.State(None))
    runs = Runs(gr.State(Switch()), desk, controls, results)
    wire(runs, begin, own)
    wire_opening(demo, tab, tabs, runs, own)
    with gr.Tabs(elem_id="l-more"):
        with gr.Tab("Train live"):
            lab_train_tab.build(desk, controls.data, controls.shown, runs.after)
        lab_look_tab.build(desk, controls.data)
    return desk


def layout_controls() -> tuple[Controls, Own]:
    """Data, one's own points, and what all panels share."""
    sets = [(d.title, name) for name, d in DATASETS.items() if not d.is_image]
    data = gr.Radio(sets, value=FIRST, label="Data", elem_id="l-data")
    own = layout_own()
    known = titles(FIRST, Desk())
    shown = gr.CheckboxGroup(known, value=known[:4], label="Models", elem_id="l-shown")
    label = gr.Radio(label_choices(FIRST), value=ANY, label="Class", elem_id="l-label")
    guidance = gr.Slider(
        1, 4, 1, step=0.1, label="CFG weight", interactive=False, elem_id="l-guidance"
    )
    solver = gr.Dropdown(
        list(FIXED), value="euler", label="Solver of velocities", elem_id="l-solver"
    )
    steps = gr.Slider(1, 100, 20, step=1, precision=0, label="Steps", elem_id="l-steps")
    n = gr.Slider(10, MAX_POINTS, 500, step=10, precision=0, label="Points", elem_id="l-n")
    seed = gr.Number(42, label="Seed", precision=0, minimum=0, elem_id="l-seed")
    return Controls(data, shown, n, label, guidance, solver, steps, seed), own


def layout_own() -> Own:
    """A pad to draw on, and a table to bring."""
    with gr.Column(visible=False, elem_id="l-own") as box:
        gr.Markdown(lab_text.PAD, elem_classes="fd-caption")
        pad = gr.HTML(
            "",
            html_template=(HERE / "pad.html").read_text(),
            js_on_load=(HERE / "pad.js").read_text(),
            elem_id="l-pad",
        )
        draw = gr.Button("Take the drawing", size="sm", elem_id="l-take-drawing")
        file = gr.File(label="A CSV file", file_types=[".csv", ".txt"], height=90, elem_id="l-file")
        table = gr.Textbox(
            label="or its text", info=lab_text.TABLE_HELP, lines=3, max_lines=6, elem_id="l-csv"
        )
        take = gr.Button("Take the table", size="sm", elem_id="l-take-table")
    return Own(box, pad, draw, file, table, take)


def wire(runs: Runs, begin: Start, own: Own) -> None:
    """What happens when something is pressed or chosen."""
    switch, desk, controls = runs.switch, runs.desk, runs.controls
    seed = [switch, begin.randomize, controls.seed]
    runs.after(begin.go.click(randomized, seed, controls.seed, **QUICK).success)
    offered = [own.box, controls.shown, controls.label, controls.guidance]
    chosen = controls.data.input(choose_data, [switch, desk, controls.data], offered, **PROMPT)
    runs.after(chosen.success)
    taken = [begin.status, controls.shown]
    drawing = own.take_drawing.click(take_drawing, [switch, desk, own.pad], taken, **PROMPT)
    given = [switch, desk, own.file, own.table]
    table = own.take_table.click(take_table, given, [*taken, own.file], **PROMPT)
    for event in (drawing, table):
        runs.after(event.success)
    for control in controls.all[1:]:
        old = control.input(begin_run, switch, None, **QUICK)  # nobody waits for what is old
        runs.after(old.success)
    controls.label.input(guidable, controls.label, controls.guidance, **QUICK)
    begin.stop.click(stop_run, switch, begin.status, **QUICK)


def wire_opening(demo: gr.Blocks, tab: gr.Tab, tabs: gr.Tabs, runs: Runs, own: Own) -> None:
    """What happens when the tab or a link to it is opened."""
    controls, status = runs.controls, runs.results.status
    known = [runs.desk, controls.data, controls.shown]
    tab.select(refresh, known, controls.shown, **QUICK)
    runs.after(tab.select, opened)
    linked = demo.load(open_link, None, [own.box, *controls.all, status, tabs], **PRIVATE)
    runs.after(linked.success, press_linked)
