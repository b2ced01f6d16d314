"""The controls of the Compare tab: data, rows, and what the rows share."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.evaluation.compare import shared
from flowdemo.sampling.presets import PRESETS, preset
from flowdemo.sampling.request import ALL, ANY, Request
from flowdemo.settings import is_public
from flowdemo.ui.compare import add_row
from flowdemo.ui.generate.controls import (
    FEW_CLASSES,
    SEED,
    data_choices,
    find_choices,
    find_class,
    label_choices,
)
from flowdemo.ui.shared import text
from flowdemo.ui.shared.models import by_data, configs, example_of, known, models_of
from flowdemo.ui.shared.runner import LATEST, QUICK, Components
from flowdemo.ui.shared.work import Switch, spoken

Offer = Callable[[Callable[..., Any]], None]
SHARED = Request(n=10, label=ALL, seed=SEED)  # what all rows have in common, at first


@dataclass(frozen=True)
class Controls(Components):
    """The components, first those of `read` in its order."""

    rows: gr.Textbox
    n: gr.Slider
    label: gr.Radio
    seed: gr.Number
    data: gr.Radio
    preset: gr.Dropdown
    find: gr.Dropdown

    @property
    def values(self) -> list[gr.components.Component]:
        return [self.rows, self.n, self.label, self.seed]


def read(rows: str, n: int | None, label: str, seed: int | None) -> list[Request]:
    """One request a line, MODEL:solver:steps[:guidance]; an emptied number counts as its smallest."""
    common = {"n": int(n or 0), "label": label, "seed": int(seed or 0)}
    return [Request.parse(line, **common) for line in rows.splitlines() if line.strip()]


def opened_by(query: dict[str, str]) -> tuple[list[Any], str]:
    """The updates of the controls by a link, and the revisions; ValueError for a wrong value."""
    common = Request.from_query(query)
    common = replace(SHARED, **{k: v for k, v in vars(common).items() if v is not None})
    rows = [Request.parse(row) for row in query["compare"].split(",") if row]
    if not rows:
        raise ValueError("it names no row")
    models = [known(row.model) for row in rows]
    complete = [row.completed(model) for row, model in zip(rows, models, strict=True)]
    weights = ",".join(dict.fromkeys(model.revision for model in models))
    return updates(complete, common, models[0].config.data, gr.skip()), weights


def build(data_name: str, tab: gr.Tab) -> tuple[Controls, Offer]:
    """Data, preset, rows, and what the rows share; and what offers at an event what there is now."""
    rows_at_first, common = of_preset(next(iter(PRESETS)), data_name, SHARED)
    config = example_of(data_name)
    data = gr.Radio(data_choices(by_data()), value=data_name, label="Data", elem_id="c-data")
    preset = gr.Dropdown(
        list(PRESETS), value=next(iter(PRESETS)), label="Ready-made rows", elem_id="c-preset"
    )
    rows = gr.Textbox(
        lines_of(rows_at_first), label="Rows", info=text.ROWS_HELP, lines=4, max_lines=16,
        elem_id="c-rows",
    )  # fmt: skip
    with gr.Accordion("Add a row", open=False, elem_id="c-add"):
        model = add_row.build(data_name, data, rows)

    def offer(event: Callable[..., Any]) -> None:
        event(refresh, data, [data, model], **QUICK)

    offer(tab.select)
    label = gr.Radio(
        label_choices(config, common.label), value=common.label, label="Class", elem_id="c-label"
    )
    find = gr.Dropdown(label="Look a class up", elem_id="c-find",
                       **find_choices(config, common.label))  # fmt: skip
    find.input(find_class, find, label, **QUICK)
    rows.change(labels_offered, [rows, label], label, show_progress="hidden", **LATEST)
    n = gr.Slider(1, largest(config), common.n, step=1, precision=0, label="Samples a row",
                  elem_id="c-n")  # fmt: skip
    seed = gr.Number(common.seed, label="Seed", precision=0, minimum=0, elem_id="c-seed")
    return Controls(rows, n, label, seed, data, preset, find), offer


def lines_of(rows: list[Request]) -> str:
    """Completed requests, one a line."""
    return "\n".join(map(str, rows))


def refresh(data: str) -> list[Any]:
    """Data sets and models to choose from: another tab may have saved a checkpoint since."""
    return [
        gr.update(choices=data_choices(by_data())),
        gr.update(choices=add_row.names_of(data)),
    ]


def labels_offered(rows: str, label: str) -> Any:
    """The classes that all rows share, if any: fine-tuning may have added some to a model."""
    there = configs()
    with suppress(ValueError):  # the run will say what is wrong with a row
        models = [there[r.model] for r in read(rows, 1, label, 0) if r.model in there]
        classes = shared([config.classes for config in models]) if models else ()
        if classes:
            narrowed = models[0].model_copy(update={"classes": classes})
            value = label if label in (ALL, ANY, *classes) else ALL
            return gr.update(choices=label_choices(narrowed, value), value=value)
    return gr.skip()


def updates(rows: list[Request], common: Request, data: str, preset: Any) -> list[Any]:
    """The updates of `Controls.all` for completed rows and what they share."""
    config = example_of(data)
    most = largest(config)
    return [
        lines_of(rows),
        gr.update(maximum=most, value=min(common.n, most)),
        gr.update(choices=label_choices(config, common.label), value=common.label),
        common.seed,
        data,
        preset,
        gr.update(**find_choices(config, common.label)),
    ]


def of_preset(title: str, data: str, common: Request) -> tuple[list[Request], Request]:
    """The rows of a preset, and what they share, with a column a class if it asks for that."""
    models = models_of(data)
    if not models:
        raise ValueError(f"there is no model of '{data}' here any more")
    rows, config = preset(title, models), example_of(data)
    if PRESETS[title].class_columns:
        columns = len(config.classes)
        many = not config.is_image or columns > FEW_CLASSES
        common = replace(common, n=common.n if many else columns, label=ALL)
    return rows, common


def choose_preset(
    switch: Switch, data: str, preset: str, n: int | None, label: str, seed: int | None
) -> list[Any]:
    """Begins a comparison with the rows of a preset."""
    switch.begin()
    with spoken():
        common = Request(n=int(n or 0), label=label, seed=int(seed or 0))
        return updates(*of_preset(preset, data, common), data, preset)


def choose_data(
    switch: Switch, data: str, preset: str, n: int | None, label: str, seed: int | None
) -> list[Any]:
    """The same after other data was chosen: only the seed stays."""
    with spoken():
        return choose_preset(switch, data, preset, default_n(example_of(data)), ALL, seed)


def default_n(config: ModelConfig) -> int:
    if not config.is_image:
        return 500
    return 2 if config.decoder else 10


def largest(config: ModelConfig) -> int:
    """Samples a row that one may ask for; those that need a decoder take seconds each."""
    if not config.is_image:
        return 1000
    if config.decoder:
        return 4 if is_public() else 8
    return 20 if is_public() else 60
