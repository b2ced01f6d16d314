"""Inversion in the Compare tab: a digit back to noise, forward again, and on to another noise."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
from PIL import Image
from torch import Tensor

from flowdemo import plots
from flowdemo.data import pixels_of
from flowdemo.data.drawn import to_digit
from flowdemo.evaluation.classifier import judge
from flowdemo.exports import image_grid
from flowdemo.inversion import (
    SOLVER,
    TOLERANCE,
    Inversion,
    between,
    invert,
    round_trip_error,
)
from flowdemo.model import Model
from flowdemo.sampling import Samples, Trajectory, sample
from flowdemo.settings import max_evaluations
from flowdemo.starts import start
from flowdemo.ui.generate import Wanted
from flowdemo.ui.models import load
from flowdemo.ui.player import film, payload
from flowdemo.ui.work import TIMED, in_background

GUESS = "as seen"
EXACT = {"solver": SOLVER, "tolerance": TOLERANCE}  # the way back; others go forward their own way
WAY = 8  # noises from the digit's own to that of the seed
Watch = Callable[[int], None]


@dataclass(frozen=True)
class Trip:
    """Back by a model as a class at a weight; forward by the same or another; then to a seed."""

    model: str
    label: str = GUESS
    guidance: float = 1.0
    forward: str = ""
    forward_label: str = GUESS
    forward_guidance: float = 1.0
    seed: int = 1


@dataclass(frozen=True)
class View:
    """What is shown of a trip."""

    films: str
    words: str
    error: float


def run(picture: Image.Image | None, trip: Trip, wanted: Wanted = lambda: True) -> Iterator:
    """Progress in words, then the view; ValueError says what is wrong with picture or choice."""
    if picture is None:
        raise ValueError("draw a digit, upload a picture, or take an example")
    digit = to_digit(picture)[None]
    for progress in in_background(partial(travel, digit, trip), wanted):
        if isinstance(progress, int):
            yield f"{progress} evaluations done ..."
    yield progress


def travel(digit: Tensor, trip: Trip, watch: Watch) -> View:
    """The digit (1, 1, 28, 28) back, forward, and the samples on the way to another noise."""
    back_by, forth_by = load(trip.model), load(trip.forward or trip.model)
    seen = judge("mnist").look(digit)[1].item()
    label = seen if trip.label == GUESS else int(trip.label)
    target = label if trip.forward_label == GUESS else int(trip.forward_label)
    limit = {"watch": watch, "max_evaluations": max_evaluations("image")}
    with TIMED:
        back = invert(back_by, digit, label, trip.guidance, **limit)
        own = limit if forth_by.config.method != "flow-matching" else EXACT | limit
        if back_by.config.only_inverts:  # the other model must come back, its own way
            again = onward(forth_by, back.x_0, label, trip.forward_guidance, own)
        else:
            again = onward(back_by, back.x_0, label, trip.guidance, EXACT | limit)
        way = between(back.x_0[0], start(back_by, trip.seed, 1)[0], WAY)
        forth = onward(forth_by, back.x_0, target, trip.forward_guidance, own)
        others = onward(forth_by, way, target, trip.forward_guidance, own)
    error = round_trip_error(digit, again.images)
    return View(films(trip, back, forth, others, digit), words(back, forth, seen, error), error)


def onward(model: Model, x_0: Tensor, label: int, guidance: float, how: dict) -> Samples:
    """Samples from given noises."""
    return sample(model, len(x_0), label, guidance, x_0=x_0, **how)


def films(trip: Trip, back: Inversion, forth: Samples, others: Samples, digit: Tensor) -> str:
    """Three films in one player. The way back is shown by its time, too: noise is at t = 0."""
    flipped = Trajectory(back.trajectory.times.flip(0), back.trajectory.states.flip(0))
    shown = replace(forth, images=digit, trajectory=flipped, labels=torch.tensor([0]))
    forward = trip.forward or trip.model
    colours = [plots.METHOD_COLOURS[load(name).config.method] for name in (trip.model, forward)]
    return payload(
        film(shown, WAY, f"the way back by {trip.model} (read it from t = 1)", colours[0]),
        film(forth, WAY, f"forward by {forward}", colours[1]),
        film(others, WAY, f"from this noise to that of seed {trip.seed}", colours[1]),
    )


def words(back: Inversion, forth: Samples, seen: int, error: float) -> str:
    """The numbers of a trip."""
    again = judge("mnist").look(forth.images)[1].item()
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
    return pixels_of("mnist", "test")[0][:1000]
