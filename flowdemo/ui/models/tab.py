"""The layout and the wiring of the Models tab."""

import os
from dataclasses import dataclass

import gradio as gr

from flowdemo.settings import is_public, namespace
from flowdemo.ui.models import events as shelf_events
from flowdemo.ui.models import listing as shelf
from flowdemo.ui.shared import text
from flowdemo.ui.shared.runner import HUB, PRIVATE, PROMPT, QUICK, Components, begin_run, stop_run
from flowdemo.ui.shared.work import Switch


@dataclass(frozen=True)
class Shown(Components):
    """What every change of the shelf changes."""

    table: gr.HTML
    data: gr.Dropdown
    model: gr.Dropdown
    card: gr.Markdown


@dataclass(frozen=True)
class Asked:
    """What can be pressed for the chosen model, and for a repository or a namespace of the Hub."""

    pull: gr.Button
    stop: gr.Button
    check: gr.Button
    remove: gr.Button
    status: gr.HTML
    repo: gr.Textbox
    pull_repo: gr.Button
    author: gr.Textbox
    look: gr.Button


def build(tab: gr.Tab, workspace: gr.State) -> None:
    """Table, one model in full, and what can be done with it."""
    known = shelf.rows()
    names = shelf.names(known)
    gr.Markdown(text.MODELS, elem_classes="fd-caption")
    with gr.Row(elem_classes="fd-main fd-two fd-natural"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            # Custom values: a fast hand may send the old choice just after the choices changed.
            custom = {"allow_custom_value": True, "elem_id": "m-model"}
            model = gr.Dropdown(names, value=names[0], label="Model", **custom)
            asked, sure = layout_asked(), question()
            if (sent := sending(workspace)) is not None:
                tab.select(shelf_events.offer_to_send, [workspace, sent], sent, **QUICK)
            if "SPACE_ID" in os.environ:
                gr.DuplicateButton(elem_id="m-duplicate")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            sets = shelf.data_choices(known)
            data = gr.Dropdown(sets, value=shelf.EVERY, label="Data", elem_id="m-data")
            table = gr.HTML(shelf.table(known), elem_id="m-table", elem_classes="fd-scroll")
            card = gr.Markdown(shelf.card_of(names[0], known), elem_id="m-card")
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN_MODELS)
    shown, found = Shown(table, data, model, card), gr.State([])
    wire(tab, shown, found, asked)
    if not is_public():
        wire_delete(asked, sure, shown, found)


def layout_asked() -> Asked:
    """The buttons of the chosen model, and what is had from elsewhere."""
    with gr.Row():
        pull = gr.Button("Pull", variant="primary", elem_id="m-pull", min_width=80)
        stop = gr.Button("Stop", elem_id="m-stop", min_width=70)
    small = {"size": "sm", "min_width": 80}
    with gr.Row():
        check = gr.Button("Verify", elem_id="m-verify", **small)
        remove = gr.Button("Delete", elem_id="m-delete", visible=not is_public(), **small)
    status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id="m-status")
    return Asked(pull, stop, check, remove, status, *elsewhere())


def question() -> tuple[gr.Group, gr.HTML, gr.Button, gr.Button]:
    """What is asked before a model is removed."""
    with gr.Group(visible=False) as group:
        words = gr.HTML("", padding=True)
        with gr.Row():
            yes = gr.Button("Remove", variant="stop", size="sm", elem_id="m-sure", min_width=80)
            no = gr.Button("Keep", size="sm", min_width=80)
    return group, words, yes, no


def elsewhere() -> tuple[gr.Textbox, gr.Button, gr.Textbox, gr.Button]:
    """A repository by its id, and whose repositories are looked for."""
    with gr.Accordion(text.FROM_HUB, open=True, elem_id="m-hub"):
        repo = gr.Textbox(
            label="Repository", placeholder="name/model or name/model@commit", elem_id="m-repo"
        )
        other = gr.Button("Pull this repository", size="sm", elem_id="m-pull-repo")
        author = gr.Textbox(
            namespace() or "", label="Whose checkpoints", placeholder="name", elem_id="m-author"
        )
        seek = gr.Button("Look on the Hub", size="sm", elem_id="m-look")
    return repo, other, author, seek


def sending(workspace: gr.State, prefix: str = "m-") -> gr.Dropdown | None:
    """Sending a model to the Hub: by this machine's token, on a Space by the visitor's own.

    Returns where the model is chosen; `prefix` sets the ids of a tab apart.
    """
    by_login = "OAUTH_CLIENT_ID" in os.environ  # a Space with hf_oauth
    if not by_login and (is_public() or "SPACE_ID" in os.environ):
        return None
    with gr.Accordion(text.TO_HUB, open=False, elem_id=f"{prefix}send"):
        if by_login:
            gr.LoginButton(elem_id=f"{prefix}login")
        model = gr.Dropdown(
            [], label="Model to send", allow_custom_value=True, elem_id=f"{prefix}sendable"
        )
        target = gr.Textbox(
            label="Repository", placeholder="your-name/model", elem_id=f"{prefix}target"
        )
        private = gr.Checkbox(True, label="Private", elem_id=f"{prefix}private")
        with gr.Row():
            send = gr.Button("Send", size="sm", elem_id=f"{prefix}push", min_width=80)
            stop = gr.Button("Stop", size="sm", elem_id=f"{prefix}push-stop", min_width=80)
        said = gr.HTML("", elem_classes="fd-status", elem_id=f"{prefix}sent")
    push = shelf_events.push_as_visitor if by_login else shelf_events.push
    switch = gr.State(Switch())  # a pull goes on meanwhile
    given = [switch, workspace, model, target, private]
    stop.click(stop_run, switch, said, **QUICK)
    send.click(begin_run, switch, None, **QUICK).then(
        push, given, said, show_progress="hidden", **HUB
    )
    return model


def wire(tab: gr.Tab, shown: Shown, found: gr.State, asked: Asked) -> None:
    """What happens when something is pressed or chosen, and when the tab is opened."""
    switch, quietly = gr.State(Switch()), {"show_progress": "hidden", **HUB}
    for event in (tab.select, shown.data.input):
        event(shelf_events.show, [found, shown.data, shown.model], shown.all, **PROMPT)
    shown.model.input(shelf_events.show_card, [found, shown.model], shown.card, **PROMPT)
    for button, name in ((asked.pull, shown.model), (asked.pull_repo, asked.repo)):
        given = [switch, found, shown.data, name]
        button.click(begin_run, switch, None, **QUICK).then(
            shelf_events.have, given, [asked.status, *shown.all], **quietly
        )
    given = [switch, shown.data, shown.model, asked.author]
    asked.look.click(begin_run, switch, None, **QUICK).then(
        shelf_events.look, given, [asked.status, *shown.all, found], **quietly
    )
    asked.stop.click(stop_run, switch, asked.status, **QUICK)
    asked.check.click(shelf_events.verify, shown.model, asked.status, **PRIVATE)


def wire_delete(asked: Asked, sure: tuple, shown: Shown, found: gr.State) -> None:
    """Removing a model, after a question."""
    group, words, yes, no = sure
    asked.remove.click(shelf_events.ask_delete, shown.model, [group, words], **QUICK)
    no.click(lambda: gr.update(visible=False), None, group, **QUICK)
    yes.click(
        shelf_events.delete, [found, shown.data, shown.model],
        [asked.status, *shown.all, group], **PRIVATE,
    )  # fmt: skip
