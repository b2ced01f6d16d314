"""Training in the Lab: one run, or the chain from flow matching to one step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import pandas as pd

from flowdemo import checkpoints
from flowdemo.core.couplings import COUPLINGS
from flowdemo.core.noise import noise
from flowdemo.core.paths import PATHS
from flowdemo.core.times import TIMES
from flowdemo.data import OWN
from flowdemo.evaluation.fields import Source, distance, floor
from flowdemo.evaluation.metrics import straightness
from flowdemo.methods import AVERAGE, METHODS
from flowdemo.model import Model
from flowdemo.sampling.run import sample
from flowdemo.settings import is_public
from flowdemo.training.live import (
    LOSSES,
    MAX_STEPS,
    LabTraining,
    Snapshot,
    check_lab_training,
    live_recipe,
    train_live,
)
from flowdemo.training.run import PairsProgress
from flowdemo.ui.lab import text as lab_text
from flowdemo.ui.lab.films import runs
from flowdemo.ui.lab.workspace import EXACT, MAX_MODELS, Workspace
from flowdemo.ui.shared import text
from flowdemo.ui.shared.player import player
from flowdemo.ui.shared.runner import (
    LATEST,
    PRIVATE,
    QUICK,
    TRAIN,
    Runner,
    Tab,
    begin_run,
    go_and_stop,
    or_skip,
    status_line,
    stop_run,
)
from flowdemo.ui.shared.tables import Line, table
from flowdemo.ui.shared.work import Stopped, Wanted, fresh_folder, spoken, yielding

POINTS, STEPS, SEED = 400, 20, 5  # of the cloud that is drawn while training
PUBLIC_STEPS = 3000


@dataclass(frozen=True)
class Curve:
    """What is plotted of a run: (step, smoothed loss) and (step, W2), and the W2 of real draws."""

    losses: tuple[tuple[int, float], ...] = ()
    distances: tuple[tuple[int, float], ...] = ()
    floor: float = 0.0


@dataclass(frozen=True)
class View:
    """What is shown of a run: no film where nothing new was drawn."""

    film: str | None
    curve: Curve
    summary: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Asked:
    """A training that a visitor asks for."""

    plan: LabTraining
    workspace: Workspace


def train(asked: Asked, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """A run, shown while it goes on; its model stays in the workspace, also when it is stopped.

    Reflow and MeanFlow learn from the last flow of this data in the workspace. `Stopped` comes out
    after the model was kept.
    """
    plan, workspace = asked.plan, asked.workspace
    check_lab_training(plan)
    source, title = workspace.source(plan.data), fresh_title(plan.method, workspace)
    teacher = teacher_of(plan, workspace)
    recipe = live_recipe(plan, name_of(title), teacher)
    curve, latest, smooth = Curve(), None, 0.0
    calm = yielding(lambda rows: None)  # a timed run of another visitor goes first
    for state in train_live(recipe, source.coupling(), teacher):
        if isinstance(state, Snapshot):
            latest = state.model
            curve, drawn = snapshot(latest, title, source, curve, (state.progress.step, smooth))
            yield words(title, state.progress)
            yield View(drawn, curve)
        elif isinstance(state, PairsProgress):
            yield f"{title}: {state.made} of {state.wanted} pairs"
        else:
            smooth = state.loss if state.step < 20 else 0.98 * smooth + 0.02 * state.loss
        calm(0)
        if not wanted():
            break
    if latest is not None:
        yield from put_away(title, latest, source, workspace, curve)
    if not wanted():
        raise Stopped


def put_away(
    title: str, model: Model, source: Source, workspace: Workspace, curve: Curve
) -> Iterator[str | View]:
    """Keeps the trained model, unless it learnt own points that others replaced since."""
    if source.points is not (workspace.points if source.name == OWN else None):
        yield f"{title}: dropped, for there are other points now"
        return
    gone = workspace.keep(title, model)
    yield f"{title}: done" + (f"; {', '.join(gone)} made room" if gone else "")
    yield View(None, curve, summary(workspace, source))


def train_chain(asked: Asked, wanted: Wanted = lambda: True) -> Iterator[str | View]:
    """Flow matching -> reflow -> reflow again -> MeanFlow, each from the one before.

    Earlier models of this data make room.
    """
    check_lab_training(asked.plan)
    asked.workspace.source(asked.plan.data)
    asked.workspace.drop(asked.plan.data)
    for method, facts in METHODS.items():
        for _ in range(facts.lab.rounds):
            yield from train(replace(asked, plan=replace(asked.plan, method=method)), wanted)


def teacher_of(plan: LabTraining, workspace: Workspace) -> Model | None:
    """The model that a run learns from: the last flow of this data, if its method has a teacher."""
    flows = [m for m in workspace.own(plan.data).values() if METHODS[m.config.method].is_flow]
    return flows[-1] if flows and METHODS[plan.method].lab.learns_from_flow else None


def fresh_title(method: str, workspace: Workspace) -> str:
    """ "yours: Reflow", "yours: Reflow 2" and so on."""
    title = f"yours: {METHODS[method].title}"
    names = [title, *(f"{title} {k}" for k in range(2, MAX_MODELS + 2))]
    return next(name for name in names if name not in workspace.models)


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


def words(title: str, progress: Any) -> str:
    """Progress in words."""
    speed = progress.step / max(progress.seconds, 1e-9)
    return f"{title}: step {progress.step} of {progress.steps}, {speed:.0f} a second"


def summary(workspace: Workspace, source: Source) -> str:
    """Straightness and one-step distance of the visitor's models of this data, one a line."""
    titles = ("model", "straightness", "W2 in one step", "samples seen", "seconds")
    own = workspace.own(source.name)
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


