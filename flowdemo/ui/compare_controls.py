"""The controls of the Compare tab: data, rows, and what the rows share."""

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from flowdemo.data import dataset
from flowdemo.presets import PRESETS, preset
from flowdemo.settings import is_public
from flowdemo.ui import adder, text
from flowdemo.ui.compare import Comparison, models_of
from flowdemo.ui.controls import catalogue, data_choices
from flowdemo.ui.events import QUICK, Components
from flowdemo.ui.generate import ALL, ANY


@dataclass(frozen=True)
class Controls(Components):
    """The components, first those of a `Comparison` in its order."""

    rows: gr.Textbox
    n: gr.Slider
    label: gr.Radio
    seed: gr.Number
    data: gr.Radio
    preset: gr.Dropdown

    @property
    def values(self) -> list[gr.components.Component]:
        return [getattr(self, name) for name in Comparison.__dataclass_fields__]


def build(first: Comparison, data_name: str, tab: gr.Tab) -> Controls:
    """Data, preset, rows, and what the rows share."""
    data = gr.Radio(data_choices(catalogue()), value=data_name, label="Data", elem_id="c-data")
    preset = gr.Dropdown(
        list(PRESETS), value=next(iter(PRESETS)), label="Ready-made rows", elem_id="c-preset"
    )
    rows = gr.Textbox(
        first.rows, label="Rows", info=text.ROWS_HELP, lines=4, max_lines=16, elem_id="c-rows"
    )
    with gr.Accordion("Add a row", open=False, elem_id="c-add"):
        model = adder.build(data_name, data, rows)
    tab.select(refresh, data, [data, model], **QUICK)
    label = gr.Radio(classes_of(data_name), value=first.label, label="Class", elem_id="c-label")
    n = gr.Slider(1, largest(data_name), first.n, step=1, precision=0, label="Samples a row",
                  elem_id="c-n")  # fmt: skip
    seed = gr.Number(first.seed, label="Seed", precision=0, minimum=0, elem_id="c-seed")
    return Controls(rows, n, label, seed, data, preset)


def refresh(data: str) -> list[Any]:
    """Data sets and models to choose from: another tab may have saved a checkpoint since."""
    return [
        gr.update(choices=data_choices(catalogue())),
        gr.update(choices=adder.names_of(data)),
    ]


def updates(comparison: Comparison, data: str, preset: Any) -> list[Any]:
    """The updates of `Controls.all`."""
    return [
        comparison.rows,
        gr.update(maximum=largest(data), value=min(comparison.n, largest(data))),
        gr.update(choices=classes_of(data), value=comparison.label),
        comparison.seed,
        data,
        preset,
    ]


def of_preset(title: str, data: str, comparison: Comparison) -> Comparison:
    """The comparison with the rows of a preset, and with a column a class if it asks for that."""
    models = models_of(data)
    if not models:
        raise ValueError(f"there is no model of '{data}' here any more")
    rows = "\n".join(map(str, preset(title, models)))
    if not PRESETS[title].class_columns:
        return replace(comparison, rows=rows)
    info = dataset(data)
    n = len(info.classes) if info.is_image else comparison.n  # points have no columns
    return replace(comparison, rows=rows, n=n, label=ALL)


def first_comparison(data: str) -> Comparison:
    """What the tab opens with."""
    return of_preset(next(iter(PRESETS)), data, Comparison(""))


def classes_of(data: str) -> list[str]:
    return [ALL, *dataset(data).classes, ANY]


def default_n(data: str) -> int:
    return 10 if dataset(data).is_image else 500


def largest(data: str) -> int:
    """Samples a row that one may ask for."""
    return (20 if is_public() else 60) if dataset(data).is_image else 1000
