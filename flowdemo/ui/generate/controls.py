"""The controls of a request, and what each model offers: what cannot be combined cannot be chosen."""

from dataclasses import dataclass, fields, replace
from typing import Any

import gradio as gr

from flowdemo import checkpoints
from flowdemo.config.checkpoint import ModelConfig
from flowdemo.data import title_of
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.sampling.request import (
    ALL,
    ANY,
    DEFAULT_TOLERANCE,
    Request,
    default_steps,
    is_adaptive,
)
from flowdemo.settings import is_public
from flowdemo.ui.shared import text
from flowdemo.ui.shared.models import by_data, known, label_of
from flowdemo.ui.shared.runner import Components
from flowdemo.ui.shared.work import Switch, spoken

SEED = 42  # of a page that was opened without a link
FEW_CLASSES = 20  # more are looked up in a list
ARROW = " \u2193"
TOLERANCES = [1e-2, 1e-3, 1e-4, 1e-5]


@dataclass(frozen=True)
class Controls(Components):
    """The components, in the order of `Request` and then those that only choose a model."""

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
        """What makes a `Request`."""
        return [getattr(self, field.name) for field in fields(Request)]


def read(*values: Any) -> Request:
    """The request that `Controls.values` ask for; an emptied number counts as its smallest."""
    given = dict(zip((field.name for field in fields(Request)), values, strict=True))
    given |= {key: int(given[key] or 0) for key in ("n", "steps", "seed")}
    hidden = "steps" if is_adaptive(given["solver"]) else "tolerance"
    return Request(**given | {hidden: None})


def first_request() -> Request:
    """What the app opens with: one-step digits where they are, else any model that loads."""
    names = sorted(checkpoints.folders(), key=lambda name: name != "mnist-meanflow")
    for name in names:
        try:
            return default_request(name)
        except (ValueError, OSError):
            continue  # a broken checkpoint must not keep the app from starting
    raise ValueError("there is no model here that can be loaded")


def default_request(name: str) -> Request:
    """The model's own defaults."""
    return Request(name, seed=SEED).completed(known(name))


def opened_by(query: dict[str, str]) -> tuple[list[Any], str]:
    """The updates of the controls by a link, and the revision of the weights; ValueError if wrong."""
    asked = Request.from_query(query)
    model = known(asked.model)
    request = replace(asked, seed=SEED if asked.seed is None else asked.seed).completed(model)
    if isinstance(request.label, tuple):
        raise ValueError("the page shows one class, 'all' or 'any'")
    return updates(request), model.revision


def properties(request: Request) -> dict[str, dict[str, Any]]:
    """The properties of every control for a request: value, what may be chosen, visibility."""
    model, models = known(request.model), by_data()
    config = model.config
    methods = models[config.data]
    low, high = config.guidance
    adaptive = is_adaptive(request.solver)
    largest, tolerance = largest_of(model), request.tolerance or DEFAULT_TOLERANCE
    label = request.label if isinstance(request.label, str) else request.label_text(config.classes)
    return {
        "model": {
            "choices": names_for(methods[config.method]),
            "value": request.model,
            "visible": len(methods[config.method]) > 1,
        },
        "n": {"minimum": 1, "maximum": largest, "value": min(request.n, largest)},
        "label": {"choices": label_choices(config, label), "value": label},
        "find": find_choices(config, label),
        "guidance": {
            "minimum": low,
            "maximum": max(high, low + 0.1),
            "value": request.guidance,
            "visible": high > low,
            "interactive": label != ANY,  # without a class there is nothing to guide to
        },
        "solver": {"choices": list(model.solvers), "value": request.solver},
        "steps": {
            "value": request.steps or default_steps(model, "rk4"),
            "visible": not adaptive,
            "interactive": config.fixed_steps is None,
        },
        "tolerance": {
            "choices": sorted({*TOLERANCES, tolerance}, reverse=True),
            "value": tolerance,
            "visible": adaptive,
        },
        "seed": {"value": request.seed},
        "data": {"choices": data_choices(models), "value": config.data},
        "method": {"choices": method_choices(methods), "value": config.method},
        "hint": {"value": text.METHOD_HINTS[config.method]},
    }


def updates(request: Request) -> list[Any]:
    """The updates of `Controls.all` for a request."""
    p = properties(request)
    return [gr.update(**p[field.name]) for field in fields(Controls)]


def largest_of(model: Model) -> int:
    """Samples that one may ask for; those that need a decoder take seconds each."""
    if not model.is_image:
        return 2000
    if model.config.decoder:
        return 8 if is_public() else 16
    return 32 if is_public() else 64


def live_evaluations(request: Request) -> int | None:
    """Evaluations of one sample that a run takes; None for a model that cannot follow the sliders."""
    model = known(request.model)
    if model.net is None or model.config.decoder or model.is_large:
        return None
    return replace(request, steps=request.steps or 1).evaluations(model)


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


def build(request: Request) -> Controls:
    """Lays the controls out for the first request."""
    p = properties(request)
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


def within(value: float, low: float, high: float) -> float:
    """The nearest value in the range."""
    return min(max(value, low), high)


def moved(old: Request, name: str) -> Request:
    """The request after another model was chosen: the seed stays, the class where there is one.

    The weight stays for the same data, within the model's range; weights that suit one data set may
    not suit another.
    """
    new, before = known(name), known(old.model)
    config, same_data = new.config, new.config.data == before.config.data
    return Request(
        name,
        n=old.n if largest_of(new) == largest_of(before) else None,
        label=old.label if old.label in (ALL, ANY, *config.classes) else ALL,
        guidance=within(old.guidance, *config.guidance) if same_data else None,
        seed=old.seed,
    ).completed(new)


def choose(switch: Switch, data: str, method: str, *values: Any) -> list[Any]:
    """Begins a run with the controls after a data set, a method or a checkpoint was chosen."""
    switch.begin()
    old, models = read(*values), by_data()
    with spoken():
        if data not in models:
            raise ValueError(f"there is no model of '{data}' here any more")
        methods = models[data]
        names = methods.get(method) or next(iter(methods.values()))
        return updates(moved(old, old.model if old.model in names else names[0]))


def show_solver(*values: Any) -> list[Any]:
    """The controls after a solver was chosen: steps or tolerance, at the model's default."""
    with spoken():
        request = replace(read(*values), steps=None, tolerance=None)
        return updates(request.completed(known(request.model)))


def refresh(model: str) -> list[Any]:
    """Data sets, methods and checkpoints to choose from: another tab may have saved one since."""
    models = by_data()
    data = gr.update(choices=data_choices(models))
    for methods in models.values():
        for names in methods.values():
            if model in names:
                offered = gr.update(choices=names_for(names), visible=len(names) > 1)
                return [data, gr.update(choices=method_choices(methods)), offered]
    return [data, gr.skip(), gr.skip()]


def guidable(label: str) -> Any:
    """The CFG slider rests while no class is asked for."""
    return gr.update(interactive=label != ANY)
