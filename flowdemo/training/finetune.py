"""Fine-tuning a checkpoint on one's own pictures: old classes stay, new ones may be added."""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flowdemo.config import FineTune, ModelConfig
from flowdemo.data.classes import check_classes
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.noise import mixed
from flowdemo.options import Schedule
from flowdemo.sizes import OwnConfig
from flowdemo.training.best import LOOK, best_of
from flowdemo.training.growth import LABELS, grown, keep_rows
from flowdemo.training.rehearsal import Lesson, accuracy, rehearsed
from flowdemo.training.run import machine
from flowdemo.training.sources import chain
from flowdemo.training.trainer import Diverged, Progress, State, optimise, start

FROZEN: dict[str, Callable[[str], bool]] = {  # what stays as it is -> whether a weight is trained
    "nothing": lambda name: True,
    "all but the conditioning": lambda name: "condition" in name or "modulator" in name,
    "all but the labels": lambda name: name == LABELS,
}
STEPS = {name: each.tuning.steps for name, each in METHODS.items() if each.tuning}
MAX_STEPS, BATCH, EVERY = 5000, 48, 1.0
Wanted = Callable[[], bool]


@dataclass(frozen=True)
class Wish:
    """What somebody asks for: the result's name, how long and fast, what stays frozen.

    `augment` is how much the pictures are varied (1 is usual), `seconds` when it ends at the latest; 0
    `steps` are those of `STEPS`.
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
    """Old classes of which there are samples to rehearse, of how many."""

    made: int
    wanted: int


@dataclass(frozen=True)
class Snapshot:
    """A run so far: the newest step, and a model that can be sampled."""

    progress: Progress
    model: Model


@dataclass(frozen=True)
class Tuned:
    """The end: the model, and the share of old classes' samples that were right, before and after.

    These are None where no classifier knows the classes. The model is the best that the run had, that
    of `step`. `note` says what went wrong, if anything.
    """

    model: Model
    step: int
    before: float | None
    after: float | None
    note: str = ""


def finetune(
    wish: Wish,
    origin: Model,
    pictures: Tensor,
    labels: list[str],
    wanted: Wanted = lambda: True,
) -> Iterator[Rehearsal | Progress | Snapshot | Tuned]:
    """Trains `origin` on pictures (n, c, h, w) of these classes; the last is a `Tuned`.

    They are uint8, or lie in [0, 1]. Classes that it does not know become new ones. Every second or so
    there is a `Snapshot`. When it is not `wanted` any more, the seconds are over, or the loss stays
    without a finite value, it ends. What it ends with is the best that it had (`best.py`). ValueError
    says what cannot be trained.
    """
    wish = completed(wish, origin.config)
    check(wish, origin, pictures, labels)
    config = tuned_config(wish, origin, pictures, labels)
    began, due, old = time.perf_counter(), 0.0, []
    for part in rehearsed(origin):
        old.append(part)
        yield Rehearsal(len(old), origin.empty)
    before = accuracy(origin, origin.empty)
    label = torch.tensor([config.classes.index(name) for name in labels])
    state = prepared(wish, origin, config, label)
    known = [torch.cat(tensors) for tensors in zip(*old, strict=True)]
    what = METHODS[config.method].tuning.loss(config), pictures, label, *known, len(config.classes)
    lesson, note = Lesson(origin, *what, BATCH, wish.augment), ""
    best = best_of(lesson, lesson.draw, mixed(wish.seed, 1))
    try:
        for progress in optimise(schedule_of(wish), state, lesson.draw, lesson):
            yield progress
            if progress.step % LOOK == 0:
                best.look(state)
            passed = time.perf_counter() - began
            if passed > due:
                due = passed + EVERY
                yield Snapshot(progress, so_far(config, state, origin))
            if not wanted() or (note := over(wish, progress, passed)):
                break
    except Diverged as error:  # the weights are those before
        note = f"{error}: this is what it had learnt before; take a smaller learning rate"
    best.look(state)
    state.ema.load_state_dict(best.weights)
    model = replace(so_far(config, state, origin), revision=f"step {best.step}")
    yield Tuned(model, best.step, before, accuracy(model, origin.empty), note)


def completed(wish: Wish, own: ModelConfig) -> Wish:
    """The wish with the usual steps of the checkpoint's method where it names none."""
    tuning = METHODS[own.method].tuning
    return replace(wish, steps=wish.steps or (tuning.steps if tuning else 1))


