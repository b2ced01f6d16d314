"""Samples over the nearest real images, in a fold."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.nearest import gallery
from flowdemo.model import Model
from flowdemo.output.images import image_grid
from flowdemo.sampling.run import Samples
from flowdemo.ui.shared import text

COLUMNS = 8


@dataclass(frozen=True)
class Near:
    """Lines of samples, each over a line of their nearest real images, and how near they are."""

    picture: Image.Image
    words: str


def near(model: Model, samples: Samples) -> Near | None:
    """The first two lines of samples; None where no real images ship."""
    real, referee = gallery(model.config.data), judge(model.config.data)
    if real is None or referee is None:
        return None
    made = samples.images[: 2 * COLUMNS]
    rows, distance = real.nearest(referee.look(made)[0])
    lines = []
    for above, below in zip(made.split(COLUMNS), real.redrawn(rows).split(COLUMNS), strict=True):
        lines += [padded(above), padded(below)]
    words = (
        f"Feature distance to the nearest: median {distance.median():.2f}, smallest "
        f"{distance.min():.2f}; of a real image to the nearest other one: median {real.typical:.2f}."
    )
    return Near(image_grid(torch.cat(lines), columns=COLUMNS), words)


def padded(images: Tensor) -> Tensor:
    """The images with black ones behind, so that they fill a line."""
    return torch.cat([images, images.new_zeros(COLUMNS - len(images), *images.shape[1:])])


def fold(found: Near | None, prefix: str = "") -> dict[str, Any]:
    """The fold, its picture and its words; hidden where no real images ship."""
    box = gr.Accordion(
        text.NEAREST, open=False, visible=found is not None, elem_id=f"{prefix}nearest"
    )
    with box:
        gr.Markdown(text.EXPLAIN_NEAREST, elem_classes="fd-caption")
        picture = gr.Image(
            found and found.picture, show_label=False, format="png", type="pil", interactive=False,
            buttons=[], elem_classes="fd-samples", elem_id=f"{prefix}near",
        )  # fmt: skip
        words = gr.Markdown(found.words if found else "", elem_id=f"{prefix}near-words")
    return {"near_fold": box, "near": picture, "near_words": words}


def updates(found: Near | None) -> list[Any]:
    """The updates of the components of `fold`."""
    if found is None:
        return [gr.update(visible=False), None, ""]
    return [gr.update(visible=True), found.picture, found.words]
