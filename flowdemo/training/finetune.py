"""Fine-tuning of a checkpoint on one's own pictures, of its classes or of new ones."""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flowdemo.config.checkpoint import FineTune, ModelConfig
from flowdemo.config.options import Schedule
from flowdemo.core.noise import mixed
from flowdemo.data.class_names import check_classes
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.nets.sizes import OwnConfig
from flowdemo.training.best import LOOK, best_of
from flowdemo.training.label_table import LABELS, train_rows_only, with_new_classes
from flowdemo.training.rehearsal import TuningLoss, accuracy, rehearsal_samples
from flowdemo.training.run import machine
from flowdemo.training.teachers import costs_of
from flowdemo.training.trainer import Diverged, Progress, Snapshot, State, optimise, start

FROZEN: dict[str, Callable[[str], bool]] = {  # what is frozen -> whether a weight is trained
    "nothing": lambda name: True,
    "all but the conditioning": lambda name: "condition" in name or "modulator" in name,
    "all but the labels": lambda name: name == LABELS,
}
STEPS = {name: each.tuning.steps for name, each in METHODS.items() if each.tuning}
MAX_STEPS, BATCH, EVERY = 5000, 48, 1.0
Wanted = Callable[[], bool]


@dataclass(frozen=True)
class FineTuning:
    """What to train: the name of the result, the length, the learning rate, and what stays frozen.

    `augment` is how much pictures are varied (1 is usual), `seconds` the longest time; 0 `steps` are
    those of the method (`STEPS`).
    """

    name: str
    steps: int = 0
    learning_rate: float = 1e-3
    frozen: str = "nothing"
    augment: float = 1.0
    seed: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Rehearsal:
    """How many old classes have samples to rehearse, and how many there are."""

    made: int
    wanted: int


@dataclass(frozen=True)
class Tuned:
    """The result: the best model of the run, that of `step`, and its accuracy.

    `before` and `after` are the shares of samples of old classes that the classifier recognises; None
    if no classifier knows the classes. `note` says what went wrong, if anything.
    """

    model: Model
    step: int
    before: float | None
    after: float | None
    note: str = ""


def finetune(
    plan: FineTuning,
    origin: Model,
    pictures: Tensor,
    labels: list[str],
    wanted: Wanted = lambda: True,
) -> Iterator[Rehearsal | Progress | Snapshot | Tuned]:
    """Trains `origin` on pictures (n, c, h, w), uint8 or in [0, 1], of these classes.

    Unknown classes become new ones. About once a second it yields a `Snapshot`, and at last a `Tuned`
    with the best weights (`best.py`). It ends early when `wanted()` is false, when the seconds are
    over, or when the loss stays without a finite value. ValueError says what cannot be trained.
    """
    plan = completed(plan, origin.config)
    check_tuning(plan, origin, pictures, labels)
    config = tuned_config(plan, origin, pictures, labels)
    began, due, old = time.perf_counter(), 0.0, []
    for part in rehearsal_samples(origin):
        old.append(part)
        yield Rehearsal(len(old), origin.empty)
    before = accuracy(origin, origin.empty)
    label = torch.tensor([config.classes.index(name) for name in labels])
    state = tuning_state(plan, origin, config, label)
    known = [torch.cat(tensors) for tensors in zip(*old, strict=True)]
    new = METHODS[config.method].tuning.loss(config)
    loss = TuningLoss(
        origin, new, pictures, label, *known, len(config.classes), BATCH, plan.augment
    )
    best, note = best_of(loss, loss.draw, mixed(plan.seed, 1)), ""
    try:
        for progress in optimise(schedule_of(plan), state, loss.draw, loss):
            yield progress
            if progress.step % LOOK == 0:
                best.look(state)
            passed = time.perf_counter() - began
            if passed > due:
                due = passed + EVERY
                yield Snapshot(progress, tuned_model(config, state, origin))
            if not wanted() or (note := over(plan, progress, passed)):
                break
    except Diverged as error:  # the weights are those before the bad steps
        note = f"{error}: this is what it had learnt before; take a smaller learning rate"
    best.look(state)
    state.ema.load_state_dict(best.weights)
    model = replace(tuned_model(config, state, origin), revision=f"step {best.step}")
    yield Tuned(model, best.step, before, accuracy(model, origin.empty), note)


