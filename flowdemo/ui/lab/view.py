"""The 2-D Lab: the exact velocity and learnt ones side by side from the same noise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from flowdemo.data import OWN
from flowdemo.evaluation import fields
from flowdemo.evaluation.compare import Row
from flowdemo.evaluation.fields import Source
from flowdemo.evaluation.report import STRAIGHTNESS_SAMPLES, straightness_of
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.sampling.exact_model import ExactModel
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import Samples, Watch
from flowdemo.sampling.run import run as sample_run
from flowdemo.settings import max_evaluations
from flowdemo.ui.generate.controls import within
from flowdemo.ui.generate.view import NOTHING, WAITING, link_to
from flowdemo.ui.lab import text as lab_text
from flowdemo.ui.lab.controls import MAX_POINTS, Panels, opened_by, read
from flowdemo.ui.lab.films import films
from flowdemo.ui.lab.workspace import EXACT
from flowdemo.ui.shared import tables
from flowdemo.ui.shared.runner import Tab
from flowdemo.ui.shared.tables import Line
from flowdemo.ui.shared.work import TIMED, Wanted, in_background, yielding


@dataclass(frozen=True)
class View:
    """What the tab shows of some panels; a note names models that are not there any more."""

    source: Source
    asked: Panels
    rows: list[Row]
    note: str = ""
    pending: bool = True


def run(asked: Panels, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words, then the panels with the numbers that cost nothing."""
    workspace, data = asked.workspace, asked.data
    if data == OWN and workspace.points is None:
        yield lab_text.OWN_FIRST
        return
    source, known = workspace.source(data), workspace.titles(data)
    there = [title for title in asked.titles if title in known]
    if not there:
        raise ValueError("choose a model to show")
    rows: list[Row] = []
    for title in there:
        model = workspace.model(data, title)
        for progress in in_background(partial(panel, model, title, asked.request), wanted):
            if isinstance(progress, int):
                yield f"{title} ..."
        rows.append(progress)
    gone = ", ".join(title for title in asked.titles if title not in known)
    yield View(source, asked, rows, f"Not here any more: {gone}." if gone else "")


def panel(model: Model, title: str, request: Request, watch: Watch = lambda rows: None) -> Row:
    """One panel: a MeanFlow network by its own step, others by the chosen solver."""
    solver = AVERAGE if AVERAGE in model.solvers else request.solver
    guidance = within(request.guidance, *model.config.guidance)
    n = min(request.n, MAX_POINTS)
    request = replace(request, model=title, n=n, solver=solver, guidance=guidance)
    with TIMED:
        made = sample_run(model, request, watch=watch, max_evaluations=max_evaluations("points"))
    return Row(made.request, model, made)


def measure(view: View, wanted: Wanted = lambda: True) -> Iterator[View | None]:
    """None while it works; after each panel, the view with what has been measured so far."""
    rows, exact_samples = list(view.rows), {}
    floor = fields.floor(view.source, rows[0].samples)
    for i, row in enumerate(rows):
        for progress in in_background(partial(measured, row, view, exact_samples), wanted):
            if isinstance(progress, int):
                yield None
        rows[i] = replace(progress, floor=floor)
        yield replace(view, rows=list(rows))


def measured(row: Row, view: View, exact_samples: dict[Any, Samples], watch: Watch) -> Row:
    """The row with its numbers. `exact_samples` keeps those along which velocities are compared."""
    calm, model, source = yielding(watch), row.model, view.source
    distance = fields.distance(source, row.samples)
    calm(0)
    straight = straightness_of(model, row.samples, calm)
    error = None
    if not isinstance(model, ExactModel):
        exact = source.exact(model.config.path)
        key = (model.config.path, row.request.guidance)
        if key not in exact_samples:
            how = {"n": STRAIGHTNESS_SAMPLES["points"], "steps": 20, "solver": "euler"}
            asked = replace(view.asked.request, guidance=row.request.guidance, **how)
            exact_samples[key] = panel(exact, EXACT, asked, watch).samples
        error = fields.velocity_error(model, exact, exact_samples[key], calm)
    return replace(row, wasserstein_2=distance, straightness=straight, velocity_error=error)


def table(view: View) -> str:
    """The numbers as an HTML table."""
    n, floor = len(view.rows[0].samples.labels), view.rows[0].floor
    real = "" if floor is None else f", two real draws {floor:.3f}"
    titles = ("model", "NFE", "ms", f"W2 ({n} points{real})", "straightness", "velocity error")

    def cells(row: Row) -> list[str]:
        waits = WAITING if view.pending and row.wasserstein_2 is None else NOTHING
        numbers = (row.wasserstein_2, row.straightness, row.velocity_error)
        cost = [f"{row.samples.nfe:g}", f"{1000 * row.samples.seconds:.0f}"]
        return cost + [waits if x is None else f"{x:.3f}" for x in numbers]

    lines = (Line(row.request.model, row.method, cells(row)) for row in view.rows)
    return tables.table(titles, lines)


def link(view: View) -> str:
    """A link that brings these panels back; own points and own models stay with their visitor."""
    asked = view.asked
    if asked.data == OWN:
        return ""
    own = asked.workspace.own(asked.data)
    shared = {key: value for key, value in vars(asked.request).items() if value is not None}
    del shared["model"]
    titles = ",".join(title for title in asked.titles if title not in own)
    shipped = (row for row in view.rows if row.request.model not in (EXACT, *own))
    weights = ",".join(dict.fromkeys(row.samples.revision for row in shipped))
    query = {"lab": asked.data, "shown": titles} | shared | {"rev": weights}
    return link_to(query, "Link to these panels")


VIEW: dict[str, Callable[[View], Any]] = {
    "films": lambda view: films(view.source, view.rows),
    "table": table,
    "link": link,
}
TAB = Tab(
    read=read, run=run, view=VIEW, measure=measure, slow=("table",), link="lab", open=opened_by
)
