"""The Models tab: list, card, pull, verify, delete and push."""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from flowdemo import checkpoints
from flowdemo.checkpoints.cards import card
from flowdemo.data import DATASETS, title_of
from flowdemo.hub import catalogue, client, download
from flowdemo.hub import models as inventory
from flowdemo.hub.client import Progress
from flowdemo.methods import colour_of
from flowdemo.settings import is_public
from flowdemo.ui.lab.workspace import Workspace
from flowdemo.ui.shared import visitor
from flowdemo.ui.shared.models import offered
from flowdemo.ui.shared.work import Stopped

EVERY, LAB = "all", "Lab: "
Wanted = Callable[[], bool]
Rows = list[dict[str, Any]]


def rows(found: Rows = ()) -> Rows:
    """Every model that can be chosen here, and those that were `found` on the Hub."""
    there = set(offered()) | set(checkpoints.folders())
    known = [row for row in inventory.descriptions() if row["name"] in there]
    names = {row["name"] for row in known}
    known += [row for row in found if row["name"] not in names]
    order = {data: i for i, data in enumerate(DATASETS)}
    return sorted(known, key=lambda row: order.get(row.get("data"), len(order)))


def names(known: Rows, data: str = EVERY) -> list[str]:
    """The names of a data set's models."""
    return [row["name"] for row in known if data in (EVERY, row.get("data"))]


def data_choices(known: Rows) -> list[tuple[str, str]]:
    """The data sets that there are models of."""
    sets = dict.fromkeys(row["data"] for row in known if row.get("data"))
    return [("All", EVERY), *((title_of(data), data) for data in sets)]


def table(known: Rows, data: str = EVERY) -> str:
    """One line a model."""
    head = ("Model", "Data", "Where", "Size", "Licence", "Measured")
    lines = "".join(line(row) for row in known if data in (EVERY, row.get("data")))
    titles = "".join(f"<th>{title}</th>" for title in head)
    return (
        f'<table class="fd-table fd-words"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def line(row: dict[str, Any]) -> str:
    """A model's line of the table."""
    method = row.get("method", "")
    parts = [
        title_of(row.get("data", "")),
        row["where"],
        f"{row['bytes'] / 1e6:.1f} MB" if row.get("bytes") else "",
        row.get("license") or "",
        row.get("error") or inventory.best(row),
    ]
    cells = "".join(f"<td>{html.escape(part)}</td>" for part in parts)
    colour = colour_of(method)
    return f'<tr style="--fd-method: {colour}"><th>{html.escape(row["name"])}</th>{cells}</tr>'


def card_of(name: str, known: Rows) -> str:
    """The card of a model as Markdown, written here from its description: no stranger's text."""
    folder = checkpoints.folders().get(name)
    if folder is not None:
        try:
            text = card(checkpoints.read_config(folder))
        except ValueError as error:
            return f"This checkpoint cannot be read: {html.escape(str(error))}"
        body = re.sub(r"^# .*$", "", text.split("---\n", 2)[2], flags=re.M)
        body = re.sub(r"^```json$.*?^```$", "", body, flags=re.M | re.S)  # the recipe is long
        return where_of(name, known) + body
    if name in catalogue.entries():
        entry = catalogue.entries()[name]
        return (
            f"{where_of(name, known)}# {entry.title}\n\nTrained by others: `{entry.file}` of "
            f"[{entry.repo}](https://huggingface.co/{entry.repo}), licence {entry.license}. "
            f"{inventory.offers(catalogue.configs()[name])}."
        )
    return where_of(name, known)


def where_of(name: str, known: Rows) -> str:
    """Where a model is, at which commit."""
    row = next((row for row in known if row["name"] == name), None)
    if row is None:
        return ""
    parts = [f"**{row['where']}**"]
    if row.get("repo"):
        parts.append(f"`{row['repo']}`" + (f" at `{row['revision']}`" if row["revision"] else ""))
    return ", ".join(parts) + "\n\n"


def pulling(name: str, wanted: Wanted) -> Iterator[Progress]:
    """Has a model or a repository, again if it is one: a branch may have moved on."""
    with closing(download.fetch(name.strip(), again=True)) as progress:
        for state in progress:
            if not wanted():
                raise Stopped
            yield state
    yield Progress(f"{name} is here: every tab offers it now.", 1.0)


def looking(author: str, wanted: Wanted) -> Iterator[Progress | Rows]:
    """What a namespace of the Hub holds."""
    with closing(inventory.look(author.strip() or None)) as events:
        for event in events:
            if not wanted():
                raise Stopped
            yield event


def sendable(workspace: Workspace) -> list[str]:
    """What may be sent: the checkpoints trained here (of strangers each one's own), and the Lab's."""
    here = visitor.names() if is_public() else list(checkpoints.trained())
    return [*here, *(LAB + title for title in workspace.models)]


def pushing(
    workspace: Workspace, name: str, repo: str, private: bool, token: client.Token, wanted: Wanted
) -> Iterator[Progress]:
    """Sends one of those to the Hub. ValueError for any other."""
    if name not in sendable(workspace):
        raise ValueError("choose a model to send: one trained here, or in the Lab")
    model = workspace.models.get(name.removeprefix(LAB)) if name.startswith(LAB) else None
    parcel = inventory.parcel(name, repo) if model is None else inventory.parcel_of(model, repo)
    with (
        parcel as folder,
        closing(client.push(folder, repo, private=private, token=token)) as events,
    ):
        for event in events:
            if not wanted():
                raise Stopped
            yield event if isinstance(event, Progress) else Progress(client.sent(event), 1.0)
