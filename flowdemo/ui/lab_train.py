"""Training in the Lab: one run, or the chain from flow matching to one step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from flowdemo.data import OWN
from flowdemo.evaluation.metrics import straightness
from flowdemo.lab import Source, distance, floor
from flowdemo.methods import AVERAGE, METHODS
from flowdemo.model import Model
from flowdemo.noise import noise
from flowdemo.sampling import sample
from flowdemo.training.live import Snapshot, Wish, check, live_recipe, train_live
from flowdemo.training.run import PairsProgress
from flowdemo.ui.generate import Wanted
from flowdemo.ui.lab_desk import MAX_RUNS, Desk, source_of
from flowdemo.ui.lab_films import runs
from flowdemo.ui.tables import Line, table
from flowdemo.ui.work import Stopped, yielding

POINTS, STEPS, SEED = 400, 20, 5  # of the cloud that is drawn while training
CHAIN = ("flow-matching", "reflow", "reflow", "meanflow")


@dataclass(frozen=True)
class Curve:
    """What is plotted of a run: (step, smoothed loss) and (step, W2), and the W2 of real draws."""

    losses: tuple[tuple[int, float], ...] = ()
    distances: tuple[tuple[int, float], ...] = ()
    floor: float = 0.0


@dataclass(frozen=True)
class View:
    """What is shown of a run: no film where nothing new was drawn."""

    words: str
    film: str | None
    curve: Curve
    summary: str | None = None


def train(wish: Wish, desk: Desk, wanted: Wanted = lambda: True) -> Iterator[View]:
    """A run, shown while it goes on; what it learnt stays on the desk, also when it is stopped.

    Reflow and MeanFlow learn from the last flow of this data on the desk. `Stopped` comes out after
    the model was kept.
    """
    check(wish)
    source, title = source_of(wish.data, desk), fresh_title(wish.method, desk)
    master = teacher_of(wish, desk)
    recipe = live_recipe(wish, name_of(title), master)
    curve, latest, smooth = Curve(), None, 0.0
    calm = yielding(lambda rows: None)  # a timed run of somebody else goes first
    for state in train_live(recipe, source.coupling(), master):
        if isinstance(state, Snapshot):
            latest = state.model
            curve, drawn = snapshot(latest, title, source, curve, (state.progress.step, smooth))
            yield View(said(title, state.progress), drawn, curve)
        elif isinstance(state, PairsProgress):
            yield View(f"{title}: {state.made} of {state.wanted} pairs", None, curve)
        else:
            smooth = state.loss if state.step < 20 else 0.98 * smooth + 0.02 * state.loss
        calm(0)
        if not wanted():
            break
    if latest is not None:
        yield put_away(title, latest, source, desk, curve)
    if not wanted():
        raise Stopped


def put_away(title: str, model: Model, source: Source, desk: Desk, curve: Curve) -> View:
    """The trained model onto the desk, unless it learnt own points that others replaced since."""
    if source.points is not (desk.points if source.name == OWN else None):
        return View(f"{title}: dropped, for there are other points now", None, curve)
    gone = desk.keep(title, model)
    words = f"{title}: done" + (f"; {', '.join(gone)} made room" if gone else "")
    return View(words, None, curve, summary(desk, source))


def train_chain(wish: Wish, desk: Desk, wanted: Wanted = lambda: True) -> Iterator[View]:
    """Flow matching -> reflow -> reflow again -> MeanFlow, each from the one before.

    Earlier models of this data make room.
    """
    check(wish)
    source_of(wish.data, desk)
    desk.drop(wish.data)
    for method in CHAIN:
        yield from train(replace(wish, method=method), desk, wanted)


def teacher_of(wish: Wish, desk: Desk) -> Model | None:
    """The model that a run learns from: the last flow of this data, but none for flow matching."""
    own = [model for model in desk.runs.values() if model.config.data == wish.data]
    flows = [model for model in own if model.config.method != "meanflow"]
    return flows[-1] if flows and wish.method != "flow-matching" else None


def fresh_title(method: str, desk: Desk) -> str:
    """ "Yours: reflow", "Yours: reflow 2" and so on."""
    title = f"yours: {METHODS[method].title}"
    names = [title, *(f"{title} {k}" for k in range(2, MAX_RUNS + 2))]
    return next(name for name in names if name not in desk.runs)


def name_of(title: str) -> str:
    """A title as a name of a recipe."""
    return "lab-" + title.removeprefix("yours: ").lower().replace(" ", "-")


def snapshot(
    model: Model, title: str, source: Source, curve: Curve, at: tuple[int, float]
) -> tuple[Curve, str]:
    """The curve with a new point, and the film of the model as it is."""
    steps = 1 if AVERAGE in model.solvers else STEPS
    made = sample(model, POINTS, None, steps=steps, seed=SEED)
    step, loss = at
    curve = Curve(
        (*curve.losses, (step, loss)),
        (*curve.distances, (step, distance(source, made))),
        curve.floor or floor(source, made),
    )
    caption = f"{title}, step {step}, {steps} solver step(s)"
    return curve, runs(source, {caption: made}, model.config.method)


def said(title: str, progress: Any) -> str:
    """Progress in words."""
    speed = progress.step / max(progress.seconds, 1e-9)
    return f"{title}: step {progress.step} of {progress.steps}, {speed:.0f} a second"


def summary(desk: Desk, source: Source) -> str:
    """Straightness and one-step distance of the visitor's models of this data, one a line."""
    titles = ("model", "straightness", "W2 in one step", "samples seen", "seconds")
    own = {title: m for title, m in desk.runs.items() if m.config.data == source.name}
    lines = (Line(title, m.config.method, cells(m, source)) for title, m in own.items())
    return table(titles, lines)


def cells(model: Model, source: Source) -> list[str]:
    """The numbers of one model."""
    straight = straightness(lambda x, t: model.velocity(x, t), noise(SEED, POINTS, (2,)))
    one_step = sample(model, POINTS, None, steps=1, seed=SEED)
    cost = model.config.training
    return [
        f"{straight:.4f}",
        f"{distance(source, one_step):.3f}",
        f"{cost['images_seen']:,}",
        f"{3600 * cost['hours']:.0f}",
    ]
