"""The Compare tab: several models, solvers, steps and weights from the same noise."""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from PIL import Image
from plotly.graph_objects import Figure

from flowdemo import compare as engine
from flowdemo import plots
from flowdemo.compare import Row, parse_spec
from flowdemo.config import ModelConfig
from flowdemo.sampling import parse_label
from flowdemo.settings import max_rows
from flowdemo.ui import generate, tables
from flowdemo.ui.generate import Wanted
from flowdemo.ui.models import budget, configs, load
from flowdemo.ui.player import MAX_BYTES, film, payload
from flowdemo.ui.tables import Line
from flowdemo.ui.work import TIMED, in_background, yielding


@dataclass(frozen=True)
class Comparison:
    """What the controls say: rows as text, one MODEL:solver:steps[:guidance] a line."""

    rows: str
    n: int = 10
    label: str = "all"
    seed: int = 42

    @property
    def specs(self) -> list[engine.Spec]:
        return [parse_spec(line) for line in self.rows.splitlines() if line.strip()]


@dataclass(frozen=True)
class View:
    """What the tab shows of the rows that are there."""

    rows: list[Row]
    films: str
    table: str
    quality: tuple[Figure | None, ...]
    link: str


def run(comparison: Comparison, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words; after each row, the view of the rows so far."""
    models, specs = engine.resolve(comparison.specs, load, max_rows(engine.MAX_ROWS))
    relay, rows = Relay(), []
    made = engine.compare(
        models,
        specs,
        comparison.n,
        parse_label(comparison.label, models[0].config.classes),
        comparison.seed,
        watch=relay,
        max_evaluations=min(map(budget, models)),
    )
    for spec in specs:
        for progress in in_background(partial(advance, made, relay), wanted):
            if isinstance(progress, int):
                yield f"row {len(rows) + 1} of {len(specs)}, {spec}: {progress} evaluations ..."
        rows.append(progress)
        yield view_of(comparison, rows)


class Relay:
    """Passes the progress of a comparison on to whoever watches its present row."""

    watch: engine.Watch

    def __call__(self, done: int) -> None:
        self.watch(done)


def advance(rows: Iterator[Row], relay: Relay, watch: engine.Watch) -> Row:
    """The next row of a comparison."""
    relay.watch = watch
    with TIMED:
        return next(rows)


def measured(rows: list[Row], wanted: Wanted) -> Iterator[list[Row] | None]:
    """None while it works; after each row, all rows with what has been measured so far."""
    rows = list(rows)
    for i, row in enumerate(rows):
        if row.warm_seconds is not None:
            continue
        model = load(row.spec.model)
        if model.revision != row.samples.settings["revision"]:
            raise ValueError(f"{model.name} has changed since; press Compare again")
        work = partial(measure, row, model)
        for progress in in_background(work, wanted):
            if isinstance(progress, int):
                yield None
        rows[i] = progress
        yield list(rows)


def measure(row: Row, model: object, watch: engine.Watch) -> Row:
    """The row with its slow numbers, giving way to runs that are being timed."""
    return engine.measure(row, model, yielding(watch))


def view_of(comparison: Comparison, rows: list[Row]) -> View:
    """Films, table, plot and link of some rows."""
    return View(list(rows), films(rows), table(rows), quality(rows), link(comparison, rows))


def films(rows: list[Row]) -> str:
    """All rows for the one player, each under a caption."""
    share, parts, extent = MAX_BYTES // len(rows), [], extent_of(rows)
    for row in rows:
        n = len(row.samples.labels)
        right = "" if row.right is None else f", {int(row.right.sum())}/{len(row.right)} right"
        colour = plots.METHOD_COLOURS[row.method]
        caption = f"{words(row)}: NFE {row.samples.nfe:g}{right}"
        parts.append(film(row.samples, min(n, 20), caption, colour, share, extent))
    return payload(*parts)


def extent_of(rows: list[Row]) -> float:
    """How far from the origin any state of any row lies: all are drawn at one scale."""
    return 1.08 * max(row.samples.trajectory.states.abs().max().item() for row in rows)


def pictures(rows: list[Row]) -> list[Image.Image]:
    """The final samples of the rows."""
    extent = extent_of(rows)
    return [generate.picture(row.samples, extent) for row in rows]


def words(row: Row) -> str:
    """A row in words."""
    spec = row.spec
    how = f"tolerance {spec.tolerance:g}" if spec.steps is None else f"{spec.steps} step(s)"
    return f"{spec.model}, {spec.solver}, {how}, w = {spec.guidance:g}"


COLUMNS = {
    "NFE": lambda row: f"{row.samples.nfe:g}",
    "ms": lambda row: f"{1000 * row.seconds:.0f}",
    "accuracy": lambda row: "" if row.accuracy is None else f"{row.accuracy:.0%}",
    "straightness": lambda row: "" if row.straightness is None else f"{row.straightness:.3f}",
    "RMSE to reference": lambda row: "" if row.rmse is None else f"{row.rmse:.4f}",
}
SLOW = ("straightness", "RMSE to reference")


def table(rows: list[Row], pending: str = "…") -> str:
    """The numbers of the rows as an HTML table; `pending` stands for those not measured yet."""

    def cells(row: Row) -> list[str]:
        waits = row.warm_seconds is None
        shown = {title: column(row) or "&ndash;" for title, column in COLUMNS.items()}
        return [pending if waits and title in SLOW else cell for title, cell in shown.items()]

    lines = (Line(words(row), row.method, cells(row)) for row in rows)
    return tables.table(("row", *COLUMNS), lines)


def quality(rows: list[Row]) -> tuple[Figure | None, ...]:
    """Distance and accuracy that the cards of these models tell; milliseconds of these rows."""
    names = dict.fromkeys(row.spec.model for row in rows)
    curves = [
        plots.Curve(name, config.method, config.results.get("rows", []), floors(config))
        for name, config in ((name, load(name).config) for name in names)
    ]
    timings = [
        plots.Timing(words(row), row.method, row.samples.nfe, 1000 * row.seconds) for row in rows
    ]
    distance = plots.quality(curves, ("frechet_distance", "wasserstein_2"))
    accuracy = plots.quality(curves, ("class_accuracy",))
    return distance, accuracy, plots.timing(timings)


def floors(config: ModelConfig) -> dict[str, float]:
    """What real data reaches, by the name of the measure."""
    keys = {
        "frechet_distance": "floor_frechet_distance",
        "class_accuracy": "floor_accuracy",
        "wasserstein_2": "floor_wasserstein_2",
    }
    return {name: config.results[key] for name, key in keys.items() if key in config.results}


def models_of(data: str) -> dict[str, ModelConfig]:
    """The readable checkpoints of a data set."""
    return {name: c for name, c in configs().items() if c.data == data}


def link(comparison: Comparison, rows: list[Row]) -> str:
    """A link that brings the whole comparison back."""
    lines = [str(row.spec) for row in rows]
    shared = {"n": comparison.n, "label": comparison.label, "seed": comparison.seed}
    weights = revisions(row.samples.settings["revision"] for row in rows)
    query = urlencode({"compare": ",".join(lines)} | shared | {"rev": weights})
    return f'<div class="fd-link"><a href="?{html.escape(query)}">Link to this comparison</a></div>'


def revisions(names: Iterable[str]) -> str:
    """The weights of some rows, each once."""
    return ",".join(dict.fromkeys(names))


def comparison_from(query: dict[str, str]) -> Comparison:
    """The comparison of a link; ValueError for a wrong value."""
    kinds = {"n": int, "label": str, "seed": int}
    given = {key: kind(query[key]) for key, kind in kinds.items() if key in query}
    return Comparison("\n".join(query["compare"].split(",")), **given)