def completed(plan: FineTuning, own: ModelConfig) -> FineTuning:
    """The plan with the usual steps of the method if it has none."""
    tuning = METHODS[own.method].tuning
    return replace(plan, steps=plan.steps or (tuning.steps if tuning else 1))


def over(plan: FineTuning, progress: Progress, passed: float) -> str:
    """A note if the time was over before the last step, else an empty text."""
    if plan.seconds is None or passed <= plan.seconds or progress.step == plan.steps:
        return ""
    return f"the time was over after {progress.step} of {plan.steps} steps"


def check_tuning(plan: FineTuning, origin: Model, pictures: Tensor, labels: list[str]) -> None:
    """ValueError, in one line, if this cannot be trained."""
    own = origin.config
    if why := refusal(own):
        raise ValueError(f"{origin.name} cannot be fine-tuned: {why}")
    if not len(pictures) or len(pictures) != len(labels):
        raise ValueError("add at least one picture, and say of which class each is")
    if pictures.shape[1:] != own.sample_shape:
        raise ValueError(f"{origin.name} takes pictures of shape {own.sample_shape}")
    if not 1 <= plan.steps <= MAX_STEPS:
        raise ValueError(f"steps must lie in [1, {MAX_STEPS}], not {plan.steps}")
    if not 0 < plan.learning_rate <= 0.01:
        raise ValueError(f"the learning rate must lie in (0, 0.01], not {plan.learning_rate:g}")
    if not 0 <= plan.seed < 2**63:
        raise ValueError(f"the seed must not be negative, not {plan.seed}")
    if plan.frozen not in FROZEN:
        raise ValueError(f"frozen must be one of {', '.join(FROZEN)}, not '{plan.frozen}'")
    check_classes(tuple(dict.fromkeys([*own.classes, *labels])))


def refusal(own: ModelConfig) -> str | None:
    """Why a checkpoint cannot be fine-tuned; None if it can."""
    if METHODS[own.method].tuning is None or own.trained_times is not None:
        return (
            "choose a flow-matching or MeanFlow checkpoint; reflow learns from the pairs of a flow, "
            "not from pictures"
        )
    if not isinstance(own.net, OwnConfig) or len(own.shape) != 3 or own.decoder or own.crop:
        return "it is no image network of ours"
    if own.recipe and own.recipe.meanflow and own.recipe.meanflow.guides:
        return "its guidance is trained in"
    return None


def schedule_of(plan: FineTuning) -> Schedule:
    """A short warm-up and a short moving average."""
    return Schedule(
        steps=plan.steps, batch_size=BATCH, learning_rate=plan.learning_rate,
        warmup=min(20, plan.steps), ema=0.98, seed=plan.seed,
    )  # fmt: skip


def tuning_state(plan: FineTuning, origin: Model, config: ModelConfig, label: Tensor) -> State:
    """The state before step 1: the origin's weights, of which the frozen ones have no gradient."""
    nets = [with_new_classes(origin, config) for _ in range(2)]
    state = start(schedule_of(plan), *nets, origin.device)
    for name, weight in state.net.named_parameters():
        weight.requires_grad_(FROZEN[plan.frozen](name))
    train_rows_only(state.net, label)
    return state


def tuned_config(
    plan: FineTuning, origin: Model, pictures: Tensor, labels: list[str]
) -> ModelConfig:
    """The description of the result, before any training."""
    own = origin.config
    facts = FineTune(
        start=origin.name, revision=origin.revision, pictures=len(pictures),
        classes=tuple(dict.fromkeys(labels)), steps=plan.steps,
        learning_rate=plan.learning_rate, frozen=plan.frozen,
    )  # fmt: skip
    changes = {
        "name": plan.name,
        "classes": tuple(dict.fromkeys([*own.classes, *labels])),
        "recipe": None, "origin": None, "results": {}, "sha256": None, "finetune": facts,
    }  # fmt: skip
    return ModelConfig.model_validate(own.model_dump() | changes)


def tuned_model(config: ModelConfig, state: State, origin: Model) -> Model:
    """A copy of the averaged weights with their description; further steps do not change it."""
    cost = {
        "images_seen": state.step * BATCH,
        "hours": round(state.seconds / 3600, 3),
        "machine": machine(origin.device),
        "chain": costs_of([origin]),
    }
    net = deepcopy(state.ema).requires_grad_(False).eval()
    described = ModelConfig.model_validate(config.model_dump() | {"training": cost})
    return Model(described, net, f"step {state.step}")
