"""Inversion in the Compare tab by its functions."""

import json

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from flowdemo.checkpoints import load
from flowdemo.output.images import image_grid
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import sample
from flowdemo.ui.compare.invert import GUESS, TAB, WAY, Trip, example, run
from flowdemo.ui.shared import text
from flowdemo.ui.shared.work import Stopped, Switch
from tests.pages import runner_of


@pytest.fixture(scope="module")
def seven():
    return image_grid(sample(load("mnist-reflow"), 1, 7, 2.0, seed=1).images, scale=10)


def trip(picture, back, forth=None, label=GUESS, guidance=1.0):
    there = Request(back, label=GUESS, guidance=1.0)
    return Trip(picture, there, Request(forth or back, label=label, guidance=guidance))


def travelled(*asked):
    *_, view = run(trip(*asked))
    return view


def test_a_digit_comes_back_from_its_noise(seven):
    view = travelled(seven, "mnist-flow-matching")
    back, forth, others = json.loads(view.films)["films"]
    assert view.error < 0.02 and "takes the digit for a 7" in view.words
    assert (back["n"], forth["n"], others["n"]) == (1, 1, WAY)
    for film in (back, forth, others):
        assert film["times"][0] == 0 and film["times"][-1] == 1
        assert film["times"] == sorted(film["times"])


def test_forward_as_another_class_or_by_another_method_is_another_picture(seven):
    same = travelled(seven, "mnist-reflow")
    other = travelled(seven, "mnist-reflow", "mnist-meanflow", "1", 3.0)
    assert other.error == same.error < 0.02  # of the way there and back, wherever one goes then
    assert "what came back for a 7" in same.words and "what came back for a 1" in other.words
    pictures = [json.loads(view.films)["films"][1]["data"] for view in (same, other)]
    assert pictures[0] != pictures[1]


def test_a_trip_can_be_stopped(seven):
    with pytest.raises(Stopped):
        list(run(trip(seven, "mnist-flow-matching"), lambda: False))


def test_nothing_drawn_is_a_message():
    with pytest.raises(ValueError, match="draw a digit"):
        list(run(trip(None, "mnist-reflow")))
    pad = {"composite": Image.new("RGBA", (280, 280), (0, 0, 0, 0))}
    values = ["mnist-reflow", "as seen", 1.0, "mnist-reflow", "as seen", 1.0, 1]
    for empty in (None, pad):
        states = runner_of(TAB).press(Switch(), empty, *values)
        assert next(states)[0] == text.IDLE  # no progress of a trip that failed
        with pytest.raises(gr.Error, match="draw a digit"):
            next(states)


def test_an_example_is_a_digit_with_and_without_data_at_hand(monkeypatch):
    monkeypatch.delenv("FLOWDEMO_DATA", raising=False)
    made = example(13)
    assert made.size == (280, 280) and np.asarray(made).max() > 200
    assert np.array_equal(np.asarray(made), np.asarray(example(13)))
