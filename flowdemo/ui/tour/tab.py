"""The guided tour: layout and wiring."""

import gradio as gr

from flowdemo.ui.shared.player import player
from flowdemo.ui.shared.runner import LANE, PRIVATE, QUICK
from flowdemo.ui.shared.work import spoken
from flowdemo.ui.tour import films as tour
from flowdemo.ui.tour import text as tour_text
from flowdemo.ui.tour.films import film_of


def build(tab: gr.Tab, tabs: gr.Tabs) -> None:
    """Six steps, each a text and a film that is made when the step is opened."""
    films, buttons, steps = [], [], []
    with gr.Walkthrough(selected=1, elem_id="tour") as walk:
        for k, name in enumerate(tour.STEPS, start=1):
            with gr.Step(tour_text.STEPS[name][0], id=k) as step, gr.Row():
                on, film = layout(k, name)
            films, buttons, steps = [*films, film], [*buttons, on], [*steps, step]
    opening = [(tab, films[0])]
    for k, on in enumerate(buttons[:-1], start=1):
        # A step that is opened from outside does not say that it was selected.
        opening.append((on.click(follow(k + 1), None, walk, **QUICK), films[k]))
    buttons[-1].click(open_lab, None, tabs, **QUICK)
    opening += list(zip(steps, films, strict=True))
    for event, film in opening:
        then = event.then if hasattr(event, "then") else event.select
        then(show, gr.State(list(tour.STEPS)[films.index(film)]), film, **PRIVATE, **LANE)


def layout(k: int, name: str) -> tuple[gr.Button, gr.HTML]:
    """The text of a step with its button, and its film."""
    with gr.Column(scale=2, min_width=280):
        gr.Markdown(tour_text.STEPS[name][1], elem_classes="fd-tour")
        words = tour_text.NEXT if k < len(tour.STEPS) else tour_text.OPEN_LAB
        on = gr.Button(words, variant="primary", elem_id=f"tour-next-{k}")
    with gr.Column(scale=3, min_width=300):
        film = player("", f"tour-{name}")
    return on, film


def show(name: str) -> str:
    """The film of a step."""
    with spoken():
        return film_of(name)


def follow(k: int) -> object:
    """What a press on "next" does: opens step k."""

    def next_step() -> gr.Walkthrough:
        return gr.Walkthrough(selected=k)

    return next_step


def open_lab() -> gr.Tabs:
    """The 2-D Lab, where all of it can be tried."""
    return gr.Tabs(selected="lab")
