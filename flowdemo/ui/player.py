"""The player: all states of a run in one payload, played and scrubbed in the browser."""

import base64
import json
from pathlib import Path

import gradio as gr
import numpy as np

from flowdemo.exports import COLOURS, to_bytes
from flowdemo.sampling import Samples

HERE = Path(__file__).parent
MAX_FRAMES, MAX_BYTES = 101, 3_000_000


def player(value: str, elem_id: str) -> gr.HTML:
    """The component; its value is what `payload` returns. The canvas outlives every new value."""
    return gr.HTML(
        value=value,
        html_template=(HERE / "player.html").read_text(),
        js_on_load=(HERE / "player.js").read_text(),
        elem_id=elem_id,
    )


def payload(samples: Samples) -> str:
    """The states as JSON: pixels as bytes, points as floats, both base64; thinned where too many."""
    states, times = samples.trajectory.states, samples.trajectory.times
    frame_bytes = states[0].numel() * (1 if samples.images is not None else 4)
    most = max(2, min(MAX_FRAMES, MAX_BYTES // frame_bytes))
    shown = np.unique(np.linspace(0, len(times) - 1, min(len(times), most)).round().astype(int))
    content = {
        "times": [round(float(times[k]), 4) for k in shown],
        "numbers": shown.tolist(),
        "states": len(times),
        "labels": samples.labels.tolist(),
    }
    if samples.images is None:
        points = states[shown].numpy().astype("<f4")
        content |= {"kind": "points", "extent": round(1.08 * float(states.abs().max()), 3)}
        content |= {"colours": COLOURS, "data": encode(points)}
    else:
        n, channels, height, width = samples.images.shape
        pixels = np.stack([to_bytes(states[k]) for k in shown])
        content |= {"kind": "images", "n": n, "channels": channels, "height": height}
        content |= {"width": width, "data": encode(pixels)}
    return json.dumps(content)


def encode(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
