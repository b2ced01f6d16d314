"""The Generate tab: one model, one run, everything about it."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from PIL import Image
from plotly.graph_objects import Figure

from flowdemo import plots
from flowdemo.compare import straight_of
from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.plane import plane, plane_of
from flowdemo.exports import image_grid, scatter
from flowdemo.model import Model
from flowdemo.sampling import (
    Samples,
    evaluations_per_step,
    is_adaptive,
    is_image,
    parse_label,
)
from flowdemo.ui import gpu, text
from flowdemo.ui.models import known, load
from flowdemo.ui.near import Near, near
from flowdemo.ui.player import film, payload
from flowdemo.ui.work import in_background, yielding

ANY, ALL = "any", "all"
Wanted = Callable[[], bool]


@dataclass(frozen=True)
class Choice:
    """What the controls say, in the words of the command line."""

    model: str
    n: int = 16
    label: str = ALL
    guidance: float = 1.0
    solver: str = "average"
    steps: int | None = 1
    tolerance: float | None = None
    seed: int = 42


@dataclass(frozen=True)
class View:
    """What the tab shows of a run."""

    samples: Samples
    picture: Image.Image
    film: str
    numbers: str
    trajectories: Figure
    rates: Figure
    link: str
    caption: str
    near: Near | None
    note: str = ""


def run(choice: Choice, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words, then the view.

    ValueError says what is wrong with the choice; `Stopped` that it is not wanted any more.
    """
    model = load(choice.model)
    for progress in in_background(partial(draw, model, choice), wanted):
        if isinstance(progress, int):
            yield f"{progress // choice.n} evaluations done ..."
    yield view_of(model, choice, *progress)


def measured(samples: Samples, wanted: Wanted = lambda: True) -> Iterator[str | None]:
    """None while it works, then the numbers of a run with its straightness.

    That takes 251 evaluations (twice that with two-evaluation guidance), so only the first eight
    samples are followed.
    """
    model = load(samples.settings["model"])
    if not model.is_followed:
        return

    def work(watch: Callable[[int], None]) -> float:
        return straight_of(model, samples, yielding(watch))

    for straight in in_background(work, wanted):
        yield None if isinstance(straight, int) else numbers(model, samples, straight)


def draw(model: Model, choice: Choice, watch: Any) -> tuple[Samples, str]:
    """The samples of a choice, and what is to be said of where they were made."""
    adaptive = is_adaptive(choice.solver)
    return gpu.draw(
        model,
        choice.n,
        parse_label(choice.label, model.config.classes),
        choice.guidance,
        choice.solver,
        None if adaptive else choice.steps,
        choice.seed,
        tolerance=choice.tolerance if adaptive else None,
        watch=watch,
    )


def view_of(model: Model, choice: Choice, samples: Samples, note: str = "") -> View:
    """Pictures, plots and numbers of a run."""
    return View(
        samples=samples,
        picture=picture(samples),
        film=payload(film(samples, colour=plots.METHOD_COLOURS[model.config.method])),
        numbers=numbers(model, samples),
        trajectories=trajectories(model, samples),
        rates=plots.speed_and_turning(
            samples.trajectory.states.numpy(),
            samples.trajectory.times.numpy(),
            plots.METHOD_COLOURS[model.config.method],
        ),
        link=link(choice, samples),
        caption=caption_of(model),
        near=near(model, samples),
        note=note,
    )


def caption_of(model: Model) -> str:
    """What the plane of the trajectories is."""
    if not is_image(model):
        return text.PLANE_POINTS
    return text.PLANE_IMAGES if plane(model.config.data) else text.PLANE_RUN


def picture(samples: Samples, extent: float | None = None) -> Image.Image:
    """The final samples, crisp; points within +-`extent`, or all states of theirs."""
    if samples.images is None:
        extent = extent or 1.08 * samples.trajectory.states.abs().max().item()
        return scatter(samples.points, samples.labels, extent, background="#00000000")
    n = len(samples.images)
    return image_grid(samples.images, columns=min(n, 8 if n <= 32 else 12))


