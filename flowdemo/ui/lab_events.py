"""What happens in the 2-D Lab when something is pressed, chosen or opened."""

import html
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from flowdemo.data import OWN, dataset
from flowdemo.data.own import MAX_BYTES, fitted, parse_points
from flowdemo.lab import Source
from flowdemo.recipe import FIXED
from flowdemo.sampling import parse_label
from flowdemo.ui import events, lab_text, text
from flowdemo.ui.generate import ALL, ANY
from flowdemo.ui.lab import MAX_POINTS, View, run
from flowdemo.ui.lab_desk import Asked, Desk, titles
from flowdemo.ui.work import Switch, spoken

OUTPUTS = 4  # status, films, table, link
CONTROLS = len(Asked.__dataclass_fields__)
NOTHING = [gr.skip()] * OUTPUTS


def press(switch: Switch, desk: Desk, *values: Any) -> Iterator[list[Any]]:
    """The panels as updates of the results; the films first, the numbers as they are measured."""
    asked = asked_of(values)
    if asked.data == OWN and desk.points is None:
        yield [lab_text.OWN_FIRST, *NOTHING[1:]]
        return
    switch.begin()
    states = chain(run(asked, desk, switch.wanted()), [text.IDLE])
    yield from events.press(switch, states, lambda view: fields(view, asked), OUTPUTS)


def fields(view: View, asked: Asked) -> list[Any]:
    """A view in the order of the results."""
    films = gr.skip() if view.films is None else view.films
    return [gr.skip(), films, view.table, link(asked)]


def asked_of(values: tuple[Any, ...]) -> Asked:
    """The values of the controls; an emptied number counts as its smallest."""
    given = dict(zip(Asked.__dataclass_fields__, values, strict=True))
    whole = {
        key: max(low, int(given[key] or 0)) for key, low in (("n", 1), ("steps", 1), ("seed", 0))
    }
    return Asked(**given | whole | {"shown": tuple(given["shown"] or ())})


def opened(switch: Switch, desk: Desk, *values: Any) -> Iterator[list[Any]]:
    """The first films, when the tab is opened for the first time."""
    if switch.shown is None:
        yield from press(switch, desk, *values)
    else:
        yield NOTHING


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
        gr.update(choices=[ANY, ALL, *classes], value=ANY, visible=len(classes) > 1),
        gr.update(visible=len(classes) > 1),
    ]


def take_drawing(switch: Switch, desk: Desk, drawn: str | None) -> str:
    """The drawing, a table too, as this visitor's own points."""
    with spoken():
        if not (drawn := str(drawn or "")).strip():
            raise ValueError("nothing is drawn yet: draw with the mouse, then take the drawing")
        return keep(switch, desk, parse_points(drawn))


def take_table(switch: Switch, desk: Desk, file: str | None, table: str) -> str:
    """A CSV file, else the text, as this visitor's own points."""
    with spoken():
        if file:
            if Path(file).stat().st_size > MAX_BYTES:
                raise ValueError(f"the file is larger than {MAX_BYTES // 1_000_000} MB")
            table = Path(file).read_text(errors="replace")
        return keep(switch, desk, parse_points(table or ""))


def keep(switch: Switch, desk: Desk, points: Any) -> str:
    """Own points on the desk; what was trained on others goes."""
    desk.points = fitted(points)
    desk.runs = {t: m for t, m in desk.runs.items() if m.config.data != OWN}
    switch.begin()
    return f"{len(points)} points taken, moved and scaled to the size of the other sets."


def link(asked: Asked) -> str:
    """A link that brings these panels back; own points and own models stay with their visitor."""
    if asked.data == OWN:
        return ""
    shared = {key: value for key, value in vars(asked).items() if key not in ("data", "shown")}
    shown = ",".join(title for title in asked.shown if not title.startswith("yours"))
    query = urlencode({"lab": asked.data, "shown": shown} | shared)
    return f'<div class="fd-link"><a href="?{html.escape(query)}">Link to these panels</a></div>'


def asked_from(query: dict[str, str]) -> Asked:
    """The panels of a link; ValueError for a wrong value."""
    kinds = {"n": int, "label": str, "guidance": float, "solver": str, "steps": int, "seed": int}
    given = {key: kind(query[key]) for key, kind in kinds.items() if key in query}
    shown = tuple(filter(None, query.get("shown", "").split(",")))
    asked = Asked(query["lab"], shown, **given)
    parse_label(asked.label, Source(asked.data).info.classes)
    if asked.solver not in FIXED:
        raise ValueError(f"no fixed-step solver '{asked.solver}'")
    if not (1 <= asked.n <= MAX_POINTS and 1 <= asked.steps <= 100 and 1 <= asked.guidance <= 4):
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
        "guidance": guidance | {"value": asked.guidance},
    }
    return [gr.skip(), *values.values(), text.IDLE, gr.Tabs(selected="lab")]


def press_linked(
    request: gr.Request, switch: Switch, desk: Desk, *values: Any
) -> Iterator[list[Any]]:
    """The panels of a link; a page opened without one waits until the tab is opened."""
    if "lab" in request.query_params:
        for state in press(switch, desk, *values):
            yield [gr.skip(), *state[1:]]  # the status may hold a note about the link
    else:
        yield NOTHING
