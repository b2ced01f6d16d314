"""The player: all states of one or several runs, played and scrubbed in the browser."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from flowdemo.output.images import COLOURS, to_bytes
from flowdemo.sampling.run import Samples

HERE = Path(__file__).parent
MAX_FRAMES, MAX_BYTES = 101, 3_000_000


def player(value: str, elem_id: str) -> gr.HTML:
    """The component; its value is what `payload` returns. The canvas outlives every new value."""
    return gr.HTML(
        value=value,
        html_template=(HERE / "player.html").read_text(),
        js_on_load="\n".join((HERE / name).read_text() for name in ("points.js", "player.js")),
        elem_id=elem_id,
    )


def payload(*films: dict[str, Any], play: bool = False) -> str:
    """Films as the JSON that the player reads; with `play` they start by themselves."""
    return json.dumps({"films": films, "play": play})


def film(
    samples: Samples,
    columns: int | None = None,
    caption: str = "",
    colour: str = "",
    max_bytes: int = MAX_BYTES,
    extent: float | None = None,
    layers: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The states of a run, thinned where too many: pixels as bytes, points as 16 bits of `scale`.

    `columns` of images a line; a caption with the colour of its method stands above; points are drawn
    within +-`extent`, else as far as the states go, over what `points.js` knows of as `layers`.
    """
    states, times = samples.film, samples.trajectory.times
    frame_bytes = states[0].numel() * (1 if samples.images is not None else 2)
    most = max(2, min(MAX_FRAMES, max_bytes // frame_bytes))
    shown = np.unique(np.linspace(0, len(times) - 1, min(len(times), most)).round().astype(int))
    content = {
        "times": [round(float(times[k]), 4) for k in shown],
        "numbers": shown.tolist(),
        "states": len(times),
        "labels": samples.labels.tolist(),
        "caption": caption,
        "colour": colour,
    }
    if samples.images is None:
        scale = float(states.abs().max()) or 1.0
        extent = extent or 1.08 * scale
        one = colour and len(samples.labels.unique()) == 1  # nothing to tell apart by colour
        places = (32767 * states[shown] / scale).round().numpy().astype("<i2")
        content |= {"kind": "points", "extent": round(extent, 3), "scale": scale}
        content |= {"colours": [colour] if one else COLOURS, "data": encode(places)} | (
            layers or {}
        )
    else:
        n, channels, height, width = states.shape[1:]
        pixels = np.stack([to_bytes(states[k]) for k in shown])
        content |= {"kind": "images", "n": n, "channels": channels, "height": height}
        content |= {"width": width, "data": encode(pixels), "columns": columns or wide(n)}
    return content


def wide(n: int) -> int:
    """Images a line: eight, or about twice as many as lines."""
    return min(n, 8 if n <= 16 else math.ceil(math.sqrt(2 * n)))


def encode(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
