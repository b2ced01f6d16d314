"""Drawn crosses, and what is gathered of them, for the tests of the Train tab."""

import base64
import io
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw

from flowdemo.training.finetune import FineTuning
from flowdemo.ui.train import view as train
from flowdemo.ui.train.controls import add_drawing
from flowdemo.ui.train.pictures import Basket
from flowdemo.ui.train.tab import run_in_turn
from tests.pages import runner_of

PLAN = FineTuning("mine", steps=3)
VALUES = ("mine", 3, 5e-4, "nothing", 0, 1)


def run(plan, model, basket, *wanted):
    """A training as the tab runs it: words and views."""
    return train.run(train.Asked(plan, model, basket), *wanted)


def press(switch, number, *values):
    """A press on Start as updates of the page."""
    return run_in_turn(runner_of(train.TAB), switch, number, *values)


def drawn(k=0) -> Image.Image:
    """A cross on white."""
    picture = Image.new("RGB", (280, 280), "white")
    lines = [(60 + 3 * k, 60, 220, 210), (210, 70, 60, 200)]
    for line in lines:
        ImageDraw.Draw(picture).line(line, fill="black", width=18)
    return picture


def png(picture) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def pad(k=0) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(drawn(k))).decode()}"


def zip_of(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for k, name in enumerate(names):
            file.writestr(name, png(drawn(k)))
    return path


def basket_of(n=3, name="cross") -> Basket:
    basket = Basket()
    for k in range(n):
        add_drawing(basket, "tiny", name, pad(k))
    return basket
