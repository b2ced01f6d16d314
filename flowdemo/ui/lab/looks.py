"""Three more looks into the plane: conditional paths, the way back to noise, the likelihood."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from flowdemo.core.couplings import COUPLINGS
from flowdemo.core.noise import generator
from flowdemo.core.paths import PATHS
from flowdemo.core.solvers import Trajectory
from flowdemo.evaluation.fields import Source, crossings, lattice
from flowdemo.model import Model
from flowdemo.output import plots
from flowdemo.sampling.inversion import invert, round_trip_error
from flowdemo.sampling.likelihood import log_likelihood
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import Watch, run, sample
from flowdemo.ui.lab import text as lab_text
from flowdemo.ui.lab.controls import FIRST
from flowdemo.ui.lab.films import REAL, runs
from flowdemo.ui.lab.workspace import EXACT, Workspace
from flowdemo.ui.shared import text
from flowdemo.ui.shared.player import player
from flowdemo.ui.shared.runner import QUICK, Runner, Tab, go_and_stop, status_line
from flowdemo.ui.shared.work import TIMED, Wanted, in_background, yielding

LINES, STATES = 24, 41  # conditional paths, and their states
MARGINAL_STEPS = 200  # of the exact velocity beside them
TRAVELLERS, STEPS = 300, 50  # points that go back to noise, and the steps of RK4
SIDE, LIKELIHOOD_STEPS = 64, 16  # cells of the likelihood map, and RK4 steps of each


@dataclass(frozen=True)
class View:
    """A player's value or a figure, with a sentence on what it shows."""

    shown: Any
    words: str
    note: str = ""


@dataclass(frozen=True)
class Pairs:
    """Conditional paths of a data set: how noise and data are mixed and paired."""

    source: Source
    path: str
    coupling: str
    seed: int


@dataclass(frozen=True)
class Place:
    """A model of the plane by its title, and where or from which points to look."""

    source: Source
    title: str
    model: Model
    seed: int = 0
    point: tuple[float, float] = (0.0, 0.0)


def two_kinds(asked: Pairs, watch: Watch = lambda rows: None) -> View:
    """A handful of conditional paths, and the marginal trajectories from the same noise."""
    source, formula = asked.source, PATHS[asked.path](0.0)
    batch = COUPLINGS[asked.coupling](source.coupling())(LINES, generator(asked.seed))
    times = torch.linspace(0, 1, STATES)
    states = torch.stack([formula.sample(batch.x_0, batch.x_1, t.expand(LINES))[0] for t in times])
    exact = source.exact(asked.path)
    marginal = sample(exact, LINES, None, steps=MARGINAL_STEPS, x_0=batch.x_0, watch=watch)
    thin = torch.linspace(0, MARGINAL_STEPS, STATES).long()
    shown = Trajectory(marginal.trajectory.times[thin], marginal.trajectory.states[thin])
    conditional = replace(
        marginal, points=batch.x_1, labels=batch.label, trajectory=Trajectory(times, states)
    )
    marginal = replace(marginal, labels=batch.label, trajectory=shown)
    words = (
        f"Of {LINES * (LINES - 1) // 2} pairs of conditional paths {crossings(states)} cross in the "
        "plane; "
        f"of the marginal trajectories {crossings(shown.states)}, and where two of those cross they "
        "pass at different times: a velocity field has one direction at each point and time."
    )
    made = {
        "conditional: noise and data in pairs": conditional,
        "marginal: along the exact velocity": marginal,
    }
    return View(runs(source, made, "exact"), words)


def show_kinds(asked: Pairs, wanted: Wanted = lambda: True) -> Iterator[View]:
    """Conditional and marginal paths."""
    for progress in in_background(partial(two_kinds, asked), wanted):
        if isinstance(progress, View):
            yield progress


