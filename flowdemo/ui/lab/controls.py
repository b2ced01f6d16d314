"""The controls of the 2-D Lab: data, models, own points, and what all panels share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from torch import Tensor

from flowdemo.core.solvers import FIXED
from flowdemo.data import DATASETS, OWN, dataset
from flowdemo.data.points import MAX_BYTES, parse_points
from flowdemo.evaluation.fields import Source
from flowdemo.sampling.request import ALL, ANY, Request
from flowdemo.ui.generate.controls import SEED
from flowdemo.ui.lab import text as lab_text
from flowdemo.ui.lab.workspace import EXACT, Workspace
from flowdemo.ui.shared.models import load
from flowdemo.ui.shared.runner import Components
from flowdemo.ui.shared.work import Switch, spoken

HERE = Path(__file__).parent
FIRST = "moons"
MAX_POINTS, MAX_STEPS, MAX_GUIDANCE = 1000, 100, 4.0
SHOWN = 4  # models that are shown at first
SHARED = Request(n=500, label=ANY, guidance=1.0, solver="euler", steps=20, seed=SEED)


@dataclass(frozen=True)
class Panels:
    """What is asked for: models of a data set by title, and the request that all panels share."""

    workspace: Workspace
    data: str
    titles: tuple[str, ...] = ()
    request: Request = SHARED


@dataclass(frozen=True)
class Controls(Components):
    """The components, in the order of `read`."""

    data: gr.Radio
    shown: gr.CheckboxGroup
    n: gr.Slider
    label: gr.Radio
    guidance: gr.Slider
    solver: gr.Dropdown
    steps: gr.Slider
    seed: gr.Number


@dataclass(frozen=True)
class Own(Components):
    """Where one's own points come from."""

    box: gr.Column
    pad: gr.HTML
    take_drawing: gr.Button
    file: gr.File
    table: gr.Textbox
    take_table: gr.Button


def read(
    workspace: Workspace, data: str, titles: list[str] | None, n: int | None, label: str,
    guidance: float, solver: str, steps: int | None, seed: int | None,
) -> Panels:  # fmt: skip
    """The panels that the controls ask for; an emptied number counts as its smallest."""
    how = {"solver": solver, "steps": max(1, int(steps or 0)), "seed": max(0, int(seed or 0))}
    request = Request("", max(1, int(n or 0)), label, guidance, **how)
    return Panels(workspace, data, tuple(titles or ()), request)


def asked_from(query: dict[str, str]) -> Panels:
    """The panels of a link; ValueError for a wrong value."""
    given = {k: v for k, v in vars(Request.from_query(query)).items() if v is not None}
    request, data = replace(SHARED, **given | {"model": ""}), query["lab"]
    Source(data)  # a set of the plane, and not one's own points
    if request.solver not in FIXED:
        raise ValueError(f"no fixed-step solver '{request.solver}'")
    if request.label not in label_choices(data):
        raise ValueError(f"no class '{request.label}' of {data}")
    ranges = (
        (request.n, 10, MAX_POINTS),
        (request.steps, 1, MAX_STEPS),
        (request.guidance, 1, MAX_GUIDANCE),
    )
    if request.seed < 0 or not all(low <= value <= high for value, low, high in ranges):
        raise ValueError("a number lies outside what its control offers")
    titles = tuple(filter(None, query.get("shown", "").split(",")))
    return Panels(Workspace(), data, titles, request)


def opened_by(query: dict[str, str]) -> tuple[list[Any], str]:
    """The updates of the own points' box and the controls by a link, and the revisions."""
    asked = asked_from(query)
    request, known = asked.request, Workspace().titles(asked.data)
    titles = [title for title in asked.titles if title in known] or known[:SHOWN]
    models, label, guidance = offered(Workspace(), asked.data)
    changes = [
        gr.skip(),
        asked.data,
        models | {"value": titles},
        request.n,
        label | {"value": request.label},
        guidance | {"value": request.guidance, "interactive": request.label != ANY},
        request.solver,
        request.steps,
        request.seed,
    ]
    weights = dict.fromkeys(load(title).revision for title in titles if title != EXACT)
    return changes, ",".join(weights)


def refresh(workspace: Workspace, data: str, shown: list[str]) -> Any:
    """The models to choose from: another tab may have saved or removed one since."""
    known = workspace.titles(data)
    return gr.update(choices=known, value=[title for title in shown or [] if title in known])


