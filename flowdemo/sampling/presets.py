"""Ready-made comparisons: title -> rows for the models of one data set, and what they share."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.core.solvers import SOLVERS
from flowdemo.methods import METHODS
from flowdemo.sampling.request import Request

Models = dict[str, ModelConfig]  # of one data set, by name


@dataclass(frozen=True)
class Preset:
    """Rows for some models; with `class_columns` every class is asked for once a row."""

    rows: Callable[[Models], list[Request]]
    class_columns: bool = False


def preset(title: str, models: Models) -> list[Request]:
    """The rows of a preset for at most one model of each method."""
    whole = {name: config for name, config in models.items() if config.trained_times is None}
    chosen = {config.method: name for name, config in reversed((whole or models).items())}
    return PRESETS[title].rows({chosen[m]: models[chosen[m]] for m in METHODS if m in chosen})


def equal_nfe(models: Models) -> list[Request]:
    """Every model with 1, 2, 4 and 8 evaluations."""
    return [own_steps(name, config, k) for k in (1, 2, 4, 8) for name, config in models.items()]


def one_step(models: Models) -> list[Request]:
    """Every model with a single evaluation."""
    return [own_steps(name, config, 1) for name, config in models.items()]


def own_defaults(models: Models) -> list[Request]:
    """Every model with its default solver, steps and weight."""
    own = {name: config.defaults for name, config in models.items()}
    return [Request(name, **d.model_dump()) for name, d in own.items()]


def solvers_at_16(models: Models) -> list[Request]:
    """The model of the most steps by every solver at 16 evaluations, or adaptively."""
    name = max(models, key=lambda name: models[name].defaults.steps)
    low = models[name].guidance[0]
    return [
        Request(name, solver=solver, tolerance=1e-3, guidance=low)
        if each.adaptive
        else Request(name, solver=solver, steps=16 // each.evaluations, guidance=low)
        for solver, each in SOLVERS.items()
        if not each.multistep and not each.options
    ]


def guidance_sweep(models: Models) -> list[Request]:
    """The model of the fewest steps that is guided, at five weights."""
    name = fewest_steps(models)
    low, high = models[name].guidance
    weights = dict.fromkeys(round(low + (high - low) * k / 4, 2) for k in range(5))
    return [replace(own_steps(name, models[name], 1), guidance=w) for w in weights]


def contact_sheet(models: Models) -> list[Request]:
    """Weights x steps of one model; the columns are the classes."""
    name = fewest_steps(models)
    low, high = models[name].guidance
    return [
        replace(own_steps(name, models[name], steps), guidance=w)
        for steps in (1, 2, 4)
        for w in dict.fromkeys((low, round((low + high) / 2, 2), high))
    ]


def own_steps(name: str, config: ModelConfig, steps: int) -> Request:
    """A model by the step that is its own, `average` or else Euler, at its smallest weight."""
    solver = METHODS[config.method].own_solver
    return Request(name, solver=solver, steps=steps, guidance=config.guidance[0])


def fewest_steps(models: Models) -> str:
    """The model of the fewest steps, the last of them; with a range of CFG weights if one has it."""
    guided = [name for name, config in models.items() if config.guidance[0] < config.guidance[1]]
    return min(reversed(guided or list(models)), key=lambda name: models[name].defaults.steps)


PRESETS: dict[str, Preset] = {
    "As each is meant": Preset(own_defaults),
    "One evaluation each": Preset(one_step),
    "Equal NFE: 1, 2, 4, 8": Preset(equal_nfe),
    "Solvers at 16 NFE": Preset(solvers_at_16),
    "CFG sweep": Preset(guidance_sweep),
    "Contact sheet: CFG x steps": Preset(contact_sheet, class_columns=True),
}