def over(wish: Wish, progress: Progress, passed: float) -> str:
    """That the time was over before the last step, in words; nothing if it was not."""
    if wish.seconds is None or passed <= wish.seconds or progress.step == wish.steps:
        return ""
    return f"the time was over after {progress.step} of {wish.steps} steps"


def check(wish: Wish, origin: Model, pictures: Tensor, labels: list[str]) -> None:
    """ValueError, in one line, for what cannot be trained."""
    own = origin.config
    if why := refusal(own):
        raise ValueError(f"{origin.name} cannot be fine-tuned: {why}")
    if not len(pictures) or len(pictures) != len(labels):
        raise ValueError("add at least one picture, and say of which class each is")
    if pictures.shape[1:] != own.sample_shape:
        raise ValueError(f"{origin.name} takes pictures of shape {own.sample_shape}")
    if not 1 <= wish.steps <= MAX_STEPS:
        raise ValueError(f"steps must lie in [1, {MAX_STEPS}], not {wish.steps}")
    if not 0 < wish.learning_rate <= 0.01:
        raise ValueError(f"the learning rate must lie in (0, 0.01], not {wish.learning_rate:g}")
    if not 0 <= wish.seed < 2**63:
        raise ValueError(f"the seed must not be negative, not {wish.seed}")
    if wish.frozen not in FROZEN:
        raise ValueError(f"frozen must be one of {', '.join(FROZEN)}, not '{wish.frozen}'")
    check_classes(tuple(dict.fromkeys([*own.classes, *labels])))


def refusal(own: ModelConfig) -> str | None:
    """Why a checkpoint of that description cannot be fine-tuned; None if it can."""
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


def schedule_of(wish: Wish) -> Schedule:
    """A short warm-up, and an average that follows quickly."""
    return Schedule(
        steps=wish.steps, batch_size=BATCH, learning_rate=wish.learning_rate,
        warmup=min(20, wish.steps), ema=0.98, seed=wish.seed,
    )  # fmt: skip


def prepared(wish: Wish, origin: Model, config: ModelConfig, label: Tensor) -> State:
    """The state at step 0: the origin's weights, of which the frozen ones have no gradient."""
    nets = [grown(origin, config) for _ in range(2)]
    state = start(schedule_of(wish), *nets, origin.device)
    for name, weight in state.net.named_parameters():
        weight.requires_grad_(FROZEN[wish.frozen](name))
    keep_rows(state.net, label)
    return state


def tuned_config(wish: Wish, origin: Model, pictures: Tensor, labels: list[str]) -> ModelConfig:
    """The description of the result, before any training."""
    own = origin.config
    told = FineTune(
        start=origin.name, revision=origin.revision, pictures=len(pictures),
        classes=tuple(dict.fromkeys(labels)), steps=wish.steps,
        learning_rate=wish.learning_rate, frozen=wish.frozen,
    )  # fmt: skip
    changes = {
        "name": wish.name,
        "classes": tuple(dict.fromkeys([*own.classes, *labels])),
        "recipe": None, "origin": None, "results": {}, "sha256": None, "finetune": told,
    }  # fmt: skip
    return ModelConfig.model_validate(own.model_dump() | changes)


def so_far(config: ModelConfig, state: State, origin: Model) -> Model:
    """The averaged weights as they are now, with their description; the run goes on with others."""
    cost = {
        "images_seen": state.step * BATCH,
        "hours": round(state.seconds / 3600, 3),
        "machine": machine(origin.device),
        "chain": chain([origin]),
    }
    net = deepcopy(state.ema).requires_grad_(False).eval()
    told = ModelConfig.model_validate(config.model_dump() | {"training": cost})
    return Model(told, net, f"step {state.step}")
