"""The layout and the wiring of the Models tab."""

import os
from dataclasses import dataclass

import gradio as gr

from flowdemo.settings import is_public, namespace
from flowdemo.ui import shelf, shelf_events, text
from flowdemo.ui.events import HUB, PRIVATE, PROMPT, QUICK, Components, begin_run, stop_run
from flowdemo.ui.work import Switch


@dataclass(frozen=True)
class Shown(Components):
    """What every change of the shelf changes."""

    table: gr.HTML
    data: gr.Dropdown
    model: gr.Dropdown
    card: gr.Markdown


def build(tab: gr.Tab, desk: gr.State) -> None:
    """Table, one model in full, and what can be done with it."""
    known = shelf.rows()
    first = known[0]["name"]
    found, switch = gr.State([]), gr.State(Switch())
    gr.Markdown(text.MODELS, elem_classes="fd-caption")
    with gr.Row(elem_classes="fd-main fd-two"):
        with gr.Column(scale=3, min_width=270, elem_classes="fd-controls"):
            model = gr.Dropdown(
                shelf.names(known), value=first, label="Model", elem_id="m-model",
                allow_custom_value=True,
            )  # fmt: skip
            with gr.Row():
                pull = gr.Button("Pull", variant="primary", elem_id="m-pull", min_width=80)
                stop = gr.Button("Stop", elem_id="m-stop", min_width=70)
            with gr.Row():
                check = gr.Button("Verify", size="sm", elem_id="m-verify", min_width=80)
                remove = gr.Button(
                    "Delete", size="sm", elem_id="m-delete", min_width=80, visible=not is_public()
                )
            status = gr.HTML(text.IDLE, elem_classes="fd-status", elem_id="m-status")
            sure = question()
            repo, other, author, seek = elsewhere()
            sending(desk, tab)
            if "SPACE_ID" in os.environ:
                gr.DuplicateButton(elem_id="m-duplicate")
        with gr.Column(scale=6, min_width=300, elem_classes="fd-results"):
            data = gr.Dropdown(
                shelf.data_choices(known), value=shelf.EVERY, label="Data", elem_id="m-data"
            )
            table = gr.HTML(shelf.table(known), elem_id="m-table", elem_classes="fd-scroll")
            card = gr.Markdown(shelf.card_of(first, known), elem_id="m-card")
    with gr.Accordion(text.WHAT, open=False):
        gr.Markdown(text.EXPLAIN_MODELS)
    shown = Shown(table, data, model, card)
    wire(tab, shown, found, (switch, status, stop))
    for button, name in ((pull, model), (other, repo)):
        begun = button.click(begin_run, switch, None, **QUICK)
        begun.then(
            shelf_events.have, [switch, found, data, name], [status, *shown.all],
            show_progress="hidden", **HUB,
        )  # fmt: skip
    seek.click(begin_run, switch, None, **QUICK).then(
        shelf_events.look, [switch, data, model, author], [status, *shown.all, found],
        show_progress="hidden", **HUB,
    )  # fmt: skip
    check.click(shelf_events.verify, model, status, **PRIVATE)
    if not is_public():
        wire_delete(remove, sure, shown, found, status)


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


def sending(desk: gr.State, tab: gr.Tab) -> None:
    """Sending a model to the Hub: by this machine's token, on a Space by the visitor's own."""
    by_login = "OAUTH_CLIENT_ID" in os.environ  # a Space with hf_oauth
    if not by_login and (is_public() or "SPACE_ID" in os.environ):
        return
    with gr.Accordion(text.TO_HUB, open=False, elem_id="m-send"):
        if by_login:
            gr.LoginButton(elem_id="m-login")
        model = gr.Dropdown(
            [], label="Model to send", allow_custom_value=True, elem_id="m-sendable"
        )
        target = gr.Textbox(label="Repository", placeholder="your-name/model", elem_id="m-target")
        private = gr.Checkbox(True, label="Private", elem_id="m-private")
        with gr.Row():
            send = gr.Button("Send", size="sm", elem_id="m-push", min_width=80)
            stop = gr.Button("Stop", size="sm", elem_id="m-push-stop", min_width=80)
        said = gr.HTML("", elem_classes="fd-status", elem_id="m-sent")
    tab.select(shelf_events.offer_to_send, [desk, model], model, **QUICK)
    push = shelf_events.push_as_visitor if by_login else shelf_events.push
    switch = gr.State(Switch())  # a pull goes on meanwhile
    given = [switch, desk, model, target, private]
    stop.click(stop_run, switch, said, **QUICK)
    send.click(begin_run, switch, None, **QUICK).then(
        push, given, said, show_progress="hidden", **HUB
    )


def wire(tab: gr.Tab, shown: Shown, found: gr.State, run: tuple) -> None:
    """What happens when something is chosen, and when the tab is opened."""
    switch, status, stop = run
    tab.select(shelf_events.show, [found, shown.data, shown.model], shown.all, **PROMPT)
    shown.data.input(shelf_events.show, [found, shown.data, shown.model], shown.all, **PROMPT)
    shown.model.input(shelf_events.show_card, [found, shown.model], shown.card, **PROMPT)
    stop.click(stop_run, switch, status, **QUICK)


def wire_delete(
    remove: gr.Button, sure: tuple, shown: Shown, found: gr.State, status: gr.HTML
) -> None:
    """Removing a model, after a question."""
    group, words, yes, no = sure
    remove.click(shelf_events.ask_delete, shown.model, [group, words], **QUICK)
    no.click(lambda: gr.update(visible=False), None, group, **QUICK)
    yes.click(
        shelf_events.delete, [found, shown.data, shown.model], [status, *shown.all, group],
        **PRIVATE,
    )  # fmt: skip
