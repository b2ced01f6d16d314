"""The films of the 2-D Lab: what the player draws of some panels, all at one scale."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from flowdemo.evaluation import fields as lab
from flowdemo.evaluation.compare import Row
from flowdemo.evaluation.fields import Source
from flowdemo.methods import AVERAGE, METHODS, colour_of
from flowdemo.sampling.exact_model import ExactModel
from flowdemo.sampling.run import Samples
from flowdemo.ui.shared.player import encode, film, payload

REAL, MARGIN = 600, 1.15  # real points behind a film, and room around them
LAYERS = ("points", "paths", "real")


def backdrop(source: Source, on: Sequence[str] = LAYERS) -> tuple[float, dict[str, Any]]:
    """How far from the origin is shown; real points behind, and the layers that are on."""
    real = source.draw(REAL, 1)[0]
    extent = MARGIN * max(real.abs().max().item(), 3.0)
    return extent, {"layers": on, "real": encode(real.numpy())}


def runs(source: Source, made: dict[str, Samples], method: str) -> str:
    """Samples by their captions, in the colour of a method."""
    extent, behind = backdrop(source)
    colour = colour_of(method)
    return payload(
        *(
            film(samples, caption=caption, colour=colour, extent=extent, layers=behind)
            for caption, samples in made.items()
        )
    )


def films(source: Source, rows: list[Row], on: Sequence[str] = LAYERS, play: bool = False) -> str:
    """All panels for the one player, with the layers that are on at first."""
    extent, behind = backdrop(source, on)
    fields = fields_of(source, rows, extent)
    return payload(
        *(
            film(
                row.samples,
                caption=row.request.model,
                colour=colour_of(row.method),
                extent=extent,
                layers=behind | layers,
            )
            for row, layers in zip(rows, fields, strict=True)
        ),
        play=play,
    )


def fields_of(source: Source, rows: list[Row], extent: float) -> list[dict[str, Any]]:
    """Arrows and errors of every panel as the player takes them, all at one scale."""
    still, arrows, errors, exact = [], [], [], {}
    for row in rows:
        model, label, w = row.model, row.request.label, row.request.guidance
        how = (extent, label if isinstance(label, int) else None, w)
        if (key := (model.config.path, w)) not in exact:
            exact[key] = lab.velocity_field(source.exact(model.config.path), *how)
        is_exact = isinstance(model, ExactModel)
        still.append(exact[key] if is_exact else lab.velocity_field(model, *how))
        errors.append((still[-1] - exact[key]).norm(dim=2))
        mean = AVERAGE in model.solvers
        arrows.append(lab.average_field(model, *how) if mean else still[-1][:, None])
    longest = max(v.norm(dim=-1).quantile(0.7).item() for v in still)  # others are cut
    # Reflow learns another velocity on purpose: its distance would hide the errors of the others.
    rated = [e for e, row in zip(errors, rows, strict=True) if learns_the_data(row)]
    worst = max([1e-3, *(e.quantile(0.95).item() for e in rated)])
    return [
        {"field": packed(v, longest)} | error_layer(row, e, worst)
        for row, v, e in zip(rows, arrows, errors, strict=True)
    ]


def learns_the_data(row: Row) -> bool:
    """Whether its velocity is meant to be that of the data, and not that of a teacher's pairs."""
    return row.method not in METHODS or not METHODS[row.method].needs_flow


def packed(field: Tensor, longest: float) -> dict[str, Any]:
    """Arrows (times, ends, cells, 2) as bytes, the longest 127."""
    times, ends, _, _ = field.shape
    length = field.norm(dim=-1, keepdim=True).clamp(min=longest) / longest  # longer ones are cut
    whole = (127 * field / length / longest).round().clamp(-127, 127).to(torch.int8)
    return {"side": lab.SIDE, "times": times, "ends": ends, "data": encode(whole.numpy())}


def error_layer(row: Row, error: Tensor, worst: float) -> dict[str, Any]:
    """The error (times, cells) as bytes, darkest at `worst`; the exact velocity has none."""
    if isinstance(row.model, ExactModel):
        return {}
    whole = (255 * error / worst).clamp(0, 255).to(torch.uint8)
    layer = {"side": lab.SIDE, "times": len(error), "data": encode(whole.numpy())}
    return {"error": layer | {"worst": round(worst, 2)}}
