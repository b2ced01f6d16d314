"""What happens in the Models tab when something is pressed or chosen."""

import html
from collections.abc import Iterator
from typing import Any

import gradio as gr

from flowdemo.hub import models as inventory
from flowdemo.hub.client import Progress, Token
from flowdemo.settings import is_public
from flowdemo.ui.lab.workspace import Workspace
from flowdemo.ui.models import listing as shelf
from flowdemo.ui.shared import text
from flowdemo.ui.shared.models import bar
from flowdemo.ui.shared.work import Stopped, Switch, spoken

Rows = shelf.Rows
LOG_IN = "Log in first: this app sends nothing in its own name."
SHOWN = 4  # table, data sets, models, card


def show(found: Rows, data: str, name: str) -> list[Any]:
    """Table, data sets, models to choose from, and the card of the chosen one."""
    known = shelf.rows(found)
    sets = shelf.data_choices(known)
    data = data if data in dict(sets).values() else shelf.EVERY
    there = shelf.names(known, data)
    name = name if name in there else next(iter(there), None)
    return [
        shelf.table(known, data),
        gr.update(choices=sets, value=data),
        gr.update(choices=there, value=name),
        shelf.card_of(name, known) if name else "",
    ]


def show_card(found: Rows, name: str) -> str:
    """The card of a model."""
    return shelf.card_of(name, shelf.rows(found))


def have(switch: Switch, found: Rows, data: str, name: str) -> Iterator[list[Any]]:
    """Pull a model with progress, then refresh the table."""
    yield from told(shelf.pulling((name or "").strip(), switch.wanted()))
    known = {row["name"]: row.get("data") for row in shelf.rows(found)}
    name = (name or "").strip()
    yield [gr.skip(), *show(found, data if data == known.get(name) else shelf.EVERY, name)]


def look(switch: Switch, data: str, name: str, author: str) -> Iterator[list[Any]]:
    """What somebody's namespace holds, added to the table."""
    found: Rows = []
    for state in watched(shelf.looking(author or "", switch.wanted())):
        if isinstance(state, list):
            found = state
        else:
            yield [state, *[gr.skip()] * SHOWN, gr.skip()]
    yield [f"{len(found)} more found.", *show(found, data, name), found]


def push(
    switch: Switch, workspace: Workspace, name: str, repo: str, private: bool, token: Token = None
) -> Iterator[str]:
    """Sends a model to the Hub with this machine's own token."""
    if is_public() and not isinstance(token, str):
        raise gr.Error(LOG_IN, print_exception=False)
    repo = (repo or "").strip()
    yield from watched(shelf.pushing(workspace, name or "", repo, private, token, switch.wanted()))


def push_as_visitor(
    switch: Switch,
    workspace: Workspace,
    name: str,
    repo: str,
    private: bool,
    token: gr.OAuthToken | None,
) -> Iterator[str]:
    """The same with the token of the visitor who logged in, and with no other."""
    if token is None:
        raise gr.Error(LOG_IN, print_exception=False)
    yield from push(switch, workspace, name, repo, private, token.token)


def offer_to_send(workspace: Workspace, name: str | None) -> Any:
    """What may be sent now."""
    there = shelf.sendable(workspace)
    return gr.update(choices=there, value=name if name in there else next(iter(there), None))


def told(states: Iterator[Progress]) -> Iterator[list[Any]]:
    """Progress as updates of the status and of nothing else."""
    for state in watched(states):
        yield [state, *[gr.skip()] * SHOWN]


def watched(states: Iterator[Any]) -> Iterator[Any]:
    """Progress as HTML, all else as it is; an error is one message, a stop ends it."""
    with spoken():
        try:
            for state in states:
                yield bar(state) if isinstance(state, Progress) else state
        except Stopped:
            yield text.STOPPED
            raise gr.Error(text.STOPPED, visible=False, print_exception=False) from None
        except (ValueError, OSError):
            yield text.IDLE
            raise


def verify(name: str) -> str:
    """What was checked of a model."""
    with spoken():
        return html.escape(inventory.verify(name or ""))


def ask_delete(name: str) -> list[Any]:
    """The question before a model is removed."""
    return [gr.update(visible=bool(name)), f"Remove {html.escape(name or '')} from this machine?"]


def delete(found: Rows, data: str, name: str) -> list[Any]:
    """Removes a model, and shows what is left. Strangers remove nothing."""
    with spoken():
        if is_public():
            raise ValueError("nothing can be removed from an app that others use")
        inventory.delete(name or "")
    return [f"{html.escape(name)} is removed.", *show(found, data, ""), gr.update(visible=False)]
