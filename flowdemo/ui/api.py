"""The HTTP endpoints, with the names and arguments of the command line."""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr

from flowdemo import checkpoints, exports, inventory, library, sheets
from flowdemo import compare as engine
from flowdemo.evaluation.report import straightness_of
from flowdemo.model import Model
from flowdemo.sampling import parse_label
from flowdemo.settings import is_public, max_rows
from flowdemo.ui import gpu, shelf
from flowdemo.ui.events import LANE, MEASURE
from flowdemo.ui.models import budget, load
from flowdemo.ui.work import TIMED, fresh_folder, spoken, yielding


def build() -> None:
    """Hidden components, one a parameter, behind `/generate`, `/compare`, `/models` and `/pull`."""
    with gr.Column(visible=False):
        inputs = [
            gr.Textbox("mnist-meanflow", label="model"),
            gr.Number(16, precision=0, label="n"),
            gr.Textbox("all", label="label"),
            gr.Number(1.0, label="guidance"),
            gr.Textbox("", label="solver"),
            gr.Number(0, precision=0, label="steps"),
            gr.Number(0, label="tolerance"),
            gr.Number(0, precision=0, label="seed"),
        ]
        files, numbers = gr.File(file_count="multiple"), gr.JSON()
        gr.Button().click(generate, inputs, [files, numbers], api_name="generate", **LANE)
        asked = [
            gr.Textbox(label="spec"),
            gr.Number(10, precision=0, label="n"),
            gr.Textbox("all", label="label"),
            gr.Number(0, precision=0, label="seed"),
        ]
        gr.Button().click(compare, asked, [files, numbers], api_name="compare", **MEASURE)
        gr.Button().click(models, None, gr.JSON(), api_name="models", queue=False)
        repo = gr.Textbox(label="repo")
        waiting = {"concurrency_limit": 2, "concurrency_id": "hub"}
        gr.Button().click(pull, repo, gr.JSON(), api_name="pull", **waiting)


def generate(
    model: str,
    n: int = 16,
    label: str = "all",
    guidance: float = 1.0,
    solver: str = "",
    steps: int = 0,
    tolerance: float = 0.0,
    seed: int = 0,
) -> tuple[list[str], dict[str, Any]]:
    """Draws n samples: files (PNG, GIF, WebP, NPZ, JSON) and the numbers of the run.

    An empty solver, 0 steps and tolerance 0 mean the model's own defaults.
    """
    with spoken():
        loaded = have(model)
        samples, note = gpu.draw(
            loaded,
            int(n or 0),
            parse_label(label or "any", loaded.config.classes),
            float(guidance or 0),
            solver or None,
            steps or None,
            int(seed or 0),
            tolerance=tolerance or None,
            watch=ignore,
        )
    made = samples.settings | {"nfe": samples.nfe, "seconds": samples.seconds}
    made |= {"note": note} if note else {}
    if loaded.is_followed:
        made |= {"straightness": straightness_of(loaded, samples)}
    with spoken():
        return exports.export_all(samples, fresh_folder(), loaded.name), json.loads(
            json.dumps(made)
        )


def compare(
    spec: str, n: int = 10, label: str = "all", seed: int = 0
) -> tuple[list[str], list[dict[str, Any]]]:
    """The same noise through several rows MODEL:solver:steps[:guidance], one a line or with commas.

    Files (PNG, JSON, CSV) and the numbers of the rows.
    """
    with spoken():
        specs = [engine.parse_spec(part) for part in spec.replace(",", "\n").split("\n") if part]
        loaded, complete = engine.resolve(specs, have, max_rows(engine.MAX_ROWS))
        rows = engine.compare(
            loaded,
            complete,
            int(n or 0),
            parse_label(label or "any", loaded[0].config.classes),
            int(seed or 0),
            max_evaluations=min(map(budget, loaded)),
        )
        made = zip(timed(rows), loaded, strict=True)
        done = [engine.measure(row, model, yielding(ignore)) for row, model in made]
        numbers = [engine.as_dict(row) for row in done]
        return sheets.export_all(done, fresh_folder()), json.loads(json.dumps(numbers))


def timed(rows: Iterator[engine.Row]) -> Iterator[engine.Row]:
    """The rows, each drawn while no other timed run goes on."""
    while True:
        with TIMED:
            row = next(rows, None)
        if row is None:
            return
        yield row


def ignore(done: int) -> None:
    """Nobody watches a request over HTTP."""


def have(name: str) -> Model:
    """The model of that name; at home it is had from the Hub, strangers ask for that by `/pull`."""
    name = name or ""
    if not is_public():
        for _ in library.fetch(name):
            pass
    return load(name)


def pull(repo: str) -> dict[str, Any]:
    """Has a model from the Hub: a name of `/models`, or name/model[@commit]. Returns what it is."""
    with spoken():
        for _ in shelf.pulling(repo or "", lambda: True):
            pass
        name = repo.strip()
        return json.loads(json.dumps(inventory.described(name, checkpoints.folder_of(name))))


def models() -> list[dict[str, Any]]:
    """Every model that can be had: name, data set, method, where it is, measured numbers."""
    return shelf.rows()
