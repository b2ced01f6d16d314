"""The HTTP endpoints of the 2-D Lab: what a client trains is that client's alone."""

import csv
from pathlib import Path
from typing import Any

import gradio as gr

from flowdemo import checkpoints
from flowdemo.data import OWN
from flowdemo.data.points import parse_points
from flowdemo.evaluation.fields import report
from flowdemo.output import images
from flowdemo.sampling.request import ANY, Request
from flowdemo.sampling.run import run
from flowdemo.settings import max_evaluations
from flowdemo.training.live import LabTraining, check_lab_training
from flowdemo.ui.lab.controls import MAX_POINTS
from flowdemo.ui.lab.train import View, read, train
from flowdemo.ui.lab.workspace import EXACT, Workspace
from flowdemo.ui.shared.runner import LANE, TRAIN
from flowdemo.ui.shared.work import TIMED, fresh_folder, spoken


def build() -> None:
    """Hidden components behind `/lab_train` and `/lab_sample`; a workspace is a client's session."""
    workspace = gr.State(Workspace(), time_to_live=3600)  # a client that is gone says nothing
    with gr.Column(visible=False):
        made = [gr.File(file_count="multiple"), gr.JSON()]
        given = [workspace, *train_inputs()]
        gr.Button().click(lab_train, given, made, api_name="lab_train", **TRAIN)
        given = [workspace, *sample_inputs()]
        gr.Button().click(lab_sample, given, made, api_name="lab_sample", **LANE)


def train_inputs() -> list[gr.components.Component]:
    """The arguments of `/lab_train`, as `LabTraining` has them."""
    own = LabTraining("moons")
    texts = ("data", "method", "path", "coupling", "times", "loss")
    return [
        *(gr.Textbox(getattr(own, name), label=name) for name in texts),
        gr.Number(own.steps, precision=0, label="steps"),
        gr.Number(own.seed, precision=0, label="seed"),
        gr.Textbox("", label="points"),
    ]


def sample_inputs() -> list[gr.components.Component]:
    """The arguments of `/lab_sample`."""
    return [
        gr.Textbox("moons", label="data"),
        gr.Textbox("", label="model"),
        gr.Number(500, precision=0, label="n"),
        gr.Textbox("any", label="label"),
        gr.Number(1.0, label="guidance"),
        gr.Textbox("", label="solver"),
        gr.Number(0, precision=0, label="steps"),
        gr.Number(0, precision=0, label="seed"),
    ]


def lab_train(
    workspace: Workspace,
    data: str = "moons",
    method: str = "flow-matching",
    path: str = "linear",
    coupling: str = "independent",
    times: str = "uniform",
    loss: str = "squared",
    steps: int = 1500,
    seed: int = 0,
    points: str = "",
) -> tuple[list[str], dict[str, Any]]:
    """Trains a small network on a set of the plane, or on `points`, the text of a CSV table.

    Files: the checkpoint and `curve.csv` (step, loss, W2). Numbers: the model's title for
    `/lab_sample`, loss, W2 with that of two real draws, and cost. Reflow and MeanFlow
    learn from this client's last flow.
    """
    with spoken():
        how = (method, path, coupling, times, loss, steps, seed)
        asked = read(workspace, OWN if points else data, *how)
        check_lab_training(asked.plan)
        if points:
            workspace.take(parse_points(points))
        *_, last = (state for state in train(asked) if isinstance(state, View))
        title, folder = list(workspace.models)[-1], fresh_folder()
        checkpoints.save(workspace.models[title], folder)
    write_curve(folder / "curve.csv", last.curve)
    numbers = {
        "title": title,
        "loss": last.curve.losses[-1][1],
        "wasserstein_2": last.curve.distances[-1][1],
        "floor_wasserstein_2": last.curve.floor,
    }
    cost = workspace.models[title].config.training
    numbers |= {key: cost[key] for key in ("images_seen", "hours")}
    return [str(file) for file in sorted(folder.iterdir())], numbers


def write_curve(file: Path, curve: Any) -> None:
    """Step, loss and W2 of a run."""
    with file.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["step", "loss", "wasserstein_2"])
        for (step, loss), (_, w2) in zip(curve.losses, curve.distances, strict=True):
            table.writerow([step, loss, w2])


def lab_sample(
    workspace: Workspace,
    data: str = "moons",
    model: str = "",
    n: int = 500,
    label: str = "any",
    guidance: float = 1.0,
    solver: str = "",
    steps: int = 0,
    seed: int = 0,
) -> tuple[list[str], dict[str, Any]]:
    """Points of one model of the plane: a checkpoint, "exact velocity", or a title of `/lab_train`.

    An empty model is this client's last one, else the exact velocity; an empty solver and 0 steps are
    the model's own. Files (PNG, GIF, WebP, NPZ, JSON), and the numbers of the run.
    """
    with spoken():
        source, known = workspace.source(data), workspace.titles(data)
        title = model or list({EXACT: None} | workspace.own(data))[-1]
        if title not in known:
            raise ValueError(f"no model '{title}' of {data}; there are: {', '.join(known)}")
        if not 1 <= int(n or 0) <= MAX_POINTS:
            raise ValueError(f"n must lie in [1, {MAX_POINTS}], not {n}")
        chosen = workspace.model(data, title)
        how = {"solver": solver or None, "steps": steps or None, "seed": int(seed or 0)}
        request = Request("", int(n), label or ANY, float(guidance or 0), **how)
        with TIMED:
            samples = run(chosen, request, max_evaluations=max_evaluations("points"))
        numbers = {"model": title, "nfe": samples.nfe, "seconds": samples.seconds}
        numbers |= report(source, samples)
        return images.export_all(samples, fresh_folder(), chosen.name), numbers
