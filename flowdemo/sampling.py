"""A request in, samples and their trajectory out: what the app, the command line and the API call."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from flowdemo.decoder import decode, preview
from flowdemo.methods import AVERAGE
from flowdemo.model import Model
from flowdemo.options import MAX_STEPS
from flowdemo.samples import Samples, Trajectory
from flowdemo.solvers import SOLVERS, Path, SolverError, follow, grid, integrate
from flowdemo.starts import given_noise, start

MAX_EVALUATIONS = {"image": 400_000, "points": 20_000_000}  # network evaluations x samples
MAX_SAMPLES = {"image": 4096, "points": 200_000}
MAX_STATES = 25_000_000  # numbers in a kept trajectory
TOLERANCES = (1e-6, 1e-1)
DEFAULT_TOLERANCE = 1e-3
ALL, NAMED = "all", 20  # classes that a message names
LabelChoice = int | list[int] | str | None


@dataclass(frozen=True)
class Plan:
    """Solver, steps or (for an adaptive solver) tolerance, and CFG weight of a run."""

    solver: str
    steps: int | None
    tolerance: float | None
    guidance: float


def sample(
    model: Model,
    n: int = 16,
    label: LabelChoice = None,
    guidance: float = 1.0,
    solver: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    *,
    tolerance: float | None = None,
    x_0: Tensor | None = None,
    keep_trajectory: bool = True,
    watch: Callable[[int], None] = lambda rows: None,
    max_evaluations: int | None = None,
) -> Samples:
    """Draws n samples of `model`.

    `label` is a class, a list of n classes, "all" (the classes in turn) or None ("any"); `guidance`
    the CFG weight within the model's range; `solver` and `steps` default to the model's own, and an
    adaptive solver takes `tolerance` instead of steps. The noise of sample i depends on (seed, i)
    alone; noise `x_0` (n, ...) that is given takes its place, and the settings then name no seed.
    Without `keep_trajectory` only its two ends are kept. ValueError says what cannot be done;
    `watch` hears before every evaluation how many rows were evaluated, and may raise to stop the run.
    """
    kind = kind_of(model)
    budget = max_evaluations or MAX_EVALUATIONS[kind]
    within("n", n, (1, MAX_SAMPLES[kind]))
    within("seed", seed, (0, 2**63 - 1))
    plan = checked(model, guidance, solver or model.config.defaults.solver, steps, tolerance)
    check_work(model, plan, n, budget, keep_trajectory)
    labels = labels_of(model, label, n)
    counter = Counter(model.net, budget, watch)
    device = model.device
    given = x_0 is not None
    x_0 = given_noise(x_0, n, model) if given else start(model, seed, n)
    began = time.perf_counter()
    with torch.inference_mode():
        path = run(
            replace(model, net=counter), plan, x_0.to(device), labels.to(device), keep_trajectory
        )
        states = model.unnormalise(path.states).cpu()
    seconds = time.perf_counter() - began
    return Samples(
        **outcome(model, states, lambda done: watch(counter.rows)),
        labels=labels,
        trajectory=Trajectory(path.times.float().cpu(), seen(model, states)),
        nfe=counter.rows / n,
        seconds=seconds,
        settings={"model": model.name, "revision": model.revision, "n": n, "label": label}
        | asdict(plan)
        | {"seed": None if given else seed},
        x_0=x_0,
    )


def outcome(model: Model, states: Tensor, watch: Callable[[int], None]) -> dict[str, Any]:
    """The fields of `Samples` that hold what a run ended in: points, or images, decoded if need be."""
    if not is_image(model):
        return {"images": None, "points": states[-1]}
    if model.config.decoder is None:
        return {"images": states[-1].clamp(0, 1), "points": None}
    began = time.perf_counter()
    with torch.inference_mode():
        images = decode(model.decoder(), states[-1], watch)
    seconds = time.perf_counter() - began
    return {"images": images, "points": None, "latents": states[-1], "decoder_seconds": seconds}


def seen(model: Model, states: Tensor) -> Tensor:
    """States (k, n, ...) as a trajectory keeps them."""
    return states if model.config.decoder is None else preview(states)


def run(
    model: Model,
    plan: Plan,
    x: Tensor,
    labels: Tensor,
    keep: bool,
    back: bool = False,
) -> Path:
    """The solver's path from noise x at the model's `eps` to data at 1, or `back`; normalised."""
    start, end = (1, model.config.eps) if back else (model.config.eps, 1)
    if plan.solver == AVERAGE:
        step = model.step(AVERAGE, labels, plan.guidance)
        return integrate(step, x, grid(plan.steps, start, end), keep)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return model.velocity(x, t, labels, plan.guidance)

    times = grid(plan.steps or 1, start, end)
    return follow(velocity, plan.solver, x, times, plan.tolerance, keep)


def checked(
    model: Model, guidance: float, solver: str, steps: int | None, tolerance: float | None
) -> Plan:
    """The plan with the model's defaults filled in; ValueError names the first value that is wrong."""
    if model.config.only_inverts:
        raise ValueError(f"{model.name} only goes from data to noise, in one step: invert with it")
    return plan_of(model, guidance, solver, steps, tolerance)


