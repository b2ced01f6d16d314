"""Inversion in the Compare tab: a digit back to noise, forward again, and on to another noise."""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.core.solvers import Trajectory
from flowdemo.data import dataset, pixels_of
from flowdemo.data.digits import to_digit
from flowdemo.evaluation.classifier import judge
from flowdemo.methods import METHODS, colour_of
from flowdemo.model import Model
from flowdemo.output.images import image_grid
from flowdemo.sampling.initial_noise import start
from flowdemo.sampling.inversion import EXACT, Inversion, between, invert, round_trip_error
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import Samples, Watch, sample
from flowdemo.sampling.run import run as sample_run
from flowdemo.settings import max_evaluations
from flowdemo.ui.generate.controls import names_for
from flowdemo.ui.shared import text
from flowdemo.ui.shared.models import known, load, models_of
from flowdemo.ui.shared.player import film, payload, player
from flowdemo.ui.shared.runner import PRIVATE, PROMPT, Runner, Tab, go_and_stop, status_line
from flowdemo.ui.shared.work import TIMED, Wanted, in_background, spoken

DATA = "mnist"
GUESS = "as seen"  # the class that the classifier takes the digit for
WAY = 8  # noises from the digit's own to that of the seed


@dataclass(frozen=True)
class Trip:
    """A picture back to noise by one request, forward by another, then on to the noise of a seed."""

    picture: Image.Image | None
    back: Request
    forth: Request
    seed: int = 1


@dataclass(frozen=True)
class View:
    """What is shown of a trip; `error` is that of the round trip."""

    films: str
    words: str
    error: float
    note: str = ""


def run(trip: Trip, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words, then the view; ValueError says what is wrong with picture or choice."""
    if trip.picture is None:
        raise ValueError("draw a digit, upload a picture, or take an example")
    digit = to_digit(trip.picture)[None]
    for progress in in_background(partial(travel, digit, trip), wanted):
        yield f"{progress} evaluations done ..." if isinstance(progress, int) else progress


def travel(digit: Tensor, trip: Trip, watch: Watch) -> View:
    """The digit (1, 1, 28, 28) back, forward, and the samples on the way to another noise."""
    back_by, forth_by = load(trip.back.model), load(trip.forth.model)
    seen = judge(DATA).look(digit)[1].item()
    back_request = replace(trip.back, label=trip.back.label.replace(GUESS, str(seen)))
    target = trip.forth.label.replace(GUESS, back_request.label)
    forth_request = replace(trip.forth, label=target)
    limit = {"watch": watch, "max_evaluations": max_evaluations("image")}

    def onward(model: Model, request: Request, x_0: Tensor) -> Samples:
        return sample_run(model, replace(request, n=len(x_0)), x_0=x_0, **limit)

    with TIMED:
        back = invert(back_by, digit, back_request, **limit)
        if METHODS[forth_by.config.method].steps > 1:
            forth_request = replace(forth_request, **EXACT)
        if back_by.config.only_inverts:  # the other model must come back, its own way
            own_way = replace(forth_request, label=back_request.label)
            again = onward(forth_by, own_way, back.x_0)
        else:
            again = onward(back_by, replace(back_request, **EXACT), back.x_0)
        way = between(back.x_0[0], start(back_by, trip.seed, 1)[0], WAY)
        forth = onward(forth_by, forth_request, back.x_0)
        others = onward(forth_by, forth_request, way)
    error = round_trip_error(digit, again.images)
    return View(films(trip, back, forth, others, digit), words(back, forth, seen, error), error)


def films(trip: Trip, back: Inversion, forth: Samples, others: Samples, digit: Tensor) -> str:
    """Three films in one player. The way back is shown by its time, too: noise is at t = 0."""
    flipped = Trajectory(back.trajectory.times.flip(0), back.trajectory.states.flip(0))
    shown = replace(forth, images=digit, trajectory=flipped, labels=torch.tensor([0]))
    names = (trip.back.model, trip.forth.model)
    behind, ahead = (colour_of(known(name).config.method) for name in names)
    return payload(
        film(shown, WAY, f"the way back by {names[0]} (read it from t = 1)", behind),
        film(forth, WAY, f"forward by {names[1]}", ahead),
        film(others, WAY, f"from this noise to that of seed {trip.seed}", ahead),
    )


def words(back: Inversion, forth: Samples, seen: int, error: float) -> str:
    """The numbers of a trip."""
    again = judge(DATA).look(forth.images)[1].item()
    return (
        f"The classifier takes the digit for a {seen}, and what came back for a {again}. Back: NFE "
        f"{back.nfe:g}, forward: NFE {forth.nfe:g}. Round-trip error of the exact equation, back and "
        f"forth by one model: {error:.4f} (RMSE, pixels from 0 to 1). The noise has mean "
        f"{back.x_0.mean():.2f} and scale {back.x_0.std():.2f}."
    )


def example(seed: int) -> Image.Image:
    """A digit of the test set where that is at hand, else one that a shipped model made."""
    if os.environ.get("FLOWDEMO_DATA"):
        pixels = real_digits()
        return image_grid(pixels[seed % len(pixels)][None], scale=10)
    made = sample(load("mnist-meanflow"), 1, seed % 10, 2.0, seed=seed)
    return image_grid(made.images, scale=10)


@lru_cache
def real_digits() -> Tensor:
    """The first pixels of the test set."""
    return pixels_of(DATA, "test")[0][:1000]


def read(pad: dict | None, *values: Any) -> Trip:
    """The trip that the controls ask for: model, class and weight back and forward; a seed."""
    back, forth = (
        Request(model, label=label, guidance=w) for model, label, w in (values[:3], values[3:6])
    )
    return Trip(pad and pad["composite"], back, forth, int(values[6] or 0))


VIEW: dict[str, Callable[[View], Any]] = {
    "films": lambda view: view.films,
    "words": lambda view: view.words,
}
TAB = Tab(read, run, VIEW, models=lambda trip: [trip.back.model, trip.forth.model])


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
            go, stop = go_and_stop("Invert", "i-")
            status = status_line("i-")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            outputs = {"films": player("", "i-player"), "words": gr.Markdown("", elem_id="i-words")}
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN_INVERT)
    Runner(TAB, [pad, *values, seed], outputs, status).buttons(go, stop)


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
