"""The 2-D Lab: the exact velocity and learnt ones side by side from the same noise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from flowdemo import lab
from flowdemo.evaluation.report import straightness_of
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.sampling import parse_label, sample
from flowdemo.settings import max_evaluations
from flowdemo.ui import tables
from flowdemo.ui.generate import Wanted
from flowdemo.ui.lab_desk import EXACT, Asked, Desk, Panel, Shown, model_of, source_of, titles
from flowdemo.ui.lab_films import films
from flowdemo.ui.tables import Line
from flowdemo.ui.work import TIMED, in_background, yielding

MAX_POINTS, FOLLOWED = 1000, 100  # points a panel, and those whose straightness is measured
Watch = Callable[[int], None]


@dataclass(frozen=True)
class View:
    """What the tab shows of some panels; a note names models that are not there any more."""

    films: str
    table: str
    note: str
    shown: Shown


def run(asked: Asked, desk: Desk, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words, then the films and the numbers that cost nothing."""
    source, known = source_of(asked.data, desk), titles(asked.data, desk)
    there = [title for title in asked.shown if title in known]
    if not there:
        raise ValueError("choose a model to show")
    panels: list[Panel] = []
    for title in there:
        work = partial(panel_of, model_of(asked.data, title, desk), title, asked)
        for progress in in_background(work, wanted):
            if isinstance(progress, int):
                yield f"{title} ..."
        panels.append(progress)
    gone = ", ".join(title for title in asked.shown if title not in known)
    note = f"Not here any more: {gone}." if gone else ""
    shown = Shown(source, asked, panels)
    yield View(films(source, asked, panels), table(panels), note, shown)


def measured(shown: Shown, wanted: Wanted = lambda: True) -> Iterator[list[Panel] | None]:
    """None while it works; after each panel, all panels with what has been measured so far."""
    panels, passed = list(shown.panels), {}
    floor = lab.floor(shown.source, panels[0].samples)
    for i, panel in enumerate(panels):
        for progress in in_background(partial(measure, panel, shown, passed), wanted):
            if isinstance(progress, int):
                yield None
        panels[i] = replace(progress, floor=floor)
        yield list(panels)


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


def measure(panel: Panel, shown: Shown, passed: dict, watch: Watch) -> Panel:
    """The panel with its numbers. `passed` keeps the exact samples along which errors count."""
    calm, model, source = yielding(watch), panel.model, shown.source
    distance = lab.distance(source, panel.samples)
    calm(0)
    straight = straightness_of(model, panel.samples, FOLLOWED, calm)
    error = None
    if model.config.method != "exact":
        exact = source.exact(model.config.path)
        key = (model.config.path, panel.samples.settings["guidance"])
        if key not in passed:
            asked = replace(shown.asked, n=FOLLOWED, steps=20, solver="euler", guidance=key[1])
            passed[key] = panel_of(exact, EXACT, asked, watch).samples
        error = lab.velocity_error(model, exact, passed[key], calm)
    return replace(panel, distance=distance, straightness=straight, error=error)


def table(panels: list[Panel], pending: str = "…") -> str:
    """The numbers as an HTML table; `pending` stands for those not measured yet."""
    n, floor = len(panels[0].samples.labels), panels[0].floor
    real = "" if floor is None else f", two real draws {floor:.3f}"
    titles = ("model", "NFE", "ms", f"W2 ({n} points{real})", "straightness", "velocity error")
    lines = (Line(p.title, p.model.config.method, cells(p, pending)) for p in panels)
    return tables.table(titles, lines)


def cells(panel: Panel, pending: str) -> list[str]:
    """The numbers of one panel."""
    waits = pending if panel.distance is None else "&ndash;"
    numbers = (panel.distance, panel.straightness, panel.error)
    cost = [f"{panel.samples.nfe:g}", f"{1000 * panel.samples.seconds:.0f}"]
    return cost + [waits if x is None else f"{x:.3f}" for x in numbers]
