"""Training of the 2-D Lab: a small network on the CPU, with a snapshot every half second."""

import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import COUPLINGS, Batch, Coupling, reflow_pairs
from flowdemo.core.paths import PATHS
from flowdemo.core.times import TIMES
from flowdemo.data import dataset
from flowdemo.methods import METHODS
from flowdemo.methods.flow_matching import FLOW_MATCHING
from flowdemo.model import Model
from flowdemo.nets.sizes import MLPConfig
from flowdemo.training.pairs import SHARD, pairs_from
from flowdemo.training.run import PairsProgress, finished, prepare
from flowdemo.training.teachers import check_teacher
from flowdemo.training.trainer import Progress, Snapshot, State, train

LOSSES = {"squared": 0.0, "adaptive": 0.75}  # name -> power of the adaptive weight
WEIGHTS = (1.0, 4.0)
MAX_STEPS = 20_000
CPU = torch.device("cpu")


@dataclass(frozen=True)
class LabTraining:
    """What to train, in the words of a recipe; `loss` is a name of LOSSES."""

    data: str
    method: str = FLOW_MATCHING.name
    path: str = "linear"
    coupling: str = "independent"
    times: str = "uniform"
    loss: str = "squared"
    steps: int = 1500
    seed: int = 0


def check_lab_training(plan: LabTraining) -> None:
    """ValueError, in one line, if a field is unknown or out of range."""
    within = {
        "method": METHODS,
        "path": PATHS,
        "coupling": COUPLINGS,
        "times": TIMES,
        "loss": LOSSES,
    }
    for key, known in within.items():
        if (name := getattr(plan, key)) not in known:
            raise ValueError(f"no {key} '{name}'; there are: {', '.join(known)}")
    if not 1 <= plan.steps <= MAX_STEPS:
        raise ValueError(f"steps must lie in [1, {MAX_STEPS}], not {plan.steps}")
    if plan.seed < 0:
        raise ValueError(f"seed must not be negative, not {plan.seed}")


def live_recipe(plan: LabTraining, name: str, teacher: Model | None = None) -> Recipe:
    """The recipe; ValueError says what is wrong with the plan.

    With a teacher the path is the teacher's, and training starts from its weights.
    """
    check_lab_training(plan)
    method = METHODS[plan.method]
    if method.needs_flow and teacher is None:
        raise ValueError(f"{method.name} learns from a flow: train flow matching first")
    if teacher and not METHODS[teacher.config.method].is_flow:
        raise ValueError(f"{teacher.name} only jumps: learn from a flow")
    sizes = teacher.config.net if teacher else MLPConfig(width=96, depth=3)
    many = len(dataset(plan.data).classes) > 1
    guided = method.guidance_input and (many or sizes.guidance)
    return Recipe(
        name=name,
        method=method.name,
        data=plan.data,
        net=sizes.model_copy(update={"end_time": not method.is_flow, "guidance": guided}),
        path=teacher.config.path if teacher else plan.path,
        times=plan.times,
        teacher=teacher.name if teacher else None,
        start_from=teacher.name if teacher else None,
        guidance=WEIGHTS if many else (1.0, 1.0),
        steps=plan.steps,
        batch_size=256,
        learning_rate=2e-3,
        warmup=50,
        ema=0.99,
        seed=plan.seed,
        **method.lab.fields(plan.coupling, LOSSES[plan.loss]),
    )


def train_live(
    recipe: Recipe, coupling: Coupling, teacher: Model | None = None, every: float = 0.5
) -> Iterator[PairsProgress | Progress | Snapshot]:
    """Trains on the CPU and writes no file; yields every step, and snapshots between them.

    They are `every` seconds apart; the first comes after a tenth of that, the last after the last step.
    """
    check_teacher(recipe, teacher)
    state, sources = prepare(recipe, teacher, CPU), [teacher] if teacher else []
    if recipe.pairs:
        began, batches = time.perf_counter(), []
        for first in range(0, recipe.pairs.count, SHARD):
            batches.append(pairs_from(recipe, teacher, first, SHARD))
            yield PairsProgress(first + SHARD, recipe.pairs.count)
        coupling, state.pair_seconds = (
            reflow_pairs(join_pairs(batches)),
            time.perf_counter() - began,
        )
    coupling, due = COUPLINGS[recipe.coupling](coupling), every / 10
    for progress in train(recipe, state, coupling, len(dataset(recipe.data).classes), teacher):
        yield progress
        if state.seconds > due or state.step == recipe.steps:
            due = state.seconds + every
            yield Snapshot(progress, frozen_copy(recipe, state, sources))


def join_pairs(batches: list[Batch]) -> Batch:
    """Batches of pairs as one."""
    fields = ("x_0", "x_1", "label", "guidance")
    return Batch(*(torch.cat([getattr(batch, key) for batch in batches]) for key in fields))


def frozen_copy(recipe: Recipe, state: State, sources: list[Model]) -> Model:
    """A copy of the averaged weights, which further steps do not change."""
    model = finished(recipe, state, sources)
    return replace(model, net=deepcopy(model.net), revision=f"step {state.step}")
