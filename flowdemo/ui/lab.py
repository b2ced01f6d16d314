"""The 2-D Lab: the exact velocity and learnt ones side by side from the same noise."""

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from flowdemo import lab, plots
from flowdemo.evaluation.report import straightness_of
from flowdemo.lab import Source
from flowdemo.methods import AVERAGE, METHODS
from flowdemo.model import Model
from flowdemo.sampling import Samples, parse_label, sample
from flowdemo.settings import max_evaluations
from flowdemo.ui.compare import models_of
from flowdemo.ui.generate import ANY, Wanted, load
from flowdemo.ui.player import encode, film, payload
from flowdemo.ui.work import TIMED, in_background, yielding

EXACT = "exact velocity"
REAL, MARGIN = 600, 1.15  # real points behind a film, and room around them
MAX_POINTS, FOLLOWED = 1000, 100  # points a panel, and those whose straightness is measured
Watch = Callable[[int], None]


@dataclass
class Desk:
    """What one visitor has in the Lab: own points, and the models trained here, by title."""

    points: Tensor | None = None
    runs: dict[str, Model] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What the controls say; every panel gets the same steps from the same noise."""

    data: str
    shown: tuple[str, ...] = ()
    n: int = 500
    label: str = ANY
    guidance: float = 1.0
    solver: str = "euler"
    steps: int = 20
    seed: int = 42


@dataclass(frozen=True)
class Panel:
    """One model's run; the numbers that cost more than the samples come later."""

    title: str
    model: Model
    samples: Samples
    distance: float | None = None
    straightness: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class View:
    """What is shown of some panels; no films where those on the page still hold."""

    films: str | None
    table: str
    panels: list[Panel]


def source_of(data: str, desk: Desk) -> Source:
    """The distribution of that name; own points are the visitor's."""
    return Source(data, desk.points if data == lab.OWN else None)


def models_here(data: str, desk: Desk) -> dict[str, Model]:
    """Title -> model of everything that can be shown of this data: exact, shipped or saved, own."""
    found = {EXACT: source_of(data, desk).exact()}
    found |= {name: load(name) for name in checkpoints_of(data)}
    return found | {title: m for title, m in desk.runs.items() if m.config.data == data}


def titles(data: str, desk: Desk) -> list[str]:
    """The titles of `models_here`, without loading anything."""
    own = [title for title, model in desk.runs.items() if model.config.data == data]
    return [EXACT, *checkpoints_of(data), *own]


def checkpoints_of(data: str) -> list[str]:
    """The names of the checkpoints of a data set, in the order of the methods."""
    order = list(METHODS)
    return sorted(models := models_of(data), key=lambda name: order.index(models[name].method))