def read(workspace: Workspace, *values: Any) -> Asked:
    """What the controls ask for; limits of a public page hold here, too."""
    plan = LabTraining(*values)
    steps = int(plan.steps or 0)
    if is_public() and steps > PUBLIC_STEPS:
        raise ValueError(f"at most {PUBLIC_STEPS} steps here, not {steps}")
    return Asked(replace(plan, steps=steps, seed=int(plan.seed or 0)), workspace)


def loss_plot(view: View) -> Any:
    """The loss over the steps."""
    if view.film is None:
        return gr.skip()
    frame = pd.DataFrame(view.curve.losses, columns=["step", "loss"])
    return gr.update(value=frame, visible=True)


def distance_plot(view: View) -> Any:
    """W2 over the steps, beside that of two real draws."""
    if view.film is None:
        return gr.skip()
    made = pd.DataFrame(view.curve.distances, columns=["step", "W2"]).assign(line="samples")
    real = made.assign(W2=view.curve.floor, line="two real draws")
    return gr.update(value=pd.concat([made, real]), visible=True)


VIEW: dict[str, Callable[[View], Any]] = {
    "film": lambda view: or_skip(view.film),
    "loss": loss_plot,
    "distance": distance_plot,
    "summary": lambda view: or_skip(view.summary),
}


TRAIN_ONE = Tab(read, train, VIEW)
TRAIN_CHAIN = Tab(read, train_chain, VIEW)


def build(workspace: gr.State, data: gr.Radio, shown: Any, rerun: Callable) -> None:
    """The sub-tab; `rerun` shows the panels again at an event."""
    gr.Markdown(lab_text.TRAIN, elem_classes="fd-caption")
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            plan = layout_plan(workspace, data)
            go, stop = go_and_stop("Train", "t-")
            every = gr.Button(lab_text.CHAIN, elem_id="t-chain")
            status = status_line("t-")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            outputs = {"film": player("", "t-player")}
            with gr.Row():
                outputs |= {
                    "loss": curve_plot("loss", "t-loss"),
                    "distance": curve_plot("W2", "t-w2", color="line"),
                }
            outputs["summary"] = gr.HTML("", elem_id="t-table", elem_classes="fd-scroll")
            chosen = layout_keep(workspace)
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(lab_text.EXPLAIN_TRAIN)
    given, queue = [workspace, data, *plan], {**LATEST, **TRAIN}
    one = Runner(TRAIN_ONE, given, outputs, status, queue=queue)
    chain = replace(one, tab=TRAIN_CHAIN)  # with the same switch
    stop.click(stop_run, one.switch, status, **QUICK)
    for runner, button in ((one, go), (chain, every)):
        done = runner.after(button.click(begin_run, one.switch, None, **QUICK).then)
        rerun(done.then(trained, [workspace, data], [shown, chosen], **QUICK).success)


