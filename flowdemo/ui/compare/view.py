"""The Compare tab: several requests from the same noise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import gradio as gr
from PIL import Image
from plotly.graph_objects import Figure

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.evaluation import compare as engine
from flowdemo.evaluation.compare import Row
from flowdemo.methods import METHODS
from flowdemo.output import comparisons, plots
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import Watch
from flowdemo.settings import max_rows
from flowdemo.ui.compare.controls import opened_by, read
from flowdemo.ui.generate.view import NOTHING, WAITING, link_to, picture
from flowdemo.ui.shared import nearest as near
from flowdemo.ui.shared import tables
from flowdemo.ui.shared.models import budget, load
from flowdemo.ui.shared.player import MAX_BYTES, film, payload
from flowdemo.ui.shared.runner import Tab
from flowdemo.ui.shared.tables import Line
from flowdemo.ui.shared.work import TIMED, Wanted, fresh_folder, in_background, spoken, yielding

FLOORS = {  # measure -> what real data reaches, as a card has it
    "frechet_distance": "floor_frechet_distance",
    "class_accuracy": "floor_accuracy",
    "wasserstein_2": "floor_wasserstein_2",
}


@dataclass(frozen=True)
class View:
    """The rows that are there; `asked` is what they share, as the controls have it."""

    rows: list[Row]
    asked: Request
    pending: bool = True

    @cached_property
    def quality(self) -> tuple[Figure | None, ...]:
        """Distance and accuracy that the cards of these models tell; milliseconds of these rows."""
        models = {row.request.model: row.model.config for row in self.rows}
        curves = [
            plots.Curve(name, own.method, own.results.get("rows", []), floors(own))
            for name, own in models.items()
        ]
        timings = [
            plots.Timing(words(row), row.method, row.samples.nfe, 1000 * row.seconds)
            for row in self.rows
        ]
        distance = plots.quality(curves, ("frechet_distance", "wasserstein_2"))
        accuracy = plots.quality(curves, ("class_accuracy",))
        return distance, accuracy, plots.timing(timings)

    @property
    def names(self) -> list[str]:
        """The rows as the A/B choices call them."""
        return [f"{i + 1}. {words(row)}" for i, row in enumerate(self.rows)]


def run(requests: list[Request], wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words; after each row, the view of the rows so far."""
    models, complete = engine.resolve(requests, load, max_rows(engine.MAX_ROWS))
    relay, rows = Relay(), []
    most = min(map(budget, models))
    made = engine.compare(models, complete, watch=relay, max_evaluations=most)
    for request in complete:
        for progress in in_background(partial(advance, made, relay), wanted):
            if isinstance(progress, int):
                at = f"row {len(rows) + 1} of {len(complete)}"
                yield f"{at}, {request}: {progress} evaluations ..."
        rows.append(progress)
        yield View(list(rows), requests[0])


class Relay:
    """Passes the progress of a comparison on to whoever watches its present row."""

    watch: Watch

    def __call__(self, done: int) -> None:
        self.watch(done)


def advance(rows: Iterator[Row], relay: Relay, watch: Watch) -> Row:
    """The next row of a comparison."""
    relay.watch = watch
    with TIMED:
        return next(rows)


def measure(view: View, wanted: Wanted = lambda: True) -> Iterator[View | None]:
    """None while it works; after each row, the view with what has been measured so far."""
    rows = list(view.rows)
    for i, row in enumerate(rows):

        def work(watch: Watch, row: Row = row) -> Row:
            return engine.measure(row, yielding(watch))  # gives way to runs that are being timed

        for progress in in_background(work, wanted):
            if isinstance(progress, int):
                yield None
        rows[i] = progress
        yield replace(view, rows=list(rows))


def films(view: View) -> str:
    """All rows for the one player, each under a caption."""
    share, extent = MAX_BYTES // len(view.rows), extent_of(view.rows)
    return payload(*(film_of(row, share, extent) for row in view.rows))


def film_of(row: Row, max_bytes: int, extent: float) -> dict[str, Any]:
    right = "" if row.right is None else f", {int(row.right.sum())}/{len(row.right)} right"
    caption = f"{words(row)}: NFE {row.samples.nfe:g}{right}"
    columns, colour = min(len(row.samples.labels), 20), METHODS[row.method].colour
    return film(row.samples, columns, caption, colour, max_bytes, extent)


