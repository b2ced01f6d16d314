"""The HTTP endpoints, with the names and arguments of the command line."""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr

from flowdemo import checkpoints
from flowdemo.evaluation import compare as engine
from flowdemo.evaluation.report import straightness_of
from flowdemo.hub import download
from flowdemo.hub import models as inventory
from flowdemo.model import Model
from flowdemo.output import comparisons, images
from flowdemo.sampling.request import ANY, Request
from flowdemo.settings import is_public, max_rows
from flowdemo.ui.models import listing as shelf
from flowdemo.ui.shared import gpu
from flowdemo.ui.shared.models import budget, load
from flowdemo.ui.shared.runner import LANE, MEASURE
from flowdemo.ui.shared.work import TIMED, fresh_folder, spoken, yielding


def build() -> None:
    """Hidden components, one a parameter, behind `/generate`, `/compare`, `/models` and `/pull`."""
    with gr.Column(visible=False):
        inputs = [
            gr.Textbox("mnist-meanflow", label="model"),
            gr.Number(16, precision=0, label="n"),
            gr.Textbox("all", label="label"),
            gr.Number(None, label="guidance"),
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
    guidance: float | None = None,
    solver: str = "",
    steps: int = 0,
    tolerance: float = 0.0,
    seed: int = 0,
) -> tuple[list[str], dict[str, Any]]:
    """Draws n samples: files (PNG, GIF, WebP, NPZ, JSON) and the numbers of the run.

    No guidance, an empty solver, 0 steps and tolerance 0 mean the model's own defaults.
    """
    how = {"solver": solver or None, "steps": steps or None, "tolerance": tolerance or None}
    request = Request("", int(n or 0), label or ANY, guidance, seed=int(seed or 0), **how)
    with spoken():
        loaded = have(model)
        samples, note = gpu.draw(loaded, request)
    made = samples.settings | {"nfe": samples.nfe, "seconds": samples.seconds}
    made |= {"note": note} if note else {}
    if loaded.is_followed:
        made |= {"straightness": straightness_of(loaded, samples)}
    with spoken():
        return images.export_all(samples, fresh_folder(), loaded.name), json.loads(json.dumps(made))


def compare(
    spec: str, n: int = 10, label: str = "all", seed: int = 0
) -> tuple[list[str], list[dict[str, Any]]]:
    """The same noise through several rows MODEL:solver:steps[:guidance], one a line or with commas.

    Files (PNG, JSON, CSV) and the numbers of the rows.
    """
    with spoken():
        shared = {"n": int(n or 0), "label": label or ANY, "seed": int(seed or 0)}
        lines = filter(None, spec.replace(",", "\n").split("\n"))
        requests = [Request.parse(line, **shared) for line in lines]
        loaded, complete = engine.resolve(requests, have, max_rows(engine.MAX_ROWS))
        most = min(map(budget, loaded))
        made = timed(engine.compare(loaded, complete, max_evaluations=most))
        done = [engine.measure(row, yielding(ignore)) for row in made]
        numbers = [row.numbers() for row in done]
        return comparisons.export_all(done, fresh_folder()), json.loads(json.dumps(numbers))


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
        for _ in download.fetch(name):
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
