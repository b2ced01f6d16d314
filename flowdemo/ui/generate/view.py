"""The Generate tab: one request, one run, everything about it."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from PIL import Image
from plotly.graph_objects import Figure

from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.compare import Row, straight_of
from flowdemo.evaluation.plane import plane, plane_of
from flowdemo.methods import METHODS
from flowdemo.output import images, plots
from flowdemo.sampling.request import ANY, Request, is_adaptive
from flowdemo.sampling.run import Samples
from flowdemo.ui.generate.controls import live_evaluations, opened_by, read
from flowdemo.ui.shared import gpu, nearest, text
from flowdemo.ui.shared.models import load
from flowdemo.ui.shared.player import film, payload
from flowdemo.ui.shared.runner import Tab
from flowdemo.ui.shared.work import Wanted, fresh_folder, in_background, spoken, yielding

LIVE_EVALUATIONS = 2  # of one sample that are cheap enough to follow the sliders as they move
PATHS = 100  # that are drawn at most
WAITING, NOTHING = "…", "\u2013"  # stand for a number that will come, and for one that will not


@dataclass(frozen=True)
class View:
    """A run as the tab shows it; `note` says where it was made, if that was not meant."""

    row: Row
    note: str = ""
    pending: bool = True

    @cached_property
    def near(self) -> nearest.Near | None:
        return nearest.near(self.row.model, self.row.samples)


def run(request: Request, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Progress in words, then the view.

    ValueError says what is wrong with the request; `Stopped` that it is not wanted any more.
    """
    model = load(request.model)
    request = request.completed(model)
    for progress in in_background(partial(gpu.draw, model, request), wanted):
        if isinstance(progress, int):
            yield f"{progress // request.n} evaluations done ..."
    samples, note = progress
    referee = judge(model.config.data)
    right = referee and referee.right(samples.images, samples.labels)
    yield View(Row(samples.request, model, samples, right), note)


def measure(view: View, wanted: Wanted = lambda: True) -> Iterator[View | None]:
    """None while it works, then the view with the straightness of the flow.

    That takes 251 evaluations, twice as many with two-evaluation guidance.
    """
    row = view.row
    if not row.model.is_followed:
        return

    def work(watch: Callable[[int], None]) -> float:
        return straight_of(row.model, row.samples, yielding(watch))

    for straight in in_background(work, wanted):
        if isinstance(straight, int):
            yield None
        else:
            yield replace(view, row=replace(row, straightness=straight))


def colour_of(view: View) -> str:
    return METHODS[view.row.method].colour


def caption(view: View) -> str:
    """What the plane of the trajectories is."""
    if not view.row.model.is_image:
        return text.PLANE_POINTS
    return text.PLANE_IMAGES if plane(view.row.model.config.data) else text.PLANE_RUN


def picture(samples: Samples, extent: float | None = None) -> Image.Image:
    """The final samples, crisp; points within +-`extent`, or all states of theirs."""
    if samples.images is None:
        extent = extent or 1.08 * samples.trajectory.states.abs().max().item()
        return images.scatter(samples.points, samples.labels, extent, background="#00000000")
    n = len(samples.images)
    return images.image_grid(samples.images, columns=min(n, 8 if n <= 32 else 12))


def trajectories(view: View) -> Figure:
    """The paths of the first samples in the data's plane."""
    model, samples = view.row.model, view.row.samples
    names = (*model.config.classes, ANY)
    flat = plane(model.config.data) or plane_of(samples.trajectory.states)
    anchors = flat.anchors(model.config.classes) if model.is_image else {}
    return plots.trajectories(
        flat.project(samples.trajectory.states[:, :PATHS]).numpy(),
        samples.trajectory.times.numpy(),
        [f"sample {i}, class {names[label]}" for i, label in enumerate(samples.labels[:PATHS])],
        colour_of(view),
        flat.points.numpy(),
        {name: place.numpy() for name, place in anchors.items()},
    )


def rates(view: View) -> Figure:
    """Speed and turning over time."""
    path = view.row.samples.trajectory
    return plots.speed_and_turning(path.states.numpy(), path.times.numpy(), colour_of(view))


def numbers(view: View) -> str:
    """The numbers of a run as HTML; each one unit, one place."""
    row, samples = view.row, view.row.samples
    ms, n = 1000 * samples.seconds, len(samples.labels)
    waits = WAITING if view.pending and row.model.is_followed else NOTHING
    cells = {
        "NFE": f"{samples.nfe:g}",
        "steps": str(len(samples.trajectory.times) - 1),
        "time": f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.1f} s",
        "per sample": f"{ms / n:.1f} ms",
        "straightness": waits if row.straightness is None else f"{row.straightness:.3f}",
    }
    if samples.latents is not None:
        cells["decoder"] = f"{samples.decoder_seconds:.1f} s"
    if row.right is not None:
        cells["accuracy"] = f"{int(row.right.sum())}/{len(row.right)}"
    cells |= {"seed": str(samples.request.seed), "weights": samples.revision}
    return number_list(cells, colour_of(view))


def number_list(cells: dict[str, str], colour: str) -> str:
    """Names and numbers as HTML, in the colour of a method."""
    rows = (
        f'<div><dt>{key}</dt><dd class="fd-{key.split()[0]}">{html.escape(value)}</dd></div>'
        for key, value in cells.items()
    )
    return f'<dl class="fd-numbers" style="--fd-method: {colour}">{"".join(rows)}</dl>'


def link(view: View) -> str:
    """A link that brings the same picture back."""
    samples = view.row.samples
    query = samples.request.query(view.row.model.config.classes) | {"rev": samples.revision}
    return link_to(query, "Link to this picture")


def link_to(query: dict[str, Any], words: str) -> str:
    """A link to this page with a query, as HTML."""
    address = html.escape(urlencode(query))
    return f'<div class="fd-link"><a href="?{address}">{words}</a></div>'


def is_live(request: Request) -> bool:
    """Whether a run is cheap enough to follow the sliders as they move."""
    if is_adaptive(request.solver):
        return False
    evaluations = live_evaluations(request)
    return evaluations is not None and evaluations <= LIVE_EVALUATIONS


VIEW: dict[str, Callable[[View], Any]] = {
    "picture": lambda view: picture(view.row.samples),
    "film": lambda view: payload(film(view.row.samples, colour=colour_of(view))),
    "numbers": numbers,
    "trajectories": trajectories,
    "rates": rates,
    "link": link,
    "caption": caption,
    "near_fold": lambda view: nearest.updates(view.near)[0],
    "near": lambda view: nearest.updates(view.near)[1],
    "near_words": lambda view: nearest.updates(view.near)[2],
}
TAB = Tab(
    read=read, run=run, view=VIEW, measure=measure, slow=("numbers",),
    models=lambda request: [request.model], link="model", open=opened_by,
)  # fmt: skip


def export_run(view: View | None) -> Any:
    """PNG, GIF, WebP, NPZ and the settings of a run, in a new folder."""
    with spoken():
        if view is None:
            raise ValueError("This run is not kept any more: press Generate, then export.")
        asked = view.row.samples.request
        stem = f"{asked.model}-seed-{asked.seed}"
        files = images.export_all(view.row.samples, fresh_folder(), stem)
        return gr.update(value=files, visible=True)
