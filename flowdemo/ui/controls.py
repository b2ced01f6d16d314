"""The controls of a run, and what each model offers: what cannot be combined cannot be chosen."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from flowdemo import checkpoints
from flowdemo.data import DATASETS
from flowdemo.methods import METHODS
from flowdemo.sampling import DEFAULT_TOLERANCE, default_steps, is_adaptive, is_image
from flowdemo.settings import is_public
from flowdemo.ui import text
from flowdemo.ui.events import Components
from flowdemo.ui.generate import ALL, ANY, Choice, default_choice, load

TOLERANCES = [1e-2, 1e-3, 1e-4, 1e-5]


@dataclass(frozen=True)
class Controls(Components):
    """The components, in the order of `Choice` and then those that only choose a model."""

    model: gr.Dropdown
    n: gr.Slider
    label: gr.Radio
    guidance: gr.Slider
    solver: gr.Dropdown
    steps: gr.Slider
    tolerance: gr.Dropdown
    seed: gr.Number
    data: gr.Radio
    method: gr.Radio
    hint: gr.Markdown

    @property
    def values(self) -> list[gr.components.Component]:
        """What makes a `Choice`."""
        return [getattr(self, name) for name in Choice.__dataclass_fields__]


@dataclass(frozen=True)
class Start:
    """What begins a run and stops it, and what is said of it."""

    randomize: gr.Checkbox
    go: gr.Button
    stop: gr.Button
    status: gr.HTML


def catalogue() -> dict[str, dict[str, list[str]]]:
    """Data set -> method -> names of its checkpoints; folders that cannot be read are left out."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, config in checkpoints.configs().items():
        found.setdefault(config.data, {}).setdefault(config.method, []).append(name)
    order = {name: i for i, name in enumerate(DATASETS)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], 99)))


def first_choice() -> Choice:
    """What the app opens with: one-step digits where they are, else any model that loads."""
    names = sorted(checkpoints.folders(), key=lambda name: name != "mnist-meanflow")
    for name in names:
        try:
            return default_choice(name)
        except (ValueError, OSError):
            continue  # a broken checkpoint must not keep the app from starting
    raise ValueError("there is no model here that can be loaded")


def properties(choice: Choice) -> dict[str, dict[str, Any]]:
    """The properties of every control for a choice: value, what may be chosen, visibility."""
    model, models = load(choice.model), catalogue()
    config = model.config
    methods = models[config.data]
    low, high = config.guidance
    adaptive = is_adaptive(choice.solver)
    largest = (32 if is_public() else 64) if is_image(model) else 2000
    return {
        "model": {
            "choices": methods[config.method],
            "value": choice.model,
            "visible": len(methods[config.method]) > 1,
        },
        "n": {"minimum": 1, "maximum": largest, "value": min(choice.n, largest)},
        "label": {"choices": [ALL, *config.classes, ANY], "value": choice.label},
        "guidance": {
            "minimum": low,
            "maximum": max(high, low + 0.1),
            "value": choice.guidance,
            "visible": high > low,
            "interactive": choice.label != ANY,  # without a class there is nothing to guide to
        },
        "solver": {"choices": list(model.solvers), "value": choice.solver},
        "steps": {"value": choice.steps or default_steps(model, "rk4"), "visible": not adaptive},
        "tolerance": {
            "choices": sorted({*TOLERANCES, choice.tolerance or DEFAULT_TOLERANCE}, reverse=True),
            "value": choice.tolerance or DEFAULT_TOLERANCE,
            "visible": adaptive,
        },
        "seed": {"value": choice.seed},
        "data": {
            "choices": data_choices(models),
            "value": config.data,
        },
        "method": {
            "choices": method_choices(methods),
            "value": config.method,
        },
        "hint": {"value": text.METHOD_HINTS[config.method]},
    }


def data_choices(models: dict[str, Any]) -> list[tuple[str, str]]:
    return [(title_of(name), name) for name in models]


def method_choices(methods: dict[str, Any]) -> list[tuple[str, str]]:
    return [(METHODS[name].title, name) for name in METHODS if name in methods]


def title_of(data: str) -> str:
    return DATASETS[data].title if data in DATASETS else data


def build(choice: Choice) -> Controls:
    """Lays the controls out for the first choice."""
    p = properties(choice)
    data = gr.Radio(label="Data", elem_id="data", **p["data"])
    method = gr.Radio(label="Method", elem_id="method", **p["method"])
    hint = gr.Markdown(elem_classes="fd-caption", **p["hint"])
    # Custom values: a fast hand may send the old choice just after the choices changed.
    model = gr.Dropdown(allow_custom_value=True, label="Checkpoint", elem_id="model", **p["model"])
    label = gr.Radio(label="Class", elem_id="label", **p["label"])
    guidance = gr.Slider(label="CFG weight", step=0.1, elem_id="guidance", **p["guidance"])
    solver = gr.Dropdown(allow_custom_value=True, label="Solver", elem_id="solver", **p["solver"])
    steps = gr.Slider(1, 200, step=1, precision=0, label="Steps", elem_id="steps", **p["steps"])
    tolerance = gr.Dropdown(label="Tolerance", elem_id="tolerance", **p["tolerance"])
    n = gr.Slider(step=1, precision=0, label="Samples", elem_id="n", **p["n"])
    seed = gr.Number(label="Seed", precision=0, minimum=0, elem_id="seed", **p["seed"])
    return Controls(model, n, label, guidance, solver, steps, tolerance, seed, data, method, hint)


def start(word: str, prefix: str = "") -> Start:
    """Lays out what begins a run; `prefix` sets the ids of a tab apart."""
    randomize = gr.Checkbox(False, label="Randomize seed", elem_id=f"{prefix}randomize")
    with gr.Row():
        go = gr.Button(word, variant="primary", elem_id=f"{prefix}go", min_width=100)
        stop = gr.Button("Stop", elem_id=f"{prefix}stop", min_width=80)
    status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id=f"{prefix}status")
    return Start(randomize, go, stop, status)


def updates(choice: Choice) -> list[Any]:
    """The updates of `Controls.all` for a choice."""
    p = properties(choice)
    return [gr.update(**p[name]) for name in Controls.__dataclass_fields__]


def moved(old: Choice, name: str) -> Choice:
    """The choice after another model was chosen: seed stays, class and weight where they exist."""
    new = default_choice(name)
    config = load(name).config
    same_kind = is_image(load(name)) == is_image(load(old.model))
    return Choice(
        name,
        n=old.n if same_kind else new.n,
        label=old.label if old.label in (ALL, ANY, *config.classes) else ALL,
        guidance=min(max(old.guidance, config.guidance[0]), config.guidance[1]),
        solver=new.solver,
        steps=new.steps,
        seed=old.seed,
    )