def trajectories(model: Model, samples: Samples, most: int = 100) -> Figure:
    """The paths of the first samples in the data's plane."""
    names = (*model.config.classes, ANY)
    flat = plane(model.config.data) or plane_of(samples.trajectory.states)
    anchors = flat.anchors(model.config.classes) if is_image(model) else {}
    return plots.trajectories(
        flat.project(samples.trajectory.states[:, :most]).numpy(),
        samples.trajectory.times.numpy(),
        [f"sample {i}, class {names[label]}" for i, label in enumerate(samples.labels[:most])],
        plots.METHOD_COLOURS[model.config.method],
        flat.points.numpy(),
        {name: place.numpy() for name, place in anchors.items()},
    )


def numbers(model: Model, samples: Samples, straight: float | None = None) -> str:
    """The numbers of a run as HTML; each one unit, one place."""
    ms, n = 1000 * samples.seconds, len(samples.labels)
    cells = {
        "NFE": f"{samples.nfe:g}",
        "steps": str(len(samples.trajectory.times) - 1),
        "time": f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.1f} s",
        "per sample": f"{ms / n:.1f} ms",
        "straightness": pending(model) if straight is None else f"{straight:.3f}",
    }
    if samples.latents is not None:
        cells["decoder"] = f"{samples.decoder_seconds:.1f} s"
    referee = judge(model.config.data)
    right = referee and referee.right(samples.images, samples.labels)
    if right is not None:
        cells["accuracy"] = f"{int(right.sum())}/{len(right)}"
    cells |= {"seed": str(samples.settings["seed"]), "weights": model.revision}
    rows = (
        f'<div><dt>{key}</dt><dd class="fd-{key.split()[0]}">{html.escape(value)}</dd></div>'
        for key, value in cells.items()
    )
    colour = plots.METHOD_COLOURS[model.config.method]
    return f'<dl class="fd-numbers" style="--fd-method: {colour}">{"".join(rows)}</dl>'


def pending(model: Model) -> str:
    """What stands where the straightness will: of a large network it would take minutes."""
    return "…" if model.is_followed else "\u2013"


def link(choice: Choice, samples: Samples) -> str:
    """A link that brings the same picture back."""
    choice = replace(
        choice, steps=samples.settings["steps"], tolerance=samples.settings["tolerance"]
    )
    fields = {key: value for key, value in vars(choice).items() if value is not None}
    query = urlencode(fields | {"rev": samples.settings["revision"]})
    return f'<div class="fd-link"><a href="?{html.escape(query)}">Link to this picture</a></div>'


def default_choice(name: str) -> Choice:
    """The model's own defaults."""
    model = known(name)
    own = model.config.defaults
    n = (4 if model.config.decoder else 16) if is_image(model) else 500
    return Choice(name, n=n, guidance=own.guidance, solver=own.solver, steps=own.steps)


def choice_from(query: dict[str, str]) -> Choice:
    """The choice of a link, the model's defaults where it is silent; ValueError for a wrong value."""
    kinds = {"n": int, "label": str, "guidance": float, "seed": int}
    kinds |= {"solver": str, "steps": int, "tolerance": float}
    given = {key: kind(query[key]) for key, kind in kinds.items() if key in query}
    if "tolerance" in given:
        given.setdefault("steps", None)
    classes, label = known(query["model"]).config.classes, given.get("label", "")
    if label not in classes and label.isdigit() and int(label) < len(classes):
        given["label"] = classes[int(label)]
    return replace(default_choice(query["model"]), **given)


def is_live(choice: Choice) -> bool:
    """Whether a run is cheap enough to follow the sliders as they move."""
    if is_adaptive(choice.solver):
        return False
    model = known(choice.model)
    if model.net is None or model.config.decoder or model.is_large:
        return False
    return (choice.steps or 1) * evaluations_per_step(model, choice.solver, choice.guidance) <= 2
