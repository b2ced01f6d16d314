"""The HTTP endpoint of fine-tuning: pictures in, a checkpoint out."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from flowdemo import settings
from flowdemo.training.finetune import FineTuning
from flowdemo.ui.endpoints.sampling import have
from flowdemo.ui.shared.runner import TRAIN
from flowdemo.ui.shared.work import fresh_folder, spoken
from flowdemo.ui.train.pictures import Basket
from flowdemo.ui.train.view import (
    Asked,
    allowed,
    config_of,
    fresh_name,
    plan_of,
    run,
    start_of,
    zipped,
)

MODEL = "mnist-meanflow"


def build() -> None:
    """Hidden components behind `/finetune`."""
    own = FineTuning("x")
    with gr.Column(visible=False):
        inputs = [
            gr.Textbox(MODEL, label="model"),
            gr.File(file_count="multiple", label="files"),
            gr.Textbox("", label="data"),
            gr.Textbox("", label="class_name"),
            gr.Textbox("", label="name"),
            gr.Number(own.steps, precision=0, label="steps"),
            gr.Number(own.learning_rate, label="learning_rate"),
            gr.Textbox(own.frozen, label="frozen"),
            gr.Number(own.seed, precision=0, label="seed"),
        ]
        made = [gr.File(), gr.JSON()]
        gr.Button().click(finetune, inputs, made, api_name="finetune", **TRAIN)


def finetune(
    model: str = MODEL,
    files: list[str] | None = None,
    data: str = "",
    class_name: str = "",
    name: str = "",
    steps: int = FineTuning.steps,
    learning_rate: float = FineTuning.learning_rate,
    frozen: str = FineTuning.frozen,
    seed: int = FineTuning.seed,
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Fine-tunes a checkpoint on uploaded pictures of `class_name`, on zip files of folders of
    classes, or on `data`, a data set by name or OWNER/NAME of the Hub.

    0 `steps` are what the checkpoint's method usually takes. Returns the checkpoint as a zip file, and
    numbers: the name that `/generate` takes, classes, the share of old classes' samples that are right
    before and after, steps, the one that was kept as the best, seconds, images seen.
    Until then only a `status` in words; a job that is cancelled ends the training.
    """
    with spoken():
        have(model)
        config, basket = config_of(model), Basket()
        values = (name or fresh_name(model), steps, learning_rate, frozen, seed, 0)
        plan = allowed(plan_of(values))
        start_of(model)  # refused before anything is read
        basket.suit(config)
        if files:
            for _ in basket.upload([Path(file) for file in files], class_name):
                pass
        if data:
            most = min(2000, settings.max_pictures(basket.shape))
            for _ in basket.read(data, class_name, most):
                pass
        with closing(run(Asked(plan, model, basket))) as states:
            for state in states:
                if isinstance(state, str):
                    yield None, {"status": state}
                elif state.name is not None:
                    yield zipped(state.name, fresh_folder()), state.report
