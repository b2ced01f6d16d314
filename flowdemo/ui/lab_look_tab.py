"""Three more looks of the 2-D Lab: layout, wiring and events."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import gradio as gr

from flowdemo.couplings import COUPLINGS
from flowdemo.paths import PATHS
from flowdemo.ui import events, lab_text, text
from flowdemo.ui.events import QUICK, RUN, begin_run, stop_run
from flowdemo.ui.lab_desk import EXACT, Desk, titles
from flowdemo.ui.lab_look import Look, back_to_noise, likelihood, two_kinds
from flowdemo.ui.player import player
from flowdemo.ui.work import Switch, in_background

OUTPUTS = 3  # status, what is shown, words
FIRST = "moons"


def build(desk: gr.State, data: gr.Radio) -> None:
    """Three sub-tabs about the data that is chosen above."""
    with gr.Tab("Two kinds of path"):
        gr.Markdown(lab_text.TWO_KINDS, elem_classes="fd-caption")
        with gr.Row():
            path = gr.Radio(list(PATHS), value="linear", label="Path", elem_id="p-path")
            coupling = gr.Radio(
                list(COUPLINGS), value="independent", label="Coupling", elem_id="p-coupling"
            )
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="p-seed")
        look(desk, data, [path, coupling, seed], show_kinds, film, "p-")
    with gr.Tab("Back to noise"):
        gr.Markdown(lab_text.BACK, elem_classes="fd-caption")
        with gr.Row():
            title = model_choice(desk, data, "b-model")
            seed = gr.Number(0, label="Seed of the points", precision=0, minimum=0)
        look(desk, data, [title, seed], show_back, film, "b-")
    with gr.Tab("Likelihood"):
        gr.Markdown(lab_text.LIKELIHOOD, elem_classes="fd-caption")
        with gr.Row():
            title = model_choice(desk, data, "k-model")
            x, y = (gr.Number(0.0, label=name, elem_id=f"k-{name}") for name in "xy")
        look(desk, data, [title, x, y], show_likelihood, plot, "k-")


def film(prefix: str) -> gr.HTML:
    return player("", f"{prefix}player")


def plot(prefix: str) -> gr.Plot:
    return gr.Plot(show_label=False, visible=False, elem_id=f"{prefix}plot")


def model_choice(desk: gr.State, data: gr.Radio, elem_id: str) -> gr.Dropdown:
    """A model of the chosen data; what there is, is asked when it is opened."""
    title = gr.Dropdown(
        titles(FIRST, Desk()), value=EXACT, label="Model", allow_custom_value=True, elem_id=elem_id
    )
    title.focus(offer, [desk, data, title], title, **QUICK)
    data.change(offer, [desk, data, title], title, **QUICK)
    return title


def offer(desk: Desk, data: str, title: str) -> Any:
    """The models of the data; the chosen one stays if it is one of them."""
    known = titles(data, desk)
    return gr.update(choices=known, value=title if title in known else known[0])


def look(
    desk: gr.State,
    data: gr.Radio,
    values: list[gr.components.Component],
    show: Callable[..., Iterator[list[Any]]],
    place: Callable[[str], gr.components.Component],
    prefix: str,
) -> None:
    """The buttons of a look, what it shows, and what it says about it."""
    with gr.Row():
        go = gr.Button("Show", variant="primary", elem_id=f"{prefix}go", min_width=100)
        stop = gr.Button("Stop", elem_id=f"{prefix}stop", min_width=80)
    status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id=f"{prefix}status")
    words = gr.Markdown("", elem_id=f"{prefix}words")
    shown, switch = place(prefix), gr.State(Switch())
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(lab_text.EXPLAIN_LOOKS)
    go.click(begin_run, switch, None, **QUICK).then(
        show, [switch, desk, data, *values], [status, shown, words],
        show_progress_on=status, **RUN,
    )  # fmt: skip
    stop.click(stop_run, switch, status, **QUICK)


def show_kinds(
    switch: Switch, desk: Desk, data: str, path: str, coupling: str, seed: float | None
) -> Iterator[list[Any]]:
    """Conditional and marginal paths."""

    work = partial(two_kinds, data, desk, path, coupling, int(seed or 0))
    found = in_background(work, switch.wanted())
    yield from shown_as(switch, (state for state in found if isinstance(state, Look)))


def show_back(
    switch: Switch, desk: Desk, data: str, title: str, seed: float | None
) -> Iterator[list[Any]]:
    """Points back to noise."""
    yield from shown_as(switch, back_to_noise(data, desk, title, int(seed or 0), switch.wanted()))


def show_likelihood(
    switch: Switch, desk: Desk, data: str, title: str, x: float | None, y: float | None
) -> Iterator[list[Any]]:
    """The likelihood of a point and of the plane."""
    point = (float(x or 0), float(y or 0))
    yield from shown_as(switch, likelihood(data, desk, title, point, switch.wanted()))


def shown_as(switch: Switch, states: Iterator[str | Look]) -> Iterator[list[Any]]:
    yield from events.press(switch, chain(states, [text.IDLE]), fields, OUTPUTS)


def fields(found: Look) -> list[Any]:
    """A look in the order of the outputs."""
    return [gr.skip(), gr.update(value=found.shown, visible=True), found.words]