def layout_plan(workspace: gr.State, data: gr.Radio) -> list[gr.components.Component]:
    """What a `LabTraining` says besides its data, in its order."""
    method = gr.Radio(
        [(each.title, name) for name, each in METHODS.items()], value=LabTraining.method,
        label="Method", info=lab_text.TRAIN_METHOD, elem_id="t-method",
    )  # fmt: skip
    with gr.Accordion("How", open=False, elem_id="t-how"):
        choices = {"path": PATHS, "coupling": COUPLINGS, "times": TIMES, "loss": LOSSES}
        path, coupling, times, loss = (
            gr.Radio(
                list(names), value=getattr(LabTraining, key), label=key.capitalize(),
                elem_id=f"t-{'loss-kind' if key == 'loss' else key}",
            )
            for key, names in choices.items()
        )  # fmt: skip
    most = PUBLIC_STEPS if is_public() else MAX_STEPS
    steps = gr.Slider(
        100, most, LabTraining.steps, step=100, precision=0, label="Steps", elem_id="t-steps"
    )
    seed = gr.Number(LabTraining.seed, label="Seed", precision=0, minimum=0, elem_id="t-seed")
    method.input(offer_how, [workspace, data, method], [path, coupling], **QUICK)
    return [method, path, coupling, times, loss, steps, seed]


def offer_how(workspace: Workspace, data: str, method: str) -> list[Any]:
    """A run that learns from a flow has that flow's path; reflow's pairs are its coupling."""
    has_teacher = teacher_of(LabTraining(data, method), workspace) is not None
    needs_flow = METHODS[method].needs_flow
    return [
        gr.update(visible=not (needs_flow or has_teacher)),
        gr.update(visible=not needs_flow),
    ]


def curve_plot(title: str, elem_id: str, color: str | None = None) -> gr.LinePlot:
    return gr.LinePlot(
        x="step", y=title, title=title, height=200, min_width=200, elem_id=elem_id, visible=False,
        color=color,
    )  # fmt: skip


def layout_keep(workspace: gr.State) -> gr.Dropdown:
    """Keeping a model: as files, or as a checkpoint that every other tab offers."""
    with gr.Accordion("Keep a model", open=False, elem_id="t-keep"):
        gr.Markdown(
            lab_text.KEEP_PUBLIC if is_public() else lab_text.KEEP, elem_classes="fd-caption"
        )
        title = gr.Dropdown([], label="Model", allow_custom_value=True, elem_id="t-kept")
        name = gr.Textbox(label="Name", placeholder="moons-meanflow-mine", elem_id="t-name",
                          visible=not is_public())  # fmt: skip
        with gr.Row():
            save = gr.Button("Save", size="sm", elem_id="t-save", visible=not is_public())
            files = gr.Button("Files", size="sm", elem_id="t-files")
        said = gr.HTML("", elem_classes="fd-status", elem_id="t-saved")
        given = gr.File(label="Files", file_count="multiple", visible=False, elem_id="t-given")
    save.click(save_model, [workspace, title, name], said, **PRIVATE)
    files.click(give_files, [workspace, title], given, **PRIVATE)
    return title


def trained(workspace: Workspace, data: str) -> list[Any]:
    """Own models stand beside the exact velocity, and all of them can be kept."""
    own, kept = list(workspace.own(data)), list(workspace.models)
    choices = workspace.titles(data)
    return [
        gr.update(choices=choices, value=[EXACT, *own]) if own else gr.skip(),
        gr.update(choices=kept, value=kept[-1]) if kept else gr.skip(),
    ]


def save_model(workspace: Workspace, title: str, name: str) -> str:
    """Saves a model of the workspace as a checkpoint of that name."""
    with spoken():
        if is_public():
            raise ValueError("nothing is saved on a public page: take the files instead")
        checkpoints.save_as(own_model(workspace, title), name)
        return f"Saved: {name} stands in every tab now."


def give_files(workspace: Workspace, title: str) -> Any:
    """The checkpoint as files."""
    with spoken():
        folder = fresh_folder()
        checkpoints.save(own_model(workspace, title), folder)
        return gr.update(value=[str(path) for path in sorted(folder.iterdir())], visible=True)


def own_model(workspace: Workspace, title: str) -> Model:
    """A model of the workspace; ValueError if it is not there."""
    if title not in workspace.models:
        raise ValueError("train a model first, then keep it")
    return workspace.models[title]
