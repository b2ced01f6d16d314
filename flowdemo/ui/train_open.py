"""A finished checkpoint of the Train tab: as a file, and in the other tabs."""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from flowdemo import checkpoints
from flowdemo.compare import completed, parse_spec
from flowdemo.ui import compare_controls, controls, own, train
from flowdemo.ui.compare import Comparison
from flowdemo.ui.compare_events import PROMISED
from flowdemo.ui.generate import ALL, default_choice
from flowdemo.ui.models import known
from flowdemo.ui.work import Switch, spoken


def zipped(name: str, folder: Path) -> str:
    """The files of a checkpoint as one zip file."""
    label = own.plain(name)
    file = folder / f"{label}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for part in sorted(checkpoints.folder_of(name).iterdir()):
            archive.write(part, f"{label}/{part.name}")
    return str(file)


def open_in_generate(switch: Switch, name: str) -> list[Any]:
    """The Generate tab with the result, asked for what it learnt."""
    with spoken():
        switch.begin()
        choice, learnt = default_choice(name), known(name).config.finetune.classes
        label = learnt[0] if len(learnt) == 1 else ALL
        return [gr.Tabs(selected="generate"), *controls.updates(replace(choice, label=label))]


def open_in_compare(switch: Switch, name: str) -> list[Any]:
    """The Compare tab with the result beside what it was before, in the classes of both."""
    with spoken():
        switch.begin()
        switch.shown = PROMISED
        config = known(name).config
        before = [config.finetune.start] if checkpoints.find(config.finetune.start) else []
        rows = [str(completed(parse_spec(each), known(each))) for each in (*before, name)]
        comparison = Comparison("\n".join(rows), compare_controls.default_n(config.data))
        changes = compare_controls.updates(comparison, config.data, gr.skip())
        return [gr.Tabs(selected="compare"), *changes]


def refresh(model: str) -> Any:
    """The checkpoints to start from: there may be more by now."""
    names = train.offered()
    return gr.update(choices=controls.names_for(names), value=model if model in names else names[0])
