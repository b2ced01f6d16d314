"""The 2-D Lab: the exact velocity and learnt ones side by side from the same noise."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from flowdemo import lab, plots
from flowdemo.evaluation.report import straightness_of
from flowdemo.lab import Source
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.sampling import parse_label, sample
from flowdemo.settings import max_evaluations
from flowdemo.ui.generate import Wanted
from flowdemo.ui.lab_desk import Asked, Desk, Panel, models_here, source_of
from flowdemo.ui.lab_films import films
from flowdemo.ui.work import TIMED, in_background, yielding

MAX_POINTS, FOLLOWED = 1000, 100  # points a panel, and those whose straightness is measured
Watch = Callable[[int], None]


@dataclass(frozen=True)
class View:
    """What is shown of some panels; no films where those on the page still hold."""

    films: str | None
    table: str
    panels: list[Panel]


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
        error = lab.velocity_error(
            panel.model, source.exact(panel.model.config.path), first.samples
        )
    return replace(panel, distance=distance, straightness=straight, error=error)


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
