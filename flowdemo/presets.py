"""Ready-made comparisons: title -> rows for the models of one data set, and what they share."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from flowdemo.compare import Spec
from flowdemo.config import ModelConfig
from flowdemo.methods import AVERAGE, METHODS
from flowdemo.solvers import SOLVERS

Models = dict[str, ModelConfig]  # of one data set, by name


@dataclass(frozen=True)
class Preset:
    """Rows for some models; with `class_columns` every class is asked for once a row."""

    rows: Callable[[Models], list[Spec]]
    class_columns: bool = False


def preset(title: str, models: Models) -> list[Spec]:
    """The rows of a preset for at most one model of each method."""
    whole = {name: config for name, config in models.items() if config.trained_times is None}
    chosen = {config.method: name for name, config in reversed((whole or models).items())}
    return PRESETS[title].rows({chosen[m]: models[chosen[m]] for m in METHODS if m in chosen})


def equal_nfe(models: Models) -> list[Spec]:
    """Every model with 1, 2, 4 and 8 evaluations."""
    return [own_steps(name, config, k) for k in (1, 2, 4, 8) for name, config in models.items()]


def one_step(models: Models) -> list[Spec]:
    """Every model with a single evaluation."""
    return [own_steps(name, config, 1) for name, config in models.items()]


def own_defaults(models: Models) -> list[Spec]:
    """Every model as it is meant to be used."""
    own = {name: config.defaults for name, config in models.items()}
    return [Spec(name, d.solver, d.steps, guidance=d.guidance) for name, d in own.items()]


def solvers_at_16(models: Models) -> list[Spec]:
    """The first flow-matching model by every solver at 16 evaluations, or adaptively."""
    name = first(models, "flow-matching")
    low = models[name].guidance[0]
    return [
        Spec(name, solver, tolerance=1e-3, guidance=low)
        if each.adaptive
        else Spec(name, solver, 16 // each.evaluations, guidance=low)
        for solver, each in SOLVERS.items()
        if not each.multistep and not each.options
    ]


def guidance_sweep(models: Models) -> list[Spec]:
    """The model with the fewest steps that is guided, at five weights."""
    name = first(models, "meanflow", guided=True)
    low, high = models[name].guidance
    weights = dict.fromkeys(round(low + (high - low) * k / 4, 2) for k in range(5))
    return [replace(own_steps(name, models[name], 1), guidance=w) for w in weights]


def contact_sheet(models: Models) -> list[Spec]:
    """Weights x steps of one model; the columns are the classes."""
    name = first(models, "meanflow", guided=True)
    low, high = models[name].guidance
    return [
        replace(own_steps(name, models[name], steps), guidance=w)
        for steps in (1, 2, 4)
        for w in dict.fromkeys((low, round((low + high) / 2, 2), high))
    ]


def own_steps(name: str, config: ModelConfig, steps: int) -> Spec:
    """A model by the step that is its own, `average` or else Euler, at its smallest weight."""
    solver = AVERAGE if config.method == "meanflow" else "euler"
    return Spec(name, solver, steps, guidance=config.guidance[0])


def first(models: Models, method: str, guided: bool = False) -> str:
    """The first model of that method (with a range of weights), else the first of all."""
    fitting = [name for name, config in models.items() if config.method == method]
    if guided:
        fitting = [name for name in fitting if models[name].guidance[0] < models[name].guidance[1]]
    return [*fitting, *models][0]


PRESETS: dict[str, Preset] = {
    "As each is meant": Preset(own_defaults),
    "One evaluation each": Preset(one_step),
    "Equal NFE: 1, 2, 4, 8": Preset(equal_nfe),
    "Solvers at 16 NFE": Preset(solvers_at_16),
    "CFG sweep": Preset(guidance_sweep),
    "Contact sheet: CFG x steps": Preset(contact_sheet, class_columns=True),
}
