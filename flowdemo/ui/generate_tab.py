"""The layout and the wiring of the Generate tab."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from flowdemo.ui import controls, near_box, text
from flowdemo.ui.controls import Controls, Start, find_class, first_choice
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
from flowdemo.ui.generate import View, run
from flowdemo.ui.generate_events import (
    Results,
    choose,
    export_run,
    fetch,
    fetch_linked,
    follow,
    guidable,
    linked,
    measure,
    open_link,
    press,
    refresh,
    show_solver,
)
from flowdemo.ui.player import player
from flowdemo.ui.work import Switch


def build(demo: gr.Blocks, tab: gr.Tab) -> Place:
    """The tab with its first picture in it."""
    choice = first_choice()
    *_, view = run(choice)
    with gr.Row(elem_classes="fd-main"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            chosen = controls.build(choice)
            start = controls.start("Generate")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            picture, film = samples(view)
        with gr.Column(scale=2, min_width=220, elem_classes="fd-side"):
            numbers, link, made = side(view)
        with gr.Column(scale=9, min_width=300, elem_classes="fd-plots"), gr.Row():
            trajectories, caption, rates = plots(view)
    near = near_box.build(view.near)
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN)
    shown = (picture, film, numbers, trajectories, rates, link, caption, *near)
    results = Results(start.status, *shown, made)
    switch = gr.State(Switch())
    after = wire(demo, switch, (chosen, start), gr.State(view.samples), results)

    def offer(event: Callable[..., Any]) -> None:
        event(refresh, chosen.model, [chosen.data, chosen.method, chosen.model], **QUICK)

    offer(tab.select)
    return Place(switch, chosen, after, offer)


def samples(view: View) -> tuple[gr.Image, gr.HTML]:
    """The final samples and their film."""
    picture = gr.Image(
        view.picture, show_label=False, format="png", type="pil", interactive=False,
        elem_classes="fd-samples", elem_id="picture", buttons=[],
    )  # fmt: skip
    gr.Markdown(text.PLAYER, elem_classes="fd-caption")
    return picture, player(view.film, "player")


def side(view: View) -> tuple[gr.HTML, gr.HTML, gr.State]:
    """Numbers, link, and the run that is exported."""
    # Kept as long as the page is open: what expires is reset to its first value, another run.
    made = gr.State(view.samples)
    numbers = gr.HTML(view.numbers, elem_id="numbers")
    link = gr.HTML(view.link, elem_id="link")
    export = gr.Button(text.EXPORT, elem_id="export", size="sm")
    files = gr.File(label="Files", file_count="multiple", visible=False, elem_id="files")
    export.click(export_run, made, files, **PRIVATE, **LANE)
    return numbers, link, made


def plots(view: View) -> tuple[gr.Plot, gr.Markdown, gr.Plot]:
    """Trajectories over their caption, and beside them speed and turning."""
    with gr.Column(min_width=280):
        gr.Markdown("#### Trajectories")
        trajectories = gr.Plot(view.trajectories, show_label=False, elem_id="trajectories")
        caption = gr.Markdown(view.caption, elem_classes="fd-caption")
    with gr.Column(min_width=280):
        gr.Markdown("#### Speed and turning")
        rates = gr.Plot(view.rates, show_label=False, elem_id="rates")
        gr.Markdown(text.RATES, elem_classes="fd-caption")
    return trajectories, caption, rates


def wire(
    demo: gr.Blocks, switch: gr.State, place: tuple[Controls, Start], first: gr.State,
    results: Results,
) -> Callable[[Any], None]:  # fmt: skip
    """What happens when something is pressed, moved or opened; returns what runs after an event."""
    (chosen, start), values = place, place[0].values
    waiting = {"show_progress_on": results.status, **RUN}  # the place in the queue
    here = {"show_progress": "hidden", **HUB}

    def measured(run_: Any) -> None:
        run_.success(
            measure, [switch, results.made], results.numbers, show_progress="hidden",
            **LATEST, **MEASURE,
        )  # fmt: skip

    def after(event: Any) -> None:
        had = event.success(fetch, [switch, chosen.model], results.status, **here)
        had.success(refresh, chosen.model, [chosen.data, chosen.method, chosen.model], **QUICK)
        measured(had.success(press, [switch, *values], results.all, **waiting))

    after(start.go.click(randomized, [switch, start.randomize, chosen.seed], chosen.seed, **QUICK))
    for control in (chosen.data, chosen.method, chosen.model):
        picked = [switch, chosen.data, chosen.method, *values]
        after(control.input(choose, picked, chosen.all, **PROMPT))
    opened = demo.load(open_link, None, [*chosen.all, results.status], **PRIVATE)
    had = opened.success(fetch_linked, [switch, chosen.model], results.status, **here)
    measured(had.success(linked, [switch, first, *values], results.all, **waiting))
    wire_controls(switch, chosen, results)
    start.stop.click(stop_run, switch, results.status, **QUICK)
    return after


def wire_controls(switch: gr.State, chosen: Controls, results: Results) -> None:
    """What moves without a press: what is offered, and the picture of a cheap run."""
    chosen.label.input(guidable, chosen.label, chosen.guidance, **QUICK)
    looked_up = chosen.find.input(find_class, chosen.find, chosen.label, **QUICK)
    chosen.solver.input(show_solver, chosen.values, chosen.all, **PROMPT)
    moving = {"trigger_mode": "always_last", "show_progress": "hidden", **PRIVATE, **LANE}
    for control in (chosen.guidance, chosen.label, chosen.n, chosen.steps, chosen.seed):
        control.input(follow, [switch, *chosen.values], results.all, **moving)
    looked_up.then(follow, [switch, *chosen.values], results.all, **moving)
