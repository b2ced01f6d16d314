"""Controls that write one more row of a comparison, offering what the chosen model offers."""

from typing import Any

import gradio as gr

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.methods import solvers_of
from flowdemo.sampling.request import Request, is_adaptive
from flowdemo.ui.generate.controls import TOLERANCES, names_for
from flowdemo.ui.shared.models import by_data, configs, known
from flowdemo.ui.shared.runner import PROMPT, QUICK
from flowdemo.ui.shared.work import spoken


def build(data_name: str, data: gr.Radio, rows: gr.Textbox) -> gr.Dropdown:
    """Controls that write one more line; they offer what the chosen model offers. Returns the model."""
    names = names_of(data_name)
    first = names[0][1]
    offered = offer(first)
    model = gr.Dropdown(names, value=first, label="Model", elem_id="c-model")
    solver = gr.Dropdown(label="Solver", elem_id="c-solver", **offered[0])
    steps = gr.Slider(1, 200, step=1, precision=0, label="Steps", elem_id="c-steps", **offered[1])
    tolerance = gr.Dropdown(TOLERANCES, value=1e-3, label="Tolerance", visible=False)
    guidance = gr.Slider(step=0.1, label="CFG weight", elem_id="c-guidance", **offered[2])
    add = gr.Button("Add", size="sm", elem_id="c-add-row")
    model.input(offered_by, model, [solver, steps, guidance, tolerance], **PROMPT)
    solver.input(steps_or_tolerance, solver, [steps, tolerance], **QUICK)
    add.click(with_row, [rows, model, solver, steps, tolerance, guidance], rows, **PROMPT)
    data.change(models_offered, data, [model, solver, steps, guidance, tolerance], **PROMPT)
    return model


def with_row(
    rows: str, model: str, solver: str, steps: int, tolerance: float, guidance: float
) -> str:
    """The rows with one more line, if the model offers it."""
    with spoken():
        adaptive = is_adaptive(solver)
        how = {"tolerance": tolerance} if adaptive else {"steps": int(steps or 0)}
        request = Request(model, solver=solver, guidance=guidance, **how).completed(known(model))
        return "\n".join([*filter(str.strip, rows.splitlines()), str(request)])


def offer(name: str) -> list[dict[str, Any]]:
    """Solver, steps and CFG weight as the model offers them."""
    config = config_of(name)
    (low, high), own = config.guidance, config.defaults
    return [
        {"choices": list(solvers_of(config)), "value": own.solver},
        {"value": own.steps, "visible": not is_adaptive(own.solver),
         "interactive": config.fixed_steps is None},
        {"minimum": low, "maximum": max(high, low + 0.1), "value": own.guidance,
         "visible": high > low},
    ]  # fmt: skip


def config_of(name: str) -> ModelConfig:
    """The description of a checkpoint, without its weights."""
    if name not in (all_of_them := configs()):
        raise ValueError(f"there is no model '{name}' here any more")
    return all_of_them[name]


def offered_by(name: str) -> list[Any]:
    """The updates of solver, steps, weight and tolerance for a model."""
    with spoken():
        adaptive = is_adaptive(config_of(name).defaults.solver)
        return [*(gr.update(**p) for p in offer(name)), gr.update(visible=adaptive)]


def models_offered(data: str) -> list[Any]:
    """The updates of the adder after other data was chosen."""
    names = names_of(data)
    first = names[0][1]
    return [gr.update(choices=names, value=first), *offered_by(first)]


def steps_or_tolerance(solver: str) -> list[Any]:
    """Steps, or for an adaptive solver a tolerance."""
    adaptive = is_adaptive(solver)
    return [gr.update(visible=not adaptive), gr.update(visible=adaptive)]


def names_of(data: str) -> list[tuple[str, str]]:
    """The models of a data set as choices: what is shown, and the name."""
    return names_for([name for names in by_data().get(data, {}).values() for name in names])
