"""Live training in the 2-D Lab: layout, wiring and events."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import gradio as gr
import pandas as pd

from flowdemo import checkpoints
from flowdemo.couplings import COUPLINGS
from flowdemo.methods import METHODS
from flowdemo.paths import PATHS
from flowdemo.settings import is_public
from flowdemo.times import TIMES
from flowdemo.training.live import LOSSES, MAX_STEPS, Wish
from flowdemo.ui import events, lab_text, text
from flowdemo.ui.events import LATEST, PRIVATE, QUICK, TRAIN, begin_run, stop_run
from flowdemo.ui.lab_desk import EXACT, Desk, titles
from flowdemo.ui.lab_train import Curve, View, train, train_chain
from flowdemo.ui.player import player
from flowdemo.ui.work import Switch, fresh_folder, spoken

PUBLIC_STEPS = 3000
OUTPUTS = 5  # status, film, two curves, summary


def build(desk: gr.State, data: gr.Radio, shown: Any, rerun: Callable) -> None:
    """The sub-tab; `rerun` shows the panels again at an event."""
    gr.Markdown(lab_text.TRAIN, elem_classes="fd-caption")
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            wish = layout_wish(desk, data)
            with gr.Row():
                go = gr.Button("Train", variant="primary", elem_id="t-go", min_width=100)
                stop = gr.Button("Stop", elem_id="t-stop", min_width=80)
            every = gr.Button(lab_text.CHAIN, elem_id="t-chain")
            status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id="t-status")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            film = player("", "t-player")
            with gr.Row():
                curves = [curve_plot(*each) for each in (("loss", "t-loss"), ("W2", "t-w2"))]
            table = gr.HTML("", elem_id="t-table", elem_classes="fd-scroll")
            chosen = layout_save(desk)
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(lab_text.EXPLAIN_TRAIN)
    switch, outputs = gr.State(Switch()), [status, film, *curves, table]
    for button, work in ((go, train_one), (every, train_all)):
        begun = button.click(begin_run, switch, None, **QUICK)
        done = begun.then(
            work, [switch, desk, data, *wish], outputs, show_progress_on=status, **LATEST, **TRAIN
        )
        rerun(done.then(trained, [desk, data], [shown, chosen], **QUICK).success)
    stop.click(stop_run, switch, status, **QUICK)


def layout_wish(desk: gr.State, data: gr.Radio) -> list[gr.components.Component]:
    """What a `Wish` says besides its data, in its order."""
    method = gr.Radio(
        [(each.title, name) for name, each in METHODS.items()], value="flow-matching",
        label="Method", info=lab_text.TRAIN_METHOD, elem_id="t-method",
    )  # fmt: skip
    with gr.Accordion("How", open=False, elem_id="t-how"):
        path = gr.Radio(list(PATHS), value="linear", label="Path", elem_id="t-path")
        coupling = gr.Radio(
            list(COUPLINGS), value="independent", label="Coupling", elem_id="t-coupling"
        )
        times = gr.Radio(list(TIMES), value="uniform", label="Times", elem_id="t-times")
        loss = gr.Radio(list(LOSSES), value="squared", label="Loss", elem_id="t-loss-kind")
    most = PUBLIC_STEPS if is_public() else MAX_STEPS
    steps = gr.Slider(100, most, 1500, step=100, precision=0, label="Steps", elem_id="t-steps")
    seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="t-seed")
    method.input(offer_how, [desk, data, method], [path, coupling], **QUICK)
    return [method, path, coupling, times, loss, steps, seed]


def offer_how(desk: Desk, data: str, method: str) -> list[Any]:
    """Who learns from a flow has its path; and reflow's pairs are its coupling."""
    own = [m.config.method for m in desk.runs.values() if m.config.data == data]
    learns = method == "reflow" or (method == "meanflow" and set(own) - {"meanflow"})
    return [gr.update(visible=not learns), gr.update(visible=method != "reflow")]


def curve_plot(title: str, elem_id: str) -> gr.LinePlot:
    return gr.LinePlot(
        x="step", y=title, title=title, height=200, min_width=200, elem_id=elem_id, visible=False,
        color="line" if title == "W2" else None,
    )  # fmt: skip


def layout_save(desk: gr.State) -> gr.Dropdown:
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
    save.click(save_run, [desk, title, name], said, **PRIVATE)
    files.click(give_files, [desk, title], given, **PRIVATE)
    return title


def train_one(switch: Switch, desk: Desk, *values: Any) -> Iterator[list[Any]]:
    """One run as updates."""
    with spoken():
        wish = wish_of(values)
    yield from shown_as(switch, train(wish, desk, switch.wanted()))


def train_all(switch: Switch, desk: Desk, *values: Any) -> Iterator[list[Any]]:
    """The whole chain as updates."""
    with spoken():
        wish = wish_of(values)
    yield from shown_as(switch, train_chain(wish, desk, switch.wanted()))


def shown_as(switch: Switch, states: Iterator[View]) -> Iterator[list[Any]]:
    yield from events.press(switch, chain(states, [text.IDLE]), fields, OUTPUTS)


def wish_of(values: tuple[Any, ...]) -> Wish:
    """The values of the controls; limits of a public page hold here, too."""
    wish = Wish(*values)
    steps = int(wish.steps or 0)
    if is_public() and steps > PUBLIC_STEPS:
        raise ValueError(f"at most {PUBLIC_STEPS} steps here, not {steps}")
    return replace(wish, steps=steps, seed=int(wish.seed or 0))


def fields(view: View) -> list[Any]:
    """A view in the order of the outputs."""
    loss, distance = frames(view.curve)
    return [
        view.words,
        gr.skip() if view.film is None else view.film,
        gr.skip() if view.film is None else gr.update(value=loss, visible=True),
        gr.skip() if view.film is None else gr.update(value=distance, visible=True),
        gr.skip() if view.summary is None else view.summary,
    ]


def frames(curve: Curve) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two curves as tables."""
    loss = pd.DataFrame(curve.losses, columns=["step", "loss"])
    distance = pd.DataFrame(curve.distances, columns=["step", "W2"]).assign(line="samples")
    real = distance.assign(W2=curve.floor, line="two real draws")
    return loss, pd.concat([distance, real])


def trained(desk: Desk, data: str) -> list[Any]:
    """Own models stand beside the exact velocity, and all of them can be kept."""
    own = [title for title, model in desk.runs.items() if model.config.data == data]
    shown = gr.update(choices=titles(data, desk), value=[EXACT, *own]) if own else gr.skip()
    kept = list(desk.runs)
    return [shown, gr.update(choices=kept, value=kept[-1]) if kept else gr.skip()]


def save_run(desk: Desk, title: str, name: str) -> str:
    """A model of the desk as a checkpoint of that name."""
    with spoken():
        if is_public():
            raise ValueError("nothing is saved on a public page: take the files instead")
        model = of_desk(desk, title)
        checkpoints.save_as(model, name)
        return f"Saved: {name} stands in every tab now."


def give_files(desk: Desk, title: str) -> Any:
    """The checkpoint as files."""
    with spoken():
        folder = fresh_folder()
        checkpoints.save(of_desk(desk, title), folder)
        return gr.update(value=[str(path) for path in sorted(folder.iterdir())], visible=True)


def of_desk(desk: Desk, title: str) -> Any:
    """A model of the desk; ValueError if it is not there."""
    if title not in desk.runs:
        raise ValueError("train a model first, then keep it")
    return desk.runs[title]