def plan_of(
    model: Model, guidance: float, solver: str, steps: int | None, tolerance: float | None
) -> Plan:
    """The same for either direction."""
    if solver not in model.solvers:
        raise ValueError(
            f"{model.name} offers no solver '{solver}', but {', '.join(model.solvers)}"
        )
    within("guidance", guidance, model.config.guidance)
    if is_adaptive(solver):
        if steps is not None:
            raise ValueError(f"'{solver}' chooses its steps; give a tolerance instead")
        tolerance = DEFAULT_TOLERANCE if tolerance is None else tolerance
        return Plan(solver, None, within("tolerance", tolerance, TOLERANCES), guidance)
    if tolerance is not None:
        raise ValueError(f"'{solver}' takes steps, not a tolerance")
    steps = default_steps(model, solver) if steps is None else steps
    if model.config.fixed_steps not in (None, steps):
        raise ValueError(f"{model.name} makes {model.config.fixed_steps} step(s), not {steps}")
    return Plan(solver, within("steps", steps, (1, MAX_STEPS)), None, guidance)


def within(name: str, value: float, bounds: tuple[float, float]) -> float:
    """The value; ValueError if it lies outside the bounds."""
    if not bounds[0] <= value <= bounds[1]:
        raise ValueError(f"{name} must lie in [{bounds[0]:g}, {bounds[1]:g}], not {value:g}")
    return value


def is_adaptive(solver: str) -> bool:
    """Whether the solver chooses its own steps."""
    return solver != AVERAGE and SOLVERS[solver].adaptive


def default_steps(model: Model, solver: str) -> int:
    """The model's own for its own solver; another solver of a MeanFlow network starts at 20."""
    own = model.config.defaults
    return own.steps if own.solver == solver or own.solver != AVERAGE else 20


def check_work(model: Model, plan: Plan, n: int, budget: int, keep: bool) -> None:
    """ValueError if a fixed-step run is larger than the engine allows; `Counter` sees to the others."""
    work = n
    if plan.steps is not None:
        work *= plan.steps * evaluations_per_step(model, plan.solver, plan.guidance)
    if work > budget:
        raise ValueError(
            f"{work} network evaluations (samples x steps x evaluations) exceed the limit of "
            f"{budget}; choose fewer samples or steps"
        )
    states = 101 if plan.steps is None else plan.steps + 1  # an adaptive run: a guess
    if keep and n * states * torch.Size(model.config.shape).numel() > MAX_STATES:
        raise ValueError("the trajectory is too large to keep; choose fewer samples or steps")


def evaluations_per_step(model: Model, solver: str, guidance: float) -> int:
    """Network evaluations that a fixed step of a guided sample costs."""
    twice = guidance != 1 and not model.config.net.guidance
    return (1 if solver == AVERAGE else SOLVERS[solver].evaluations) * (2 if twice else 1)


def kind_of(model: Model) -> str:
    """The key of the limits: "image" or "points"."""
    return "image" if is_image(model) else "points"


def is_image(model: Model) -> bool:
    return len(model.config.shape) == 3


def parse_label(text: str, classes: tuple[str, ...]) -> LabelChoice:
    """A class by name or number, several as "1,2,3", "all", or None for "any"."""
    if text in classes:
        return classes.index(text)
    if text in (ALL, "any"):
        return None if text == "any" else text
    labels = []
    for part in text.split(","):
        if part not in classes and not part.lstrip("-").isdigit():
            some = ", ".join([*classes[:NAMED], *(["..."] if len(classes) > NAMED else [])])
            raise ValueError(f"no class '{part}'; there are: {some}, all, any")
        labels.append(classes.index(part) if part in classes else int(part))
    return labels if len(labels) > 1 else labels[0]


def labels_of(model: Model, label: LabelChoice, n: int) -> Tensor:
    """The n labels of a choice; ValueError names what is not a class."""
    classes = len(model.config.classes)
    if label is None:
        return torch.full((n,), model.empty)
    if label == ALL:
        return torch.arange(n) % classes
    labels = [label] * n if isinstance(label, int) else list(label)
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels were given for {n} samples")
    if wrong := [x for x in labels if not isinstance(x, int) or not 0 <= x < classes]:
        raise ValueError(
            f"no class {wrong[0]!r}; {model.name} has 0 to {classes - 1}, 'all', 'any'"
        )
    return torch.tensor(labels)


class Counter(nn.Module):
    """A network that counts the rows it evaluates and gives up beyond a budget."""

    def __init__(self, net: nn.Module, budget: int, watch: Callable[[int], None]):
        super().__init__()
        self.net, self.budget, self.watch, self.rows = net, budget, watch, 0

    def forward(self, x: Tensor, *rest: Tensor | None) -> Tensor:
        self.watch(self.rows)
        self.rows += len(x)
        if self.rows > self.budget:
            raise SolverError("the run needs too many evaluations; choose a larger tolerance")
        return self.net(x, *rest)
