"""The fold that shows samples over the nearest real images."""

from typing import Any

import gradio as gr

from flowdemo.ui import text
from flowdemo.ui.near import Near


def build(near: Near | None, prefix: str = "") -> list[gr.blocks.Block]:
    """The fold, its picture and its words; hidden where no real images ship."""
    box = gr.Accordion(
        text.NEAREST, open=False, visible=near is not None, elem_id=f"{prefix}nearest"
    )
    with box:
        gr.Markdown(text.EXPLAIN_NEAREST, elem_classes="fd-caption")
        picture = gr.Image(
            near and near.picture, show_label=False, format="png", type="pil", interactive=False,
            buttons=[], elem_classes="fd-samples", elem_id=f"{prefix}near",
        )  # fmt: skip
        words = gr.Markdown(near.words if near else "", elem_id=f"{prefix}near-words")
    return [box, picture, words]


def fields(near: Near | None) -> list[Any]:
    """The updates of `build`."""
    if near is None:
        return [gr.update(visible=False), None, ""]
    return [gr.update(visible=True), near.picture, near.words]
