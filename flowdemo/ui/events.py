"""What the events of all tabs share: their queues, a run as updates, and stopping it."""

import html
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import gradio as gr

from flowdemo.ui import text
from flowdemo.ui.models import fetching
from flowdemo.ui.work import Stopped, Switch, spoken

View = TypeVar("View")

TRAIN = {"concurrency_limit": 1, "concurrency_id": "train"}  # one job at a time, whatever it trains
LANE = {"concurrency_limit": 1, "concurrency_id": "model"}  # one run at a time on two cores
MEASURE = {"concurrency_limit": 1, "concurrency_id": "measure"}
PRIVATE = {"api_visibility": "private"}
# A press during a run is done after it; else Gradio would drop it, and the run has just been stopped.
LATEST = {"trigger_mode": "always_last", **PRIVATE}
RUN = {**LATEST, **LANE}
# Downloads have a lane of their own: nobody's run waits for another's.
HUB = {"concurrency_limit": 2, "concurrency_id": "hub", **LATEST}
QUICK = {"queue": False, **PRIVATE}  # for what must not wait behind a run
# The same for what may fail: the page shows the errors of queued events alone.
PROMPT = {"concurrency_limit": None, "show_progress": "hidden", **PRIVATE}


@dataclass(frozen=True)
class Components:
    """Named components; the order of the fields is that of their updates."""

    @property
    def all(self) -> list[Any]:
        return list(vars(self).values())


@dataclass(frozen=True)
class Place:
    """How another tab shows something here: it sets the controls at an event, and `after` runs them.

    `offer` says at an event what can be chosen now.
    """

    switch: gr.State
    controls: Any
    after: Callable[[Any], None]
    offer: Callable[[Any], None]


def press(
    switch: Switch,
    states: Iterable[str | View],
    fields: Callable[[View], list[Any]],
    outputs: int,
) -> Iterator[list[Any]]:
    """Progress in words and views as updates; an error is one message and changes nothing.

    `fields` puts a view in the order of the outputs: first the status, last the run that is kept.
    """
    with spoken():
        try:
            for state in states:
                if isinstance(state, str):
                    yield said(state, outputs)
                else:
                    update = fields(state)
                    switch.shown = update[-1]
                    yield update
        except Stopped:
            yield said(text.STOPPED, outputs)
        except (ValueError, OSError):
            yield said(text.IDLE, outputs)  # no progress of a run that failed
            raise


def fetch(switch: Switch, names: Iterable[str]) -> Iterator[Any]:
    """Has the models of a run that are not here, with progress as status; a failure ends the chain."""
    yield gr.skip()  # a generator that yields nothing would empty the status
    with spoken():
        try:
            yield from fetching(names, switch.wanted())
        except Stopped:
            yield text.STOPPED
            raise gr.Error(text.STOPPED, visible=False, print_exception=False) from None
        except (ValueError, OSError):
            yield text.IDLE
            raise


def other_weights(old: str | None, new: str) -> str:
    """What a link says that was made with other weights than there are now; else nothing."""
    if not new or old in (None, new):  # of one that is still to be had nothing is known
        return ""
    return text.OTHER_WEIGHTS.format(old=html.escape(old), new=new)


def said(words: str, outputs: int) -> list[Any]:
    """Only the status changes."""
    return [words, *[gr.skip()] * (outputs - 1)]


def randomized(switch: Switch, randomize: bool, seed: int | None) -> int:
    """Begins a run with the seed to use: a new one if asked, else the one there."""
    switch.begin()
    return secrets.randbelow(2**31) if randomize else int(seed or 0)


def begin_run(switch: Switch) -> None:
    """A new run takes the place of the one before, which stops."""
    switch.begin()


def stop_run(switch: Switch) -> str:
    """Stops what this visitor has begun."""
    switch.stop()
    return text.STOPPED