def choose_data(switch: Switch, workspace: Workspace, data: str) -> list[Any]:
    """What is offered for other data: own points, models, classes; begins a run."""
    switch.begin()
    with spoken():
        return [gr.update(visible=data == OWN), *offered(workspace, data)]


def offered(workspace: Workspace, data: str) -> list[Any]:
    """The updates of models, classes and weight."""
    known, classes = workspace.titles(data), dataset(data).classes
    return [
        gr.update(choices=known, value=known[:SHOWN]),
        gr.update(choices=label_choices(data), value=ANY, visible=len(classes) > 1),
        gr.update(visible=len(classes) > 1, interactive=False),
    ]


def label_choices(data: str) -> list[str]:
    return [ANY, ALL, *dataset(data).classes]


def take_drawing(switch: Switch, workspace: Workspace, drawn: str | None) -> list[Any]:
    """The drawing, a table too, as this visitor's own points."""
    with spoken():
        if not (drawn := str(drawn or "")).strip():
            raise ValueError("nothing is drawn yet: draw with the mouse, then take the drawing")
        return keep(switch, workspace, parse_points(drawn))


def take_table(switch: Switch, workspace: Workspace, file: str | None, table: str) -> list[Any]:
    """A CSV file, else the text, as this visitor's own points; the file is then put away."""
    with spoken():
        if file:
            if Path(file).stat().st_size > MAX_BYTES:
                raise ValueError(f"the file is larger than {MAX_BYTES // 1_000_000} MB")
            table = Path(file).read_text(errors="replace")
        return [*keep(switch, workspace, parse_points(table or "")), None]


def keep(switch: Switch, workspace: Workspace, points: Tensor) -> list[Any]:
    """Keeps own points: what is said of them, and the models that are left to choose."""
    workspace.take(points)
    switch.begin()
    said = f"{len(points)} points taken, moved and scaled to the size of the other sets."
    known = workspace.titles(OWN)
    return [said, gr.update(choices=known, value=known[:SHOWN])]


def build() -> tuple[Controls, Own]:
    """Lays out data, one's own points, and what all panels share."""
    sets = [(d.title, name) for name, d in DATASETS.items() if not d.is_image]
    data = gr.Radio(sets, value=FIRST, label="Data", elem_id="l-data")
    own = layout_own()
    known = Workspace().titles(FIRST)
    shown = gr.CheckboxGroup(known, value=known[:SHOWN], label="Models", elem_id="l-shown")
    label = gr.Radio(label_choices(FIRST), value=ANY, label="Class", elem_id="l-label")
    guidance = gr.Slider(
        1, MAX_GUIDANCE, SHARED.guidance, step=0.1, label="CFG weight", interactive=False,
        elem_id="l-guidance",
    )  # fmt: skip
    solver = gr.Dropdown(
        list(FIXED), value=SHARED.solver, label="Solver of velocities", elem_id="l-solver"
    )
    whole = {"precision": 0}
    steps = gr.Slider(1, MAX_STEPS, SHARED.steps, step=1, label="Steps", elem_id="l-steps", **whole)
    n = gr.Slider(10, MAX_POINTS, SHARED.n, step=10, label="Points", elem_id="l-n", **whole)
    seed = gr.Number(SHARED.seed, label="Seed", minimum=0, elem_id="l-seed", **whole)
    return Controls(data, shown, n, label, guidance, solver, steps, seed), own


def layout_own() -> Own:
    """A pad to draw on, and a table to bring."""
    with gr.Column(visible=False, elem_id="l-own") as box:
        gr.Markdown(lab_text.PAD, elem_classes="fd-caption")
        pad = gr.HTML(
            "",
            html_template=(HERE / "pad.html").read_text(),
            js_on_load=(HERE / "pad.js").read_text(),
            elem_id="l-pad",
        )
        draw = gr.Button("Take the drawing", size="sm", elem_id="l-take-drawing")
        file = gr.File(label="A CSV file", file_types=[".csv", ".txt"], height=90, elem_id="l-file")
        table = gr.Textbox(
            label="or its text", info=lab_text.TABLE_HELP, lines=3, max_lines=6, elem_id="l-csv"
        )
        take = gr.Button("Take the table", size="sm", elem_id="l-take-table")
    return Own(box, pad, draw, file, table, take)