def extent_of(rows: list[Row]) -> float:
    """How far from the origin any state of any row lies: all are drawn at one scale."""
    return 1.08 * max(row.samples.trajectory.states.abs().max().item() for row in rows)


def words(row: Row) -> str:
    """A row in words."""
    asked = row.request
    how = f"tolerance {asked.tolerance:g}" if asked.steps is None else f"{asked.steps} step(s)"
    return f"{asked.model}, {asked.solver}, {how}, w = {asked.guidance:g}"


COLUMNS: dict[str, Callable[[Row], str]] = {
    "NFE": lambda row: f"{row.samples.nfe:g}",
    "ms": lambda row: f"{1000 * row.seconds:.0f}",
    "accuracy": lambda row: "" if row.accuracy is None else f"{row.accuracy:.0%}",
    "straightness": lambda row: "" if row.straightness is None else f"{row.straightness:.3f}",
    "RMSE to reference": lambda row: "" if row.rmse is None else f"{row.rmse:.4f}",
}
SLOW = ("straightness", "RMSE to reference")


def table(view: View) -> str:
    """The numbers of the rows as an HTML table."""

    def cells(row: Row) -> list[str]:
        waits = view.pending and row.warm_seconds is None
        shown = {title: column(row) or NOTHING for title, column in COLUMNS.items()}
        return [WAITING if waits and title in SLOW else cell for title, cell in shown.items()]

    lines = (Line(words(row), row.method, cells(row)) for row in view.rows)
    return tables.table(("row", *COLUMNS), lines)


def floors(config: ModelConfig) -> dict[str, float]:
    """What real data reaches, by the name of the measure."""
    return {name: config.results[key] for name, key in FLOORS.items() if key in config.results}


def link(view: View) -> str:
    """A link that brings the whole comparison back."""
    first, rows = view.rows[0].request, ",".join(str(row.request) for row in view.rows)
    shared = {"n": first.n, "label": view.asked.label, "seed": first.seed}
    weights = ",".join(dict.fromkeys(row.samples.revision for row in view.rows))
    return link_to({"compare": rows} | shared | {"rev": weights}, "Link to this comparison")


def panel(place: int) -> Callable[[View], Any]:
    """A plot of `View.quality`; hidden where nothing was measured."""

    def update(view: View) -> Any:
        figure = view.quality[place]
        return gr.update(value=figure, visible=figure is not None)

    return update


VIEW: dict[str, Callable[[View], Any]] = {
    "films": films,
    "table": table,
    "distance": panel(0),
    "accuracy": panel(1),
    "timing": panel(2),
    "link": link,
    "left": lambda view: gr.update(choices=view.names, value=view.names[0]),
    "right": lambda view: gr.update(choices=view.names, value=view.names[-1]),
}
TAB = Tab(
    read=read, run=run, view=VIEW, measure=measure,
    slow=("table", "distance", "accuracy", "timing"),
    models=lambda requests: [request.model for request in requests], link="compare",
    open=opened_by,
)  # fmt: skip


def beside(view: View | None, left: str | None, right: str | None) -> Any:
    """Two rows for the A/B slider."""
    chosen = [place_of(view, name) for name in (left, right)]
    if None in chosen:
        return gr.skip()
    drawn = pictures(view.rows)
    return tuple(drawn[i] for i in chosen)


def pictures(rows: list[Row]) -> list[Image.Image]:
    """The final samples of the rows."""
    extent = extent_of(rows)
    return [picture(row.samples, extent) for row in rows]


def nearest(view: View | None, name: str | None) -> list[Any]:
    """The nearest real images of a row."""
    i = place_of(view, name)
    if i is None:
        return [gr.skip()] * 3
    return near.updates(near.near(view.rows[i].model, view.rows[i].samples))


def place_of(view: View | None, name: str | None) -> int | None:
    """The place of a row by its name in the A/B choices; None for a name of other rows."""
    numbers = {str(i + 1): i for i in range(len(view.rows) if view else 0)}
    return numbers.get((name or "").split(".")[0])


def export_rows(view: View | None) -> Any:
    """PNG, JSON and CSV of the rows, in a new folder."""
    with spoken():
        if view is None:
            raise ValueError("There is no comparison to export: press Compare first.")
        return gr.update(value=comparisons.export_all(view.rows, fresh_folder()), visible=True)
