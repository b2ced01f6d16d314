"""What happens in the 2-D Lab when something is pressed, chosen or opened."""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from torch import Tensor

from flowdemo.data import OWN, dataset
from flowdemo.data.own import MAX_BYTES, parse_points
from flowdemo.lab import Source
from flowdemo.solvers import FIXED
from flowdemo.ui import events, lab_text, text
from flowdemo.ui.compare import revisions
from flowdemo.ui.events import Components
from flowdemo.ui.generate import ALL, ANY
from flowdemo.ui.lab import MAX_POINTS, View, measured, run, table
from flowdemo.ui.lab_desk import EXACT, Asked, Desk, Shown, titles
from flowdemo.ui.models import load
from flowdemo.ui.work import Stopped, Switch, spoken

CONTROLS = len(Asked.__dataclass_fields__)


@dataclass(frozen=True)
class Results(Components):
    """What a run changes."""

    status: gr.HTML
    films: gr.HTML
    table: gr.HTML
    link: gr.HTML
    made: gr.State


OUTPUTS = len(Results.__dataclass_fields__)
NOTHING = [gr.skip()] * OUTPUTS


def press(switch: Switch, desk: Desk, *values: Any) -> Iterator[list[Any]]:
    """The panels as updates of the results; their numbers follow by `measure`."""
    asked = asked_of(values)
    if asked.data == OWN and desk.points is None:
        yield [lab_text.OWN_FIRST, *NOTHING[1:]]
    else:
        yield from events.press(switch, run(asked, desk, switch.wanted()), fields, OUTPUTS)


def fields(view: View) -> list[Any]:
    """A view in the order of the results."""
    return [view.note or text.IDLE, view.films, view.table, link(view.shown), view.shown]


def measure(switch: Switch, shown: Shown | None) -> Iterator[Any]:
    """The table with the slow numbers, one panel after the other."""
    mine, wanted = switch.newest, switch.wanted()
    yield gr.skip()
    if shown is None or shown is not switch.shown:
        return
    panels = shown.panels
    with spoken():
        try:
            for state in measured(shown, wanted):
                if state is not None:
                    panels = state
                    yield table(panels)
        except Stopped:
            if switch.newest == mine:  # else another run has the table now
                yield table(panels, pending="&ndash;")


def asked_of(values: tuple[Any, ...]) -> Asked:
    """The values of the controls; an emptied number counts as its smallest."""
    given = dict(zip(Asked.__dataclass_fields__, values, strict=True))
    smallest = {"n": 1, "steps": 1, "seed": 0}
    whole = {key: max(low, int(given[key] or 0)) for key, low in smallest.items()}
    return Asked(**given | whole | {"shown": tuple(given["shown"] or ())})


def opened(request: gr.Request, switch: Switch, desk: Desk, *values: Any) -> Iterator[list[Any]]:
    """The first films, when the tab is opened for the first time; a link makes its own."""
    if switch.shown is None and "lab" not in request.query_params:
        switch.begin()
        yield from press(switch, desk, *values)
    else:
        yield NOTHING


def refresh(desk: Desk, data: str, shown: list[str]) -> Any:
    """The models to choose from: another tab may have saved or removed one since."""
    known = titles(data, desk)
    return gr.update(choices=known, value=[title for title in shown or [] if title in known])


def choose_data(switch: Switch, desk: Desk, data: str) -> list[Any]:
    """What is offered for other data: own points, models, classes; begins a run."""
    switch.begin()
    with spoken():
        return [gr.update(visible=data == OWN), *offered(data, desk)]


def offered(data: str, desk: Desk) -> list[Any]:
    """The updates of models, classes and weight."""
    known, classes = titles(data, desk), dataset(data).classes
    return [
        gr.update(choices=known, value=known[:4]),
        gr.update(choices=label_choices(data), value=ANY, visible=len(classes) > 1),
        gr.update(visible=len(classes) > 1, interactive=False),
    ]


def label_choices(data: str) -> list[str]:
    return [ANY, ALL, *dataset(data).classes]


def take_drawing(switch: Switch, desk: Desk, drawn: str | None) -> list[Any]:
    """The drawing, a table too, as this visitor's own points."""
    with spoken():
        if not (drawn := str(drawn or "")).strip():
            raise ValueError("nothing is drawn yet: draw with the mouse, then take the drawing")
        return keep(switch, desk, parse_points(drawn))


