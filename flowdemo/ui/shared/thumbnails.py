"""Small pictures in lines, each line under its caption, as HTML: pixels stay squares."""

import base64
import html
import io
from collections.abc import Mapping

import torch
from torch import Tensor

from flowdemo.output.images import image_grid

COLUMNS, SIDE = 12, 56  # pictures a line, and the side of each on the page where there is room


def strips(lines: Mapping[str, Tensor], columns: int = COLUMNS, side: int = SIDE) -> str:
    """Caption -> pixels in [0, 1] (n, c, h, w); more than `columns` go on below."""
    figures = "".join(figure(caption, pixels, columns, side) for caption, pixels in lines.items())
    return f'<div class="fd-strips">{figures}</div>'


def figure(caption: str, pixels: Tensor, columns: int, side: int) -> str:
    """One caption and its pictures; a line that is not full is filled with nothing."""
    words = html.escape(caption)
    used = min(columns, len(pixels))
    rest = -len(pixels) % used
    full = torch.cat([pixels, pixels.new_zeros(rest, *pixels.shape[1:])])
    grid = image_grid(full, used, scale=max(1, side // pixels.shape[2]))
    file = io.BytesIO()
    grid.save(file, format="PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f"<figure><figcaption>{words}</figcaption>"
        f'<img alt="{words}" style="width: {used * side}px" src="data:image/png;base64,{data}">'
        "</figure>"
    )
