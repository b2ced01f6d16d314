"""The layout and the wiring of the 2-D Lab."""

import gradio as gr

from flowdemo.ui.generate.controls import guidable
from flowdemo.ui.lab import controls as lab_controls
from flowdemo.ui.lab import looks
from flowdemo.ui.lab import text as lab_text
from flowdemo.ui.lab import train as lab_train
from flowdemo.ui.lab.controls import Controls, Own
from flowdemo.ui.lab.view import TAB
from flowdemo.ui.lab.workspace import Workspace
from flowdemo.ui.shared import text
from flowdemo.ui.shared.player import player
from flowdemo.ui.shared.runner import PROMPT, QUICK, Runner, Start, begin_run, start_buttons


def build(demo: gr.Blocks, tab: gr.Tab, tabs: gr.Tabs) -> gr.State:
    """The tab; its first films are made when it is first opened. Returns the visitor's workspace."""
    workspace = gr.State(Workspace())
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            controls, own = lab_controls.build()
            start = start_buttons("Show", "l-")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(lab_text.LAB, elem_classes="fd-caption")
            outputs = {
                "films": player("", "l-player"),
                "table": gr.HTML("", elem_id="l-table", elem_classes="fd-scroll"),
                "link": gr.HTML("", elem_id="l-link"),
            }
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(lab_text.EXPLAIN_LAB)
    runner = Runner(TAB, [workspace, *controls.all], outputs, start.status)
    wire(runner, workspace, controls, start, own)
    known = [workspace, controls.data, controls.shown]
    tab.select(lab_controls.refresh, known, controls.shown, **QUICK)
    runner.on_select(tab)
    runner.on_load(demo, [own.box, *controls.all], tabs)
    with gr.Tabs(elem_id="l-more"):
        with gr.Tab("Train live"):
            lab_train.build(workspace, controls.data, controls.shown, runner.after)
        looks.build(workspace, controls.data)
    return workspace


def wire(runner: Runner, workspace: gr.State, controls: Controls, start: Start, own: Own) -> None:
    """What happens when something is pressed or chosen."""
    switch = runner.switch
    runner.start(start, controls.seed)
    offered = [own.box, controls.shown, controls.label, controls.guidance]
    given = [switch, workspace, controls.data]
    chosen = controls.data.input(lab_controls.choose_data, given, offered, **PROMPT)
    taken = [start.status, controls.shown]
    given = [switch, workspace, own.pad]
    drawing = own.take_drawing.click(lab_controls.take_drawing, given, taken, **PROMPT)
    given = [switch, workspace, own.file, own.table]
    table = own.take_table.click(lab_controls.take_table, given, [*taken, own.file], **PROMPT)
    for event in (chosen, drawing, table):
        runner.after(event.success)
    for control in controls.all[1:]:
        old = control.input(begin_run, switch, None, **QUICK)  # nobody waits for what is old
        runner.after(old.success)
    controls.label.input(guidable, controls.label, controls.guidance, **QUICK)