def take_table(switch: Switch, desk: Desk, file: str | None, table: str) -> list[Any]:
    """A CSV file, else the text, as this visitor's own points; the file is then put away."""
    with spoken():
        if file:
            if Path(file).stat().st_size > MAX_BYTES:
                raise ValueError(f"the file is larger than {MAX_BYTES // 1_000_000} MB")
            table = Path(file).read_text(errors="replace")
        return [*keep(switch, desk, parse_points(table or "")), None]


def keep(switch: Switch, desk: Desk, points: Tensor) -> list[Any]:
    """Own points on the desk: what is said of them, and the models that are left to choose."""
    desk.take(points)
    switch.begin()
    said = f"{len(points)} points taken, moved and scaled to the size of the other sets."
    known = titles(OWN, desk)
    return [said, gr.update(choices=known, value=known[:4])]


def link(shown: Shown) -> str:
    """A link that brings these panels back; own points and own models stay with their visitor."""
    asked = shown.asked
    if asked.data == OWN:
        return ""
    own = [panel.title for panel in shown.panels if panel.title.startswith("yours")]
    shared = {key: value for key, value in vars(asked).items() if key not in ("data", "shown")}
    named = ",".join(title for title in asked.shown if title not in own)
    shipped = (panel for panel in shown.panels if panel.title not in (EXACT, *own))
    weights = revisions(panel.model.revision for panel in shipped)
    query = urlencode({"lab": asked.data, "shown": named} | shared | {"rev": weights})
    return f'<div class="fd-link"><a href="?{html.escape(query)}">Link to these panels</a></div>'


def asked_from(query: dict[str, str]) -> Asked:
    """The panels of a link; ValueError for a wrong value."""
    kinds = {"n": int, "label": str, "guidance": float, "solver": str, "steps": int, "seed": int}
    given = {key: kind(query[key]) for key, kind in kinds.items() if key in query}
    shown = tuple(filter(None, query.get("shown", "").split(",")))
    asked = Asked(query["lab"], shown, **given)
    Source(asked.data)  # a set of the plane, and not one's own points
    if asked.solver not in FIXED:
        raise ValueError(f"no fixed-step solver '{asked.solver}'")
    if asked.label not in label_choices(asked.data):
        raise ValueError(f"no class '{asked.label}' of {asked.data}")
    ranges = ((asked.n, 10, MAX_POINTS), (asked.steps, 1, 100), (asked.guidance, 1, 4))
    if asked.seed < 0 or not all(low <= value <= high for value, low, high in ranges):
        raise ValueError("a number lies outside what its control offers")
    return asked


def open_link(request: gr.Request) -> list[Any]:
    """The controls of a link's query, and this tab; without one everything stays as it is."""
    query, nothing = dict(request.query_params), [gr.skip()] * (CONTROLS + 1)
    if "lab" not in query:
        return [*nothing, gr.skip(), gr.skip()]
    try:
        asked = asked_from(query)
    except ValueError as error:
        message = f"The link cannot be used: {html.escape(str(error))}"
        return [*nothing, message, gr.Tabs(selected="lab")]
    known = titles(asked.data, Desk())
    shown = [title for title in asked.shown if title in known] or known[:4]
    models, label, guidance = offered(asked.data, Desk())
    values = vars(asked) | {
        "shown": models | {"value": shown},
        "label": label | {"value": asked.label},
        "guidance": guidance | {"value": asked.guidance, "interactive": asked.label != ANY},
    }
    weights = revisions(load(title).revision for title in shown if title != EXACT)
    note = events.other_weights(query.get("rev") or None, weights)
    return [gr.skip(), *values.values(), note or text.IDLE, gr.Tabs(selected="lab")]


def press_linked(
    request: gr.Request, switch: Switch, desk: Desk, *values: Any
) -> Iterator[list[Any]]:
    """The panels of a link; a page opened without one waits until the tab is opened."""
    if "lab" in request.query_params:
        for state in press(switch, desk, *values):
            yield [gr.skip(), *state[1:]]  # the status may hold a note about the link
    else:
        yield NOTHING