def run(asked: Asked, desk: Desk, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words, then the films, then the numbers of one panel after the other."""
    source, models = source_of(asked.data, desk), models_here(asked.data, desk)
    shown = [title for title in asked.shown if title in models] or list(models)[:4]
    panels: list[Panel] = []
    for title in shown:
        for progress in in_background(partial(panel_of, models[title], title, asked), wanted):
            if isinstance(progress, int):
                yield f"{title} ..."
        panels.append(progress)
    yield View(films(source, asked, panels), table(panels, None), list(panels))
    floor = lab.floor(source, panels[0].samples)
    for i, panel in enumerate(panels):
        for progress in in_background(partial(measure, panel, source, panels[0]), wanted):
            if isinstance(progress, int):
                yield f"measuring {panel.title} ..."
        panels[i] = progress
        yield View(None, table(panels, floor), list(panels))


def panel_of(model: Model, title: str, asked: Asked, watch: Watch = lambda rows: None) -> Panel:
    """The samples of one panel: a MeanFlow network by its own step, others by the chosen solver."""
    solver = AVERAGE if AVERAGE in model.solvers else asked.solver
    low, high = model.config.guidance
    with TIMED:
        made = sample(
            model,
            min(asked.n, MAX_POINTS),
            parse_label(asked.label, model.config.classes),
            min(max(asked.guidance, low), high),
            solver,
            asked.steps,
            asked.seed,
            watch=watch,
            max_evaluations=max_evaluations("points"),
        )
    return Panel(title, model, made)


def measure(panel: Panel, source: Source, first: Panel, watch: Watch) -> Panel:
    """The panel with its numbers; the error is measured where the first panel's points pass."""
    calm = yielding(watch)
    distance = lab.distance(source, panel.samples)
    calm(0)
    straight = straightness_of(panel.model, panel.samples, FOLLOWED, calm)
    error = None
    if panel.model.config.method != "exact":
        error = lab.velocity_error(panel.model, exact_for(source, panel.model), first.samples)
    return replace(panel, distance=distance, straightness=straight, error=error)


def exact_for(source: Source, model: Model) -> Model:
    """The exact velocity of the path that a model was trained on."""
    return source.exact(model.config.path)


def films(
    source: Source,
    asked: Asked,
    panels: list[Panel],
    on: Sequence[str] = ("points", "paths", "real"),
    play: bool = False,
) -> str:
    """All panels for the one player, with the layers that are on at first."""
    real = source.draw(REAL, 1)[0]
    extent = MARGIN * max(real.abs().max().item(), 3.0)
    behind = {"layers": on, "real": encode(real.numpy())}
    fields = fields_of(source, asked, panels, extent)
    return payload(
        *(
            film(
                panel.samples,
                caption=panel.title,
                colour=plots.METHOD_COLOURS[panel.model.config.method],
                extent=extent,
                layers=behind | layers,
            )
            for panel, layers in zip(panels, fields, strict=True)
        ),
        play=play,
    )


def fields_of(
    source: Source, asked: Asked, panels: list[Panel], extent: float
) -> list[dict[str, Any]]:
    """Arrows and errors of every panel as the player takes them, all at one scale."""
    still, arrows, errors, exact = [], [], [], {}
    for panel in panels:
        model, w = panel.model, panel.samples.settings["guidance"]
        label = parse_label(asked.label, model.config.classes)
        how = (extent, label if isinstance(label, int) else None, w)
        if (key := (model.config.path, w)) not in exact:
            exact[key] = lab.velocity_field(exact_for(source, model), *how)
        still.append(lab.velocity_field(model, *how))
        errors.append((still[-1] - exact[key]).norm(dim=2))
        mean = AVERAGE in model.solvers
        arrows.append(lab.average_field(model, *how) if mean else still[-1][:, None])
    longest = max(v.norm(dim=-1).quantile(0.7).item() for v in still)  # others are cut
    worst = max(1e-3, *(e.quantile(0.95).item() for e in errors))
    return [
        {"field": packed(v, longest)} | error_layer(panel, e, worst)
        for panel, v, e in zip(panels, arrows, errors, strict=True)
    ]


def packed(field: Tensor, longest: float) -> dict[str, Any]:
    """Arrows (times, ends, cells, 2) as bytes, the longest 127."""
    times, ends, _, _ = field.shape
    length = field.norm(dim=-1, keepdim=True).clamp(min=longest) / longest  # longer ones are cut
    whole = (127 * field / length / longest).round().clamp(-127, 127).to(torch.int8)
    return {"side": lab.SIDE, "times": times, "ends": ends, "data": encode(whole.numpy())}


def error_layer(panel: Panel, error: Tensor, worst: float) -> dict[str, Any]:
    """The error (times, cells) as bytes, darkest at `worst`; the exact velocity has none."""
    if panel.model.config.method == "exact":
        return {}
    whole = (255 * error / worst).clamp(0, 255).to(torch.uint8)
    layer = {"side": lab.SIDE, "times": len(error), "data": encode(whole.numpy())}
    return {"error": layer | {"worst": round(worst, 2)}}


def table(panels: list[Panel], floor: float | None) -> str:
    """The numbers as an HTML table; what is not measured yet is dots."""
    n = len(panels[0].samples.labels)
    real = "" if floor is None else f", two real draws {floor:.3f}"
    titles = ("model", "NFE", "ms", f"W2 ({n} points{real})", "straightness", "velocity error")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return (
        f'<table class="fd-table"><thead><tr>{head}</tr></thead><tbody>'
        + "".join(map(line, panels))
        + "</tbody></table>"
    )


def line(panel: Panel) -> str:
    """One row of the table."""
    waits = "…" if panel.distance is None else "&ndash;"
    numbers = (panel.distance, panel.straightness, panel.error)
    cells = [f"{panel.samples.nfe:g}", f"{1000 * panel.samples.seconds:.0f}"]
    cells += [waits if x is None else f"{x:.3f}" for x in numbers]
    colour = plots.METHOD_COLOURS[panel.model.config.method]
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    name = html.escape(panel.title)
    return f'<tr style="--fd-method: {colour}"><th scope="row">{name}</th>{row}</tr>'
