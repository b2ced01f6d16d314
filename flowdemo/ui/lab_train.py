"""Training in the Lab: one run, or the chain from flow matching to one step."""

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from flowdemo import plots
from flowdemo.evaluation.metrics import straightness
from flowdemo.lab import distance, floor
from flowdemo.methods import AVERAGE, METHODS
from flowdemo.model import Model
from flowdemo.noise import noise
from flowdemo.sampling import sample
from flowdemo.training.live import Snapshot, Wish, live_recipe, train_live
from flowdemo.ui.generate import Wanted
from flowdemo.ui.lab_desk import Desk, source_of
from flowdemo.ui.lab_films import runs
from flowdemo.ui.work import TIMED, Stopped

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


def train(
    wish: Wish, desk: Desk, teacher: str = "", wanted: Wanted = lambda: True
) -> Iterator[View]:
    """A run, shown while it goes on; what it learnt stays on the desk, also when it is stopped.

    `teacher` is a title of the desk, or empty: for reflow and MeanFlow the last flow on the desk.
    `Stopped` comes out after the model was kept.
    """
    source, master = source_of(wish.data, desk), teacher_of(wish, desk, teacher)
    title = fresh_title(wish.method, desk)
    recipe = live_recipe(wish, name_of(title), master)
    curve, latest, smooth = Curve(), None, 0.0
    for state in train_live(recipe, source.coupling(), master):
        if isinstance(state, Snapshot):
            latest, step = state.model, state.progress.step
            curve, drawn = snapshot(latest, title, wish, desk, curve, (step, smooth))
            yield View(said(title, state.progress), drawn, curve)
        elif hasattr(state, "loss"):
            smooth = state.loss if state.step < 20 else 0.98 * smooth + 0.02 * state.loss
        else:
            yield View(f"{title}: {state.made} of {state.wanted} pairs", None, curve)
        with TIMED:  # a timed run of somebody else goes first
            pass
        if not wanted():
            break
    if latest is not None:
        desk.runs[title] = latest
        yield View(f"{title}: done", None, curve, summary(desk, wish.data))
    if not wanted():
        raise Stopped


def train_chain(wish: Wish, desk: Desk, wanted: Wanted = lambda: True) -> Iterator[View]:
    """Flow matching -> reflow -> reflow again -> MeanFlow, each from the one before."""
    desk.runs.clear()
    teacher = ""
    for method in CHAIN:
        yield from train(replace(wish, method=method), desk, teacher, wanted)
        teacher = list(desk.runs)[-1]


def teacher_of(wish: Wish, desk: Desk, title: str) -> Model | None:
    """The model that a run learns from."""
    own = {t: m for t, m in desk.runs.items() if m.config.data == wish.data}
    if title:
        return own[title]
    flows = [m for m in own.values() if m.config.method != "meanflow"]
    return flows[-1] if flows and wish.method != "flow-matching" else None


def fresh_title(method: str, desk: Desk) -> str:
    """ "Yours: reflow", "Yours: reflow 2" and so on."""
    title = f"yours: {METHODS[method].title}"
    same = [name for name in desk.runs if name.startswith(title)]
    return f"{title} {len(same) + 1}" if same else title


def name_of(title: str) -> str:
    """A title as a name of a recipe."""
    return "lab-" + title.removeprefix("yours: ").lower().replace(" ", "-")


def snapshot(
    model: Model, title: str, wish: Wish, desk: Desk, curve: Curve, at: tuple[int, float]
) -> tuple[Curve, str]:
    """The curve with a new point, and the film of the model as it is."""
    source = source_of(wish.data, desk)
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


def summary(desk: Desk, data: str) -> str:
    """Straightness and one-step distance of the visitor's models, one a line."""
    head = ("model", "straightness", "W2 in one step", "samples seen", "seconds")
    rows = "".join(
        row_of(title, model, desk, data)
        for title, model in desk.runs.items()
        if model.config.data == data
    )
    titles = "".join(f'<th scope="col">{name}</th>' for name in head)
    return f'<table class="fd-table"><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>'


def row_of(title: str, model: Model, desk: Desk, data: str) -> str:
    """One line of the summary."""
    x_0 = noise(SEED, POINTS, (2,))
    straight = straightness(lambda x, t: model.velocity(x, t), x_0)
    one_step = sample(model, POINTS, None, steps=1, seed=SEED)
    cost = model.config.training
    cells = (
        f"{straight:.4f}",
        f"{distance(source_of(data, desk), one_step):.3f}",
        f"{cost['images_seen']:,}",
        f"{3600 * cost['hours']:.0f}",
    )
    colour = plots.METHOD_COLOURS[model.config.method]
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr style="--fd-method: {colour}"><th scope="row">{html.escape(title)}</th>{body}</tr>'
