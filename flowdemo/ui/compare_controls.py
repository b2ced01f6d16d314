"""The controls of the Compare tab: data, rows, and what the rows share."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from flowdemo.labels import shared
from flowdemo.presets import PRESETS, preset
from flowdemo.settings import is_public
from flowdemo.ui import adder, text
from flowdemo.ui.compare import Comparison, models_of
from flowdemo.ui.controls import FEW_CLASSES, data_choices, find_choices, find_class, label_choices
from flowdemo.ui.events import LATEST, QUICK, Components
from flowdemo.ui.generate import ALL, ANY
from flowdemo.ui.models import by_data, configs, example_of

Offer = Callable[[Callable[..., Any]], None]


@dataclass(frozen=True)
class Controls(Components):
    """The components, first those of a `Comparison` in its order."""

    rows: gr.Textbox
    n: gr.Slider
    label: gr.Radio
    seed: gr.Number
    data: gr.Radio
    preset: gr.Dropdown
    find: gr.Dropdown

    @property
    def values(self) -> list[gr.components.Component]:
        return [getattr(self, name) for name in Comparison.__dataclass_fields__]


def build(first: Comparison, data_name: str, tab: gr.Tab) -> tuple[Controls, Offer]:
    """Data, preset, rows, and what the rows share; and what offers at an event what there is now."""
    data = gr.Radio(data_choices(by_data()), value=data_name, label="Data", elem_id="c-data")
    preset = gr.Dropdown(
        list(PRESETS), value=next(iter(PRESETS)), label="Ready-made rows", elem_id="c-preset"
    )
    rows = gr.Textbox(
        first.rows, label="Rows", info=text.ROWS_HELP, lines=4, max_lines=16, elem_id="c-rows"
    )
    with gr.Accordion("Add a row", open=False, elem_id="c-add"):
        model = adder.build(data_name, data, rows)

    def offer(event: Callable[..., Any]) -> None:
        event(refresh, data, [data, model], **QUICK)

    offer(tab.select)
    config = example_of(data_name)
    label = gr.Radio(
        label_choices(config, first.label), value=first.label, label="Class", elem_id="c-label"
    )
    find = gr.Dropdown(label="Look a class up", elem_id="c-find",
                       **find_choices(config, first.label))  # fmt: skip
    find.input(find_class, find, label, **QUICK)
    rows.change(labels_offered, [rows, label], label, show_progress="hidden", **LATEST)
    n = gr.Slider(1, largest(data_name), first.n, step=1, precision=0, label="Samples a row",
                  elem_id="c-n")  # fmt: skip
    seed = gr.Number(first.seed, label="Seed", precision=0, minimum=0, elem_id="c-seed")
    return Controls(rows, n, label, seed, data, preset, find), offer


def refresh(data: str) -> list[Any]:
    """Data sets and models to choose from: another tab may have saved a checkpoint since."""
    return [
        gr.update(choices=data_choices(by_data())),
        gr.update(choices=adder.names_of(data)),
    ]


def labels_offered(rows: str, label: str) -> Any:
    """The classes that all rows share, if there are any: fine-tuning may have added some to a model."""
    there = configs()
    with suppress(ValueError):  # the run will say what is wrong with a row
        models = [there[s.model] for s in Comparison(rows).specs if s.model in there]
        classes = shared([config.classes for config in models]) if models else ()
        if classes:
            narrowed = models[0].model_copy(update={"classes": classes})
            value = label if label in (ALL, ANY, *classes) else ALL
            return gr.update(choices=label_choices(narrowed, value), value=value)
    return gr.skip()


def updates(comparison: Comparison, data: str, preset: Any) -> list[Any]:
    """The updates of `Controls.all`."""
    config = example_of(data)
    return [
        comparison.rows,
        gr.update(maximum=largest(data), value=min(comparison.n, largest(data))),
        gr.update(choices=label_choices(config, comparison.label), value=comparison.label),
        comparison.seed,
        data,
        preset,
        gr.update(**find_choices(config, comparison.label)),
    ]


def of_preset(title: str, data: str, comparison: Comparison) -> Comparison:
    """The comparison with the rows of a preset, and with a column a class if it asks for that."""
    models = models_of(data)
    if not models:
        raise ValueError(f"there is no model of '{data}' here any more")
    rows = "\n".join(map(str, preset(title, models)))
    if not PRESETS[title].class_columns:
        return replace(comparison, rows=rows)
    config = example_of(data)
    many = len(config.shape) < 3 or len(config.classes) > FEW_CLASSES  # no column a class
    n = comparison.n if many else len(config.classes)
    return replace(comparison, rows=rows, n=n, label=ALL)


def first_comparison(data: str) -> Comparison:
    """What the tab opens with."""
    return of_preset(next(iter(PRESETS)), data, Comparison(""))


def default_n(data: str) -> int:
    config = example_of(data)
    return 500 if len(config.shape) < 3 else 2 if config.decoder else 10


def largest(data: str) -> int:
    """Samples a row that one may ask for; those that need a decoder take seconds each."""
    config = example_of(data)
    if len(config.shape) < 3:
        return 1000
    if config.decoder:
        return 4 if is_public() else 8
    return 20 if is_public() else 60
