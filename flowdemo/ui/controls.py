"""The controls of a run, and what each model offers: what cannot be combined cannot be chosen."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from flowdemo import checkpoints
from flowdemo.config import ModelConfig
from flowdemo.data import title_of
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.sampling import DEFAULT_TOLERANCE, default_steps, is_adaptive, is_image
from flowdemo.settings import is_public
from flowdemo.ui import text
from flowdemo.ui.events import Components
from flowdemo.ui.generate import ALL, ANY, Choice, default_choice
from flowdemo.ui.models import by_data, known, label_of

FEW_CLASSES = 20  # more are looked up in a list
ARROW = " \u2193"
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
    find: gr.Dropdown

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
    model, models = known(choice.model), by_data()
    config = model.config
    methods = models[config.data]
    low, high = config.guidance
    adaptive = is_adaptive(choice.solver)
    largest = largest_of(model)
    return {
        "model": {
            "choices": names_for(methods[config.method]),
            "value": choice.model,
            "visible": len(methods[config.method]) > 1,
        },
        "n": {"minimum": 1, "maximum": largest, "value": min(choice.n, largest)},
        "label": {"choices": label_choices(config, choice.label), "value": choice.label},
        "find": find_choices(config, choice.label),
        "guidance": {
            "minimum": low,
            "maximum": max(high, low + 0.1),
            "value": choice.guidance,
            "visible": high > low,
            "interactive": choice.label != ANY,  # without a class there is nothing to guide to
        },
        "solver": {"choices": list(model.solvers), "value": choice.solver},
        "steps": {
            "value": choice.steps or default_steps(model, "rk4"),
            "visible": not adaptive,
            "interactive": config.fixed_steps is None,
        },
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


def largest_of(model: Model) -> int:
    """Samples that one may ask for; those that need a decoder take seconds each."""
    if not is_image(model):
        return 2000
    if model.config.decoder:
        return 8 if is_public() else 16
    return 32 if is_public() else 64


def data_choices(models: dict[str, Any]) -> list[tuple[str, str]]:
    """The data sets; an arrow says that all models of one are still on the Hub."""
    here = {config.data for config in checkpoints.configs().values()}
    return [(title_of(name) + ("" if name in here else ARROW), name) for name in models]


def label_choices(config: ModelConfig, label: str) -> list[str]:
    """All classes where they are few, else the one that was looked up."""
    if len(config.classes) <= FEW_CLASSES:
        return [ALL, *config.classes, ANY]
    return [ALL, label if label in config.classes else config.classes[0], ANY]


def find_choices(config: ModelConfig, label: str) -> dict[str, Any]:
    """The properties of the list in which a class is looked up, hidden where they are few."""
    many = len(config.classes) > FEW_CLASSES
    named = many and label in config.classes
    return {
        "choices": list(config.classes) if many else [],
        "value": label if named else None,
        "visible": many,
    }


def find_class(name: str | None) -> Any:
    """The class that was looked up among many, chosen; nothing for a word that names none."""
    if not name:
        return gr.skip()
    return gr.update(choices=[ALL, name, ANY], value=name)


def names_for(names: list[str]) -> list[tuple[str, str]]:
    """Models as choices: what is shown, and the name."""
    return [(label_of(name), name) for name in names]


def method_choices(methods: dict[str, Any]) -> list[tuple[str, str]]:
    return [(METHODS[name].title, name) for name in METHODS if name in methods]


def build(choice: Choice) -> Controls:
    """Lays the controls out for the first choice."""
    p = properties(choice)
    data = gr.Radio(label="Data", elem_id="data", **p["data"])
    method = gr.Radio(label="Method", elem_id="method", **p["method"])
    hint = gr.Markdown(elem_classes="fd-caption", **p["hint"])
    # Custom values: a fast hand may send the old choice just after the choices changed.
    model = gr.Dropdown(allow_custom_value=True, label="Checkpoint", elem_id="model", **p["model"])
    label = gr.Radio(label="Class", elem_id="label", **p["label"])
    find = gr.Dropdown(label="Look a class up", elem_id="find", **p["find"])
    guidance = gr.Slider(label="CFG weight", step=0.1, elem_id="guidance", **p["guidance"])
    solver = gr.Dropdown(allow_custom_value=True, label="Solver", elem_id="solver", **p["solver"])
    steps = gr.Slider(1, 200, step=1, precision=0, label="Steps", elem_id="steps", **p["steps"])
    tolerance = gr.Dropdown(label="Tolerance", elem_id="tolerance", **p["tolerance"])
    n = gr.Slider(step=1, precision=0, label="Samples", elem_id="n", **p["n"])
    seed = gr.Number(label="Seed", precision=0, minimum=0, elem_id="seed", **p["seed"])
    return Controls(
        model, n, label, guidance, solver, steps, tolerance, seed, data, method, hint, find
    )


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


def within(value: float, low: float, high: float) -> float:
    """The nearest value in the range."""
    return min(max(value, low), high)


def moved(old: Choice, name: str) -> Choice:
    """The choice after another model was chosen: the seed stays, the class where there is one.

    The weight stays for the same data, within the model's range.
    """
    new = default_choice(name)
    config = known(name).config
    own = (
        config.data != known(old.model).config.data
    )  # weights that suit one may not suit the other
    same_kind = largest_of(known(name)) == largest_of(known(old.model))
    return Choice(
        name,
        n=old.n if same_kind else new.n,
        label=old.label if old.label in (ALL, ANY, *config.classes) else ALL,
        guidance=new.guidance if own else within(old.guidance, *config.guidance),
        solver=new.solver,
        steps=new.steps,
        seed=old.seed,
    )
