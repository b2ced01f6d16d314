"""What happens in the Generate tab when something is pressed, moved or opened."""

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from flowdemo import exports
from flowdemo.sampling import Samples
from flowdemo.ui import events, near_box, text
from flowdemo.ui.controls import (
    Controls,
    data_choices,
    method_choices,
    moved,
    names_for,
    updates,
)
from flowdemo.ui.events import Components, other_weights
from flowdemo.ui.generate import (
    ANY,
    Choice,
    View,
    choice_from,
    default_choice,
    is_live,
    measured,
    numbers,
    run,
)
from flowdemo.ui.models import by_data, known, load
from flowdemo.ui.work import Stopped, Switch, fresh_folder, spoken


@dataclass(frozen=True)
class Results(Components):
    """What a run changes."""

    status: gr.HTML
    picture: gr.Image
    film: gr.HTML
    numbers: gr.HTML
    trajectories: gr.Plot
    rates: gr.Plot
    link: gr.HTML
    caption: gr.Markdown
    near_box: gr.Accordion
    near: gr.Image
    near_words: gr.Markdown
    made: gr.State


OUTPUTS = len(Results.__dataclass_fields__)
NUMBERS = list(Results.__dataclass_fields__).index("numbers")


def press(switch: Switch, *values: Any) -> Iterator[list[Any]]:
    """A run as updates of the results."""
    states = run(choice_of(values), switch.wanted())
    yield from events.press(switch, states, fields, OUTPUTS)


def fetch(switch: Switch, model: str) -> Iterator[Any]:
    """Has the chosen model, if it is not here, before the run."""
    yield from events.fetch(switch, [model])


def fetch_linked(request: gr.Request, switch: Switch, model: str) -> Iterator[Any]:
    """The same for a page that was opened with a link."""
    yield from events.fetch(switch, [model] if "model" in request.query_params else [])


def follow(switch: Switch, *values: Any) -> Iterator[list[Any]]:
    """The same while a control moves, for runs so cheap that they can follow it.

    Their straightness, which costs far more than the picture, is left to the next press.
    """
    with spoken():
        if not is_live(choice_of(values)):
            yield [gr.skip()] * OUTPUTS
            return
    switch.begin()
    for state in press(switch, *values):
        numbers = state[NUMBERS]
        shown = numbers.replace("…", "&ndash;") if isinstance(numbers, str) else numbers
        yield [*state[:NUMBERS], shown, *state[NUMBERS + 1 :]]


def measure(switch: Switch, samples: Samples | None) -> Iterator[Any]:
    """The numbers with the straightness of the run that was just made."""
    mine, wanted = switch.newest, switch.wanted()
    yield gr.skip()  # a generator that yields nothing would empty the numbers
    if samples is None or samples is not switch.shown:
        return
    with spoken():
        try:
            for state in measured(samples, wanted):
                yield gr.skip() if state is None else state
        except Stopped:
            if switch.newest == mine:  # else another run has the numbers now
                model = load(samples.settings["model"])
                yield numbers(model, samples).replace("…", "&ndash;")


def fields(view: View) -> list[Any]:
    """A view in the order of the results."""
    return [
        html.escape(view.note) or text.IDLE, view.picture, view.film, view.numbers,
        view.trajectories, view.rates, view.link, view.caption, *near_box.fields(view.near),
        view.samples,
    ]  # fmt: skip


def choice_of(values: tuple[Any, ...]) -> Choice:
    """The values of `Controls.values` as a choice; an emptied number counts as its smallest."""
    given = dict(zip(Choice.__dataclass_fields__, values, strict=True))
    whole = {key: int(given[key] or 0) for key in ("n", "steps", "seed")}
    return Choice(**given | whole)


def choose(switch: Switch, data: str, method: str, *values: Any) -> list[Any]:
    """Begins a run with the controls after a data set, a method or a checkpoint was chosen."""
    switch.begin()
    old, models = choice_of(values), by_data()
    with spoken():
        if data not in models:
            raise ValueError(f"there is no model of '{data}' here any more")
        methods = models[data]
        names = methods.get(method) or next(iter(methods.values()))
        return updates(moved(old, old.model if old.model in names else names[0]))


def refresh(model: str) -> list[Any]:
    """Data sets, methods and checkpoints to choose from: another tab may have saved one since."""
    models = by_data()
    data = gr.update(choices=data_choices(models))
    for methods in models.values():
        for names in methods.values():
            if model in names:
                checkpoints = gr.update(choices=names_for(names), visible=len(names) > 1)
                return [data, gr.update(choices=method_choices(methods)), checkpoints]
    return [data, gr.skip(), gr.skip()]


def guidable(label: str) -> Any:
    """The CFG slider rests while no class is asked for."""
    return gr.update(interactive=label != ANY)


def show_solver(*values: Any) -> list[Any]:
    """The controls after a solver was chosen: steps or tolerance, at the model's default."""
    choice = choice_of(values)
    with spoken():
        own = default_choice(choice.model)
        steps = own.steps if choice.solver == own.solver else None
        return updates(replace(choice, steps=steps))


def open_link(request: gr.Request) -> list[Any]:
    """The controls of a link's query; without one everything stays as it is."""
    query = dict(request.query_params)
    if "model" not in query:
        return [gr.skip()] * (len(Controls.__dataclass_fields__) + 1)
    try:
        choice = choice_from(query)
        model = known(choice.model)
        if choice.solver not in model.solvers:
            raise ValueError(f"{choice.model} offers no solver '{choice.solver}'")
    except ValueError as error:
        return [
            *[gr.skip()] * len(Controls.__dataclass_fields__),
            f"The link cannot be used: {html.escape(str(error))}",
        ]
    return [*updates(choice), other_weights(query.get("rev"), model.revision) or text.IDLE]


def linked(
    request: gr.Request, switch: Switch, first: Samples, *values: Any
) -> Iterator[list[Any]]:
    """The picture of a link; a page opened without one keeps its first picture."""
    if "model" not in request.query_params:
        switch.shown = first
        yield [*[gr.skip()] * (OUTPUTS - 1), first]
        return
    for state in press(switch, *values):
        yield [gr.skip(), *state[1:]]  # the status may hold a note about the link


def export_run(samples: Samples | None) -> Any:
    """PNG, GIF, WebP, NPZ and the settings of a run, in a new folder."""
    with spoken():
        if samples is None:  # a run is kept for an hour
            raise ValueError("This run is not kept any more: press Generate, then export.")
        stem = f"{samples.settings['model']}-seed-{samples.settings['seed']}"
        return gr.update(value=exports.export_all(samples, fresh_folder(), stem), visible=True)
