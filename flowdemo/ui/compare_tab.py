"""The layout and the wiring of the Compare tab."""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import gradio as gr

from flowdemo import sheets
from flowdemo.compare import Row, completed
from flowdemo.ui import compare_controls, events, invert_tab, text
from flowdemo.ui.compare import (
    Comparison,
    View,
    comparison_from,
    first_comparison,
    measured,
    of_preset,
    pictures,
    quality,
    run,
    table,
    words,
)
from flowdemo.ui.compare_controls import Controls, default_n, updates
from flowdemo.ui.controls import catalogue
from flowdemo.ui.events import LANE, MEASURE, PRIVATE, QUICK, Components, randomized, stop_run
from flowdemo.ui.generate import ALL, load
from flowdemo.ui.player import player
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


OUTPUTS = len(Results.__dataclass_fields__)


def build(demo: gr.Blocks, tab: gr.Tab, tabs: gr.Tabs) -> None:
    """The tab; its first comparison is made when it is first opened."""
    data = next(iter(catalogue()))
    first = first_comparison(data)
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            controls = compare_controls.build(first, data)
            randomize = gr.Checkbox(False, label="Randomize seed", elem_id="c-randomize")
            with gr.Row():
                go = gr.Button("Compare", variant="primary", elem_id="c-go", min_width=100)
                stop = gr.Button("Stop", elem_id="c-stop", min_width=80)
            status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id="c-status")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            gr.Markdown(text.COMPARE, elem_classes="fd-caption")
            films = player("", "c-player")
            table = gr.HTML("", elem_id="c-table", elem_classes="fd-scroll")
            with gr.Row():
                link = gr.HTML("", elem_id="c-link")
                export = gr.Button(text.EXPORT_ROWS, elem_id="c-export", size="sm")
            files = gr.File(label="Files", file_count="multiple", visible=False, elem_id="c-files")
            with gr.Accordion("A/B: two rows on top of each other", open=False, elem_id="c-ab"):
                gr.Markdown(text.AB, elem_classes="fd-caption")
                late = {"allow_custom_value": True}  # the choice may be of the rows before
                with gr.Row():
                    left = gr.Dropdown([], label="A", elem_id="c-left", **late)
                    right = gr.Dropdown([], label="B", elem_id="c-right", **late)
                slider = gr.ImageSlider(
                    show_label=False, format="png", type="pil", interactive=False, buttons=[],
                    elem_classes="fd-samples", elem_id="c-slider",
                )  # fmt: skip
    gr.Markdown("#### Quality over NFE")
    with gr.Row():
        panels = [
            gr.Plot(show_label=False, elem_id=f"c-{name}", min_width=300)
            for name in ("distance", "accuracy", "timing")
        ]
    gr.Markdown(text.QUALITY, elem_classes="fd-caption")
    with gr.Accordion("What am I seeing?", open=False):
        gr.Markdown(text.EXPLAIN_COMPARE)
    with gr.Accordion("Inversion: a digit back to noise", open=False, elem_id="c-invert"):
        invert_tab.build()
    made = gr.State([], time_to_live=3600)
    results = Results(status, films, table, *panels, link, left, right, made)
    runs = wire(demo, (tab, tabs), controls, randomize, (go, stop), results)
    for changed in (*(each.success for each in runs), left.change, right.change):
        changed(beside, [made, left, right], slider, **QUICK)
    export.click(export_rows, made, files, **PRIVATE, **LANE)


def wire(
    demo: gr.Blocks, place: Any, controls: Controls, randomize: Any, buttons: Any, results: Results
) -> list[Any]:
    """What happens when something is pressed, chosen or opened; returns the events of runs."""
    (tab, tabs), (go, stop), values = place, buttons, controls.values
    switch = gr.State(Switch())
    waiting = {"show_progress_on": results.status, **PRIVATE, **LANE}
    runs = [
        go.click(randomized, [switch, randomize, controls.seed], controls.seed, **QUICK).then(
            press, [switch, *values], results.all, **waiting
        ),
        tab.select(opened, [switch, results.made, *values], results.all, **waiting),
    ]
    for control, choose in ((controls.data, choose_data), (controls.preset, choose_preset)):
        chosen = control.input(
            choose, [switch, controls.data, controls.preset, *values], controls.all, **QUICK
        )
        runs.append(chosen.success(press, [switch, *values], results.all, **waiting))
    linked = demo.load(open_link, None, [*controls.all, results.status, tabs], **PRIVATE)
    runs.append(linked.success(press_linked, [switch, *values], results.all, **waiting))
    for each in runs:
        each.success(
            measure, [switch, results.made],
            [results.table, results.distance, results.accuracy, results.timing, results.made],
            show_progress="hidden", **PRIVATE, **MEASURE,
        )  # fmt: skip
    stop.click(stop_run, switch, results.status, **QUICK)
    return runs


def press(switch: Switch, *values: Any) -> Iterator[list[Any]]:
    """A comparison as updates of the results; rows appear as they finish."""
    states = chain(run(comparison_of(values), switch.wanted()), [text.IDLE])
    yield from events.press(switch, states, fields, OUTPUTS)


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


def opened(switch: Switch, rows: list[Row], *values: Any) -> Iterator[list[Any]]:
    """The first comparison, when the tab is opened for the first time."""
    if rows:
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
        models = [load(spec.model) for spec in comparison.specs]
        for spec, model in zip(comparison.specs, models, strict=True):
            completed(spec, model)
        if not models:
            raise ValueError("it names no row")
        data = models[0].config.data
    except ValueError as error:
        message = f"The link cannot be used: {html.escape(str(error))}"
        return [*nothing, message, gr.Tabs(selected="compare")]
    changes = updates(comparison, data, gr.skip())
    return [*changes, text.IDLE, gr.Tabs(selected="compare")]


def press_linked(request: gr.Request, switch: Switch, *values: Any) -> Iterator[list[Any]]:
    """The comparison of a link; a page opened without one waits until the tab is opened."""
    if "compare" in request.query_params:
        for state in press(switch, *values):
            yield [gr.skip(), *state[1:]]  # the status may hold a note about the link
    else:
        yield [gr.skip()] * OUTPUTS


def beside(rows: list[Row], left: str | None, right: str | None) -> Any:
    """Two rows for the A/B slider."""
    numbers = {str(i + 1): i for i in range(len(rows))}
    chosen = [numbers.get((name or "").split(".")[0]) for name in (left, right)]
    if None in chosen:  # rows of before, or something typed
        return gr.skip()
    drawn = pictures(rows)
    return tuple(drawn[i] for i in chosen)


def export_rows(rows: list[Row]) -> Any:
    """PNG, JSON and CSV of the rows, in a new folder."""
    with spoken():
        if not rows:
            raise ValueError("There is no comparison to export: press Compare first.")
        return gr.update(value=sheets.export_all(rows, fresh_folder()), visible=True)
