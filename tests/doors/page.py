"""The app without a browser: values of components, and the events that follow a press or a link.

Components are found by their `elem_id`, endpoints by their `api_name`; nothing here depends on how
the app is written. Not simulated: JavaScript, `change` events, and the preprocessing of components.
"""

import inspect
from copy import deepcopy
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.helpers import special_args

UPDATE = "__type__"  # a dictionary with this key changes properties of a component
MEASURE = "measure"  # the queue of events that measure slow numbers


class Page:
    """One visitor's page of a built app."""

    def __init__(self, demo: gr.Blocks, query: dict[str, str] | None = None):
        self.demo, self.request = demo, gr.Request(query_params=query or {})
        self.values = {key: initial(block) for key, block in demo.blocks.items()}
        self.properties: dict[int, dict[str, Any]] = {key: {} for key in demo.blocks}  # as updated
        self.touched: dict[int, None] = {}  # ids of the components that events changed, in order
        self.errors: list[str] = []

    def block(self, elem_id: str) -> Block:
        """The component of that id."""
        [found] = [b for b in self.demo.blocks.values() if getattr(b, "elem_id", "") == elem_id]
        return found

    def __getitem__(self, elem_id: str) -> Any:
        """The value of a component."""
        return self.values[self.block(elem_id)._id]

    def __setitem__(self, elem_id: str, value: Any) -> None:
        self.values[self.block(elem_id)._id] = value

    def open(self, shows: str | None = None, measure: bool = False) -> None:
        """Runs the events of a page load; with `shows` only those that write to that component."""
        wanted = shows and self.block(shows)._id
        for function in self.started_by(self.demo._id, "load"):
            if not wanted or wanted in [block._id for block in function.outputs]:
                self.run(function, measure)

    def press(self, elem_id: str, measure: bool = False) -> None:
        """Clicks a button."""
        self.start(elem_id, "click", measure)

    def choose(self, elem_id: str, value: Any, measure: bool = False) -> None:
        """Gives a control a value as a visitor does."""
        self[elem_id] = value
        self.start(elem_id, "input", measure)

    def start(self, elem_id: str, event: str, measure: bool) -> None:
        """Runs what an event of a component starts."""
        for function in self.started_by(self.block(elem_id)._id, event):
            self.run(function, measure)

    def started_by(self, block_id: int, event: str) -> list[Any]:
        """The functions of an event, without those that run in the browser."""
        functions = self.demo.fns.values()
        return [f for f in functions if f.fn and (block_id, event) in f.targets]

    def run(self, function: Any, measure: bool) -> None:
        """Calls a function, then those that wait for it."""
        if function.concurrency_id == MEASURE and not measure:
            return
        good = True
        try:
            inputs = [self.values[block._id] for block in function.inputs]
            arguments, *_ = special_args(function.fn, inputs, self.request)
            made = function.fn(*arguments)
            for state in made if inspect.isgenerator(made) else [made]:
                self.update(function.outputs, state)
        except Exception as error:
            self.errors.append(message_of(error))
            good = False
        for after in self.demo.fns.values():
            skipped = after.trigger_only_on_success and not good
            skipped |= after.trigger_only_on_failure and good
            if after.fn and after.trigger_after == function._id and not skipped:
                self.run(after, measure)

    def update(self, outputs: list[Block], state: Any) -> None:
        """Writes what a function returned."""
        if len(outputs) == 1:
            state = [state]
        for block, new in zip(outputs, state or [], strict=True):
            if isinstance(new, Block):
                new = new.constructor_args | {UPDATE: "update"}
            if isinstance(new, dict) and UPDATE in new:
                changed = {key: value for key, value in new.items() if key != UPDATE}
            else:
                changed = {"value": new}
            if changed:
                self.touched[block._id] = None
            self.properties[block._id] |= changed
            if "value" in changed:
                self.values[block._id] = changed["value"]


def initial(block: Block) -> Any:
    """The value that a component has at first; every visitor has a state of their own."""
    value = getattr(block, "value", None)
    return deepcopy(value) if isinstance(block, gr.State) else value


def message_of(error: Exception) -> str:
    """What the page says of an error."""
    return error.message if isinstance(error, gr.Error) else f"{type(error).__name__}: {error}"


def endpoint(demo: gr.Blocks, name: str, given: dict[str, Any]) -> Any:
    """What an HTTP endpoint returns for arguments by name; the others have their defaults."""
    [function] = [f for f in demo.fns.values() if f.api_name == name]
    labels = [getattr(block, "label", None) for block in function.inputs]
    if unknown := given.keys() - set(labels):
        raise TypeError(f"/{name} has no argument {', '.join(unknown)}")
    arguments = [
        given.get(label, initial(block))
        for label, block in zip(labels, function.inputs, strict=True)
    ]
    made = function.fn(*arguments)
    if inspect.isgenerator(made):
        *_, made = made
    return made


def signatures(demo: gr.Blocks) -> dict[str, Any]:
    """Public endpoint -> the names and defaults of its arguments, and the kinds of its outputs."""
    public = [f for f in demo.fns.values() if f.fn and f.api_visibility == "public" and f.api_name]
    return {
        f.api_name: {
            "arguments": {
                block.label: block.value for block in f.inputs if not isinstance(block, gr.State)
            },
            "outputs": [type(block).__name__ for block in f.outputs],
        }
        for f in public
    }