def back_to_noise(asked: Place, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Real points back to noise by the descending grid, and forward again."""
    model, title = asked.model, asked.title
    points, labels = asked.source.draw(TRAVELLERS, asked.seed)
    how = {"guidance": 1.0, "solver": "rk4", "steps": STEPS}
    request = Request(title, TRAVELLERS, tuple(labels.tolist()), **how)

    def work(watch: Watch) -> tuple:
        with TIMED:
            back = invert(model, points, request, watch=watch)
            return back, run(model, request, x_0=back.x_0, watch=watch)

    for progress in in_background(work, wanted):
        if isinstance(progress, int):
            yield f"{progress} evaluations ..."
    back, again = progress
    way = Trajectory(back.trajectory.times.flip(0), back.trajectory.states.flip(0))
    made = {f"back by {title} (read it from t = 1)": replace(again, trajectory=way)}
    films = runs(asked.source, made | {"forward again": again}, model.config.method)
    x_0 = back.x_0
    yield View(
        films,
        f"{TRAVELLERS} real points, RK4 with {STEPS} steps each way. Round-trip error "
        f"{round_trip_error(points, again.points):.2g} (root mean square, units of the plane). The "
        f"noise has mean ({x_0[:, 0].mean():.2f}, {x_0[:, 1].mean():.2f}) and scale "
        f"({x_0[:, 0].std():.2f}, {x_0[:, 1].std():.2f}); N(0, I) has 0 and 1.",
    )


def likelihood(asked: Place, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """The log-likelihood of one point, and of the plane as a heat map with its integral."""
    model, point = asked.model, asked.point
    extent = 1.5 * max(asked.source.draw(REAL, 1)[0].abs().max().item(), 3.0)
    where = torch.cat([torch.tensor([point], dtype=torch.float32), lattice(extent, SIDE)])

    def work(watch: Watch) -> Tensor:
        if asked.title == EXACT:  # a formula; the integral along its stiff field takes long
            return model.net.log_density(where, model.empty)
        return log_likelihood(model, where, steps=LIKELIHOOD_STEPS, watch=yielding(watch))

    for progress in in_background(work, wanted):
        if isinstance(progress, int):
            yield f"{progress} of {len(where)} points ..."
    mass = progress[1:].exp().sum().item() * (2 * extent / SIDE) ** 2
    log_p = progress[1:].reshape(SIDE, SIDE).numpy()
    yield View(
        plots.heat_map(log_p, extent, point, "log p"),
        f"log p(({point[0]:g}, {point[1]:g})) = {progress[0]:.3f} nats under {asked.title}, all "
        f"classes together. The density integrates to {mass:.3f} over this square.",
    )


def read_pairs(
    workspace: Workspace, data: str, path: str, coupling: str, seed: float | None
) -> Pairs:
    return Pairs(workspace.source(data), path, coupling, int(seed or 0))


def read_travellers(workspace: Workspace, data: str, title: str, seed: float | None) -> Place:
    return Place(workspace.source(data), title, workspace.model(data, title), int(seed or 0))


def read_point(
    workspace: Workspace, data: str, title: str, x: float | None, y: float | None
) -> Place:
    point = (float(x or 0), float(y or 0))
    return Place(workspace.source(data), title, workspace.model(data, title), point=point)


VIEW: dict[str, Callable[[View], Any]] = {
    "shown": lambda view: gr.update(value=view.shown, visible=True),
    "words": lambda view: view.words,
}


CONDITIONAL_PATHS = Tab(read_pairs, show_kinds, VIEW)
BACK_TO_NOISE = Tab(read_travellers, back_to_noise, VIEW)
LIKELIHOOD = Tab(read_point, likelihood, VIEW)


def build(workspace: gr.State, data: gr.Radio) -> None:
    """Three sub-tabs about the data that is chosen above."""
    with gr.Tab("Two kinds of path"):
        gr.Markdown(lab_text.TWO_KINDS, elem_classes="fd-caption")
        with gr.Row():
            path = gr.Radio(list(PATHS), value="linear", label="Path", elem_id="p-path")
            coupling = gr.Radio(
                list(COUPLINGS), value="independent", label="Coupling", elem_id="p-coupling"
            )
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="p-seed")
        given = [workspace, data, path, coupling, seed]
        look(CONDITIONAL_PATHS, given, film, "p-")
    with gr.Tab("Back to noise"):
        gr.Markdown(lab_text.BACK, elem_classes="fd-caption")
        with gr.Row():
            title = model_choice(workspace, data, "b-model")
            seed = gr.Number(0, label="Seed of the points", precision=0, minimum=0)
        given = [workspace, data, title, seed]
        look(BACK_TO_NOISE, given, film, "b-")
    with gr.Tab("Likelihood"):
        gr.Markdown(lab_text.LIKELIHOOD, elem_classes="fd-caption")
        with gr.Row():
            title = model_choice(workspace, data, "k-model")
            x, y = (gr.Number(0.0, label=name, elem_id=f"k-{name}") for name in "xy")
        look(LIKELIHOOD, [workspace, data, title, x, y], plot, "k-")


def film(prefix: str) -> gr.HTML:
    return player("", f"{prefix}player")


def plot(prefix: str) -> gr.Plot:
    return gr.Plot(show_label=False, visible=False, elem_id=f"{prefix}plot")


def model_choice(workspace: gr.State, data: gr.Radio, elem_id: str) -> gr.Dropdown:
    """A model of the chosen data; what there is, is asked when it is opened."""
    title = gr.Dropdown(
        Workspace().titles(FIRST), value=EXACT, label="Model", allow_custom_value=True,
        elem_id=elem_id,
    )  # fmt: skip
    title.focus(offer, [workspace, data, title], title, **QUICK)
    data.change(offer, [workspace, data, title], title, **QUICK)
    return title


def offer(workspace: Workspace, data: str, title: str) -> Any:
    """The models of the data; the chosen one stays if it is one of them."""
    known = workspace.titles(data)
    return gr.update(choices=known, value=title if title in known else known[0])


def look(
    tab: Tab, given: list[Any], layout: Callable[[str], gr.components.Component], prefix: str
) -> None:
    """The buttons of a look, what it shows, and what it says about it."""
    go, stop = go_and_stop("Show", prefix)
    status = status_line(prefix)
    words = gr.Markdown("", elem_id=f"{prefix}words")
    outputs = {"shown": layout(prefix), "words": words}
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(lab_text.EXPLAIN_LOOKS)
    Runner(tab, given, outputs, status).buttons(go, stop)
