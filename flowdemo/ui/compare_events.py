"""What happens in the Compare tab when something is pressed, chosen or opened."""

import html
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import gradio as gr

from flowdemo import sheets
from flowdemo.compare import Row, completed
from flowdemo.ui import events, near_box, text
from flowdemo.ui.compare import (
    Comparison,
    View,
    comparison_from,
    measured,
    pictures,
    quality,
    revisions,
    run,
    table,
    words,
)
from flowdemo.ui.compare_controls import Controls, default_n, of_preset, updates
from flowdemo.ui.events import Components, other_weights
from flowdemo.ui.generate import ALL
from flowdemo.ui.models import known, load
from flowdemo.ui.near import near
from flowdemo.ui.work import Stopped, Switch, fresh_folder, spoken


@dataclass(frozen=True)
class Results(Components):
    """What a comparison changes."""

    status: gr.HTML
    films: gr.HTML
    table: gr.HTML
    distance: gr.Plot
    accuracy: gr.Plot
    timing: gr.Plot
    link: gr.HTML
    left: gr.Dropdown
    right: gr.Dropdown
    made: gr.State

    @property
    def measured(self) -> list[Any]:
        """What the slow numbers change."""
        return [self.table, self.distance, self.accuracy, self.timing, self.made]


PROMISED = "promised"  # in the place of the rows on the page: they are about to be made
OUTPUTS = len(Results.__dataclass_fields__)


def press(switch: Switch, *values: Any) -> Iterator[list[Any]]:
    """A comparison as updates of the results; rows appear as they finish."""
    states = chain(run(comparison_of(values), switch.wanted()), [text.IDLE])
    yield from events.press(switch, states, fields, OUTPUTS)


def fetch(switch: Switch, rows: str) -> Iterator[Any]:
    """Has the models of the rows that are not here; what is wrong with a row the run will say."""
    names = []
    with suppress(ValueError):
        names = [spec.model for spec in Comparison(rows).specs]
    yield from events.fetch(switch, names)


def fetch_linked(request: gr.Request, switch: Switch, rows: str) -> Iterator[Any]:
    """The same for a page that was opened with a link."""
    yield from fetch(switch, rows if "compare" in request.query_params else "")


def fields(view: View) -> list[Any]:
    """A view in the order of the results."""
    names = [f"{i + 1}. {words(row)}" for i, row in enumerate(view.rows)]
    left = gr.update(choices=names, value=names[0])
    right = gr.update(choices=names, value=names[-1])
    return [
        gr.skip(), view.films, view.table, *shown(view.quality), view.link, left, right, view.rows,
    ]  # fmt: skip


def shown(figures: tuple[Any, ...]) -> list[Any]:
    """Plots; what was measured nowhere has none."""
    return [gr.update(value=figure, visible=figure is not None) for figure in figures]


def measure(switch: Switch, rows: list[Row]) -> Iterator[list[Any]]:
    """Table, plot and rows with the slow numbers, one row after the other."""
    mine, wanted = switch.newest, switch.wanted()
    yield [gr.skip()] * 5
    if rows is not switch.shown:
        return
    with spoken():
        try:
            for state in measured(rows, wanted):
                if state is not None:
                    rows = switch.shown = state
                    yield [table(rows), *shown(quality(rows)), rows]
        except Stopped:
            if switch.newest == mine:  # else another comparison has the table now
                yield [table(rows, pending="&ndash;"), *[gr.skip()] * 3, rows]


def opened(
    request: gr.Request, switch: Switch, rows: list[Row], *values: Any
) -> Iterator[list[Any]]:
    """The first comparison, when the tab is opened for the first time.

    A link makes its own, and so does another tab that opens this one.
    """
    if (
        rows
        or switch.shown == PROMISED
        or ("compare" in request.query_params and switch.shown is None)
    ):
        yield [gr.skip()] * OUTPUTS
        return
    switch.begin()
    yield from press(switch, *values)


def comparison_of(values: tuple[Any, ...]) -> Comparison:
    """The values of the controls; an emptied number counts as its smallest."""
    given = dict(zip(Comparison.__dataclass_fields__, values, strict=True))
    whole = {key: int(given[key] or 0) for key in ("n", "seed")}
    return Comparison(**given | whole)


def choose_preset(switch: Switch, data: str, preset: str, *values: Any) -> list[Any]:
    """Begins a comparison with the rows of a preset."""
    switch.begin()
    with spoken():
        return updates(of_preset(preset, data, comparison_of(values)), data, preset)


def choose_data(switch: Switch, data: str, preset: str, *values: Any) -> list[Any]:
    """The same after other data was chosen: only the seed stays."""
    seed = comparison_of(values).seed
    fresh = Comparison("", default_n(data), ALL, seed)
    return choose_preset(switch, data, preset, *vars(fresh).values())


def open_link(request: gr.Request) -> list[Any]:
    """The controls of a link's query, and this tab; without one everything stays as it is."""
    query, nothing = dict(request.query_params), [gr.skip()] * len(Controls.__dataclass_fields__)
    if "compare" not in query:
        return [*nothing, gr.skip(), gr.skip()]
    try:
        comparison = comparison_from(query)
        models = [known(spec.model) for spec in comparison.specs]
        for spec, model in zip(comparison.specs, models, strict=True):
            completed(spec, model)
        if not models:
            raise ValueError("it names no row")
        data = models[0].config.data
    except ValueError as error:
        message = f"The link cannot be used: {html.escape(str(error))}"
        return [*nothing, message, gr.Tabs(selected="compare")]
    changes = updates(comparison, data, gr.skip())
    note = other_weights(query.get("rev"), revisions(model.revision for model in models))
    return [*changes, note or text.IDLE, gr.Tabs(selected="compare")]


def press_linked(request: gr.Request, switch: Switch, *values: Any) -> Iterator[list[Any]]:
    """The comparison of a link; a page opened without one waits until the tab is opened."""
    if "compare" in request.query_params:
        for state in press(switch, *values):
            yield [gr.skip(), *state[1:]]  # the status may hold a note about the link
    else:
        yield [gr.skip()] * OUTPUTS


def beside(rows: list[Row], left: str | None, right: str | None) -> Any:
    """Two rows for the A/B slider."""
    chosen = [named(rows, name) for name in (left, right)]
    if None in chosen:
        return gr.skip()
    drawn = pictures(rows)
    return tuple(drawn[i] for i in chosen)


def nearest(rows: list[Row], name: str | None) -> list[Any]:
    """The nearest real images of a row."""
    i = named(rows, name)
    if i is None:
        return [gr.skip()] * 3
    return near_box.fields(near(load(rows[i].spec.model), rows[i].samples))


def named(rows: list[Row], name: str | None) -> int | None:
    """The place of a row by its name in the A/B choices; None if it is of rows before, or typed."""
    numbers = {str(i + 1): i for i in range(len(rows))}
    return numbers.get((name or "").split(".")[0])


def export_rows(rows: list[Row]) -> Any:
    """PNG, JSON and CSV of the rows, in a new folder."""
    with spoken():
        if not rows:
            raise ValueError("There is no comparison to export: press Compare first.")
        return gr.update(value=sheets.export_all(rows, fresh_folder()), visible=True)
