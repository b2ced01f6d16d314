"""The layout and the wiring of the inversion of digits."""

import secrets
from collections.abc import Iterator
from typing import Any

import gradio as gr

from flowdemo.config import ModelConfig
from flowdemo.data import dataset
from flowdemo.ui import events, text
from flowdemo.ui.compare import models_of
from flowdemo.ui.controls import names_for
from flowdemo.ui.events import HUB, PRIVATE, PROMPT, QUICK, RUN, begin_run, stop_run
from flowdemo.ui.invert import GUESS, Trip, View, example, run
from flowdemo.ui.models import known
from flowdemo.ui.player import player
from flowdemo.ui.work import Switch, spoken

DATA = "mnist"


def build() -> None:
    """Drawing, two models, and one player for the way back and the ways forward."""
    models = models_of(DATA)
    if not models:
        return
    gr.Markdown(text.INVERT, elem_classes="fd-caption")
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            pad = drawing()
            back = {name: own for name, own in models.items() if goes_back(own)}
            forth = {name: own for name, own in models.items() if not own.only_inverts}
            values = [*way("Back by", back, "i-back"), *way("Forward by", forth, "i-forth")]
            seed = gr.Number(1, label="Seed of the other noise", precision=0, minimum=0)
            with gr.Row():
                go = gr.Button("Invert", variant="primary", elem_id="i-go", min_width=100)
                stop = gr.Button("Stop", elem_id="i-stop", min_width=80)
            status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id="i-status")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            films = player("", "i-player")
            words = gr.Markdown("", elem_id="i-words")
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN_INVERT)
    switch = gr.State(Switch())
    go.click(begin_run, switch, None, **QUICK).then(
        fetch, [switch, values[0], values[3]], status, show_progress="hidden", **HUB
    ).success(
        travel_for, [switch, pad, *values, seed], [status, films, words],
        show_progress_on=status, **RUN,
    )  # fmt: skip
    stop.click(stop_run, switch, status, **QUICK)


def goes_back(config: ModelConfig) -> bool:
    """Whether a model can be asked for the noise of a digit."""
    return config.trained_times is None or config.only_inverts


def drawing() -> gr.Sketchpad:
    """Where a digit is drawn or uploaded, or an example taken."""
    pad = gr.Sketchpad(
        label="Draw or upload", type="pil", image_mode="RGBA",
        canvas_size=(280, 280), brush=gr.Brush(default_size=18, colors=["#000000"]),
        layers=False, sources=["upload", "clipboard"], elem_id="i-pad",
    )  # fmt: skip
    take = gr.Button("Take an example", size="sm", elem_id="i-example")
    take.click(an_example, None, pad, **PRIVATE)
    return pad


def way(title: str, models: dict[str, ModelConfig], elem_id: str) -> list[gr.components.Component]:
    """Model, class and weight of one direction."""
    names = list(models)
    low, high = models[names[0]].guidance
    classes = [GUESS, *dataset(DATA).classes]
    with gr.Group():
        model = gr.Dropdown(names_for(names), value=names[0], label=title, elem_id=elem_id)
        label = gr.Dropdown(classes, value=GUESS, label="as class", elem_id=f"{elem_id}-label")
        guidance = gr.Slider(low, high, 1.0, step=0.1, label="CFG weight", elem_id=f"{elem_id}-w")
    model.input(weights_of, model, guidance, **PROMPT)
    return [model, label, guidance]


def weights_of(name: str) -> Any:
    """The CFG slider as the model offers it."""
    with spoken():
        low, high = known(name).config.guidance
        return gr.update(minimum=low, maximum=max(high, low + 0.1), value=low, visible=high > low)


def an_example() -> Any:
    """An example on the pad."""
    with spoken():
        picture = example(secrets.randbelow(1000))
        return {"background": picture, "layers": [], "composite": picture}


def fetch(switch: Switch, *names: str) -> Iterator[Any]:
    """Has the models that are not here."""
    yield from events.fetch(switch, names)


def travel_for(switch: Switch, pad: dict | None, *values: Any) -> Iterator[list[Any]]:
    """A trip as updates of status, player and words."""
    *given, seed = values
    trip = Trip(*given, seed=int(seed or 0))
    states = run(pad and pad["composite"], trip, switch.wanted())
    yield from events.press(switch, states, fields, 3)


def fields(view: View) -> list[Any]:
    """A trip in the order of the outputs."""
    return [text.IDLE, view.films, view.words]
