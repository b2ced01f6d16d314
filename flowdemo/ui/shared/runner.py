"""One runner for every tab: fetch a model, press, stop, measure, open a link, wait in the queue.

A tab says what is its own in a `Tab`; a `Runner` wires it to the components of the page.
"""

import html
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from flowdemo.ui.shared import text
from flowdemo.ui.shared.models import fetching
from flowdemo.ui.shared.work import Stopped, Switch, Wanted, spoken

TRAIN = {"concurrency_limit": 1, "concurrency_id": "train"}  # one job at a time, whatever it trains
LANE = {"concurrency_limit": 1, "concurrency_id": "model"}  # one run at a time on two cores
MEASURE = {"concurrency_limit": 1, "concurrency_id": "measure"}
PRIVATE = {"api_visibility": "private"}
# A press during a run is done after it. Else Gradio would drop it, and that run was just stopped.
LATEST = {"trigger_mode": "always_last", **PRIVATE}
RUN = {**LATEST, **LANE}
# Downloads have a queue of their own: no run waits for another visitor's download.
HUB = {"concurrency_limit": 2, "concurrency_id": "hub", **LATEST}
QUICK = {"queue": False, **PRIVATE}  # for what must not wait behind a run
# The same for what may fail: the page shows the errors of queued events alone.
PROMPT = {"concurrency_limit": None, "show_progress": "hidden", **PRIVATE}
HIDDEN = {"show_progress": "hidden"}
PROMISED = "promised"  # in the place of a view: another tab is about to run this one


@dataclass(frozen=True)
class Components:
    """Named components; the order of the fields is that of their updates."""

    @property
    def all(self) -> list[Any]:
        return list(vars(self).values())


@dataclass(frozen=True)
class Tab:
    """What is a tab's own.

    read: values of the inputs -> what is asked for; ValueError says what is wrong.
    run: yields progress in words, and views. A view is a frozen dataclass; it may have a `note`, which
        is said at the end, and `pending`, whether slow numbers will still come.
    view: name of a component -> its update from a view.
    measure: yields views with more and more numbers, which change the components named in `slow`.
    models: the names of the models that a run needs.
    link: the key by which the query of an address means this tab; also the tab's id.
    open: a query -> the updates of the controls, and the revision of the weights that are here.
    """

    read: Callable[..., Any]
    run: Callable[[Any, Wanted], Iterator[Any]]
    view: Mapping[str, Callable[[Any], Any]]
    measure: Callable[[Any, Wanted], Iterator[Any]] | None = None
    slow: tuple[str, ...] = ()
    models: Callable[[Any], Iterable[str]] | None = None
    link: str = ""
    open: Callable[[dict[str, str]], tuple[list[Any], str]] | None = None


@dataclass(frozen=True)
class Start:
    """What begins a run and stops it, and what is said of it."""

    randomize: gr.Checkbox
    go: gr.Button
    stop: gr.Button
    status: gr.HTML


@dataclass(frozen=True)
class Runner:
    """A tab on the page: `inputs` are read, `outputs` are those of `tab.view`, by name.

    `first` is the view that the page was built with. `queue` says what else a run waits for.
    """

    tab: Tab
    inputs: list[Any]
    outputs: dict[str, Any]
    status: gr.HTML
    first: Any = None
    queue: Mapping[str, Any] = field(default_factory=lambda: RUN)
    switch: gr.State = field(default_factory=lambda: gr.State(Switch()))
    shown: gr.State = field(default_factory=lambda: gr.State(None))  # the view on the page

    @property
    def results(self) -> list[Any]:
        """What a run changes: the status, the components of a view, and the view that is kept."""
        return [self.status, *(self.outputs[name] for name in self.tab.view), self.shown]

    @property
    def measured(self) -> list[Any]:
        """What measuring changes."""
        return [*(self.outputs[name] for name in self.tab.slow), self.shown]

    # --- wiring -----------------------------------------------------------------------------------

    def after(self, event: Callable[..., Any], work: Callable[..., Any] | None = None) -> Any:
        """At an event (its `success` or `then`) has the models, runs, and measures what came of it.

        Returns the end of the run.
        """
        work, given = work or self.press, [self.switch, *self.inputs]
        if self.tab.models:
            event = event(self.fetch, given, self.status, **HIDDEN, **HUB).success
        done = event(work, given, self.results, show_progress_on=self.status, **self.queue)
        if self.tab.measure:
            slow = {**HIDDEN, **LATEST, **MEASURE}
            done.success(self.measure, [self.switch, self.shown], self.measured, **slow)
        return done

    def start(self, start: Start, seed: gr.Number) -> Any:
        """Wires Go, with a new seed if that is asked for, and Stop; returns the end of a run."""
        start.stop.click(stop_run, self.switch, self.status, **QUICK)
        chosen = start.go.click(randomized, [self.switch, start.randomize, seed], seed, **QUICK)
        return self.after(chosen.success)

    def buttons(self, go: gr.Button, stop: gr.Button) -> Any:
        """The same without a seed to choose."""
        stop.click(stop_run, self.switch, self.status, **QUICK)
        return self.after(go.click(begin_run, self.switch, None, **QUICK).then)

    def on_load(self, demo: gr.Blocks, controls: list[Any], tabs: gr.Tabs | None = None) -> Any:
        """Opens a link with the page; `tabs` are turned to this one. Returns the end of the run."""
        outputs = [*controls, self.status, *([tabs] if tabs else [])]

        def open_link(request: gr.Request) -> list[Any]:
            return self.open_link(request, len(controls), turn=tabs is not None)

        return self.after(demo.load(open_link, None, outputs, **PRIVATE).success, self.linked)

    def on_select(self, tab: gr.Tab) -> Any:
        """Makes the first run when the tab is opened for the first time; returns its end."""
        return self.after(tab.select, self.opened)

    # --- events -----------------------------------------------------------------------------------

    def press(
        self,
        switch: Switch,
        *values: Any,
        wanted: Wanted | None = None,
        quiet: bool = False,
        pending: bool = True,
    ) -> Iterator[list[Any]]:
        """A run as updates of `results`; an error is one message and changes nothing.

        With `quiet` the status stays as it is. Without `pending` no slow numbers will follow.
        """
        view = None
        with spoken():
            try:
                asked = self.tab.read(*values)
                for state in self.tab.run(asked, wanted or switch.wanted()):
                    if isinstance(state, str):
                        yield self.said(html.escape(state, quote=False), quiet)
                        continue
                    view = state if pending else replace(state, pending=False)
                    switch.shown = view
                    yield [gr.skip(), *(show(view) for show in self.tab.view.values()), view]
                if view is not None:
                    note = html.escape(getattr(view, "note", ""), quote=False)
                    yield self.said(note or text.IDLE, quiet)
            except Stopped:
                yield self.said(text.STOPPED)
            except (ValueError, OSError):
                yield self.said(text.IDLE)  # no progress of a run that failed
                raise

    def said(self, words: str, quiet: bool = False) -> list[Any]:
        """Only the status changes."""
        return [gr.skip() if quiet else words, *[gr.skip()] * (len(self.tab.view) + 1)]

    def nothing(self) -> list[Any]:
        return [gr.skip()] * (len(self.tab.view) + 2)

    def fetch(self, switch: Switch, *values: Any) -> Iterator[Any]:
        """Downloads the models of a run that are not here; a failure ends the chain."""
        names: Iterable[str] = ()
        with suppress(ValueError):  # the run will say what is wrong
            names = self.tab.models(self.tab.read(*values))
        yield from told(fetching(names, switch.wanted()))

    def measure(self, switch: Switch, view: Any) -> Iterator[list[Any]]:
        """The slow numbers of the view that was just made, as updates of `measured`."""
        mine, wanted = switch.newest, switch.wanted()
        yield [gr.skip()] * (len(self.tab.slow) + 1)  # a generator without a value empties all
        if view is None or view is not switch.shown:
            return
        with spoken():
            try:
                for state in self.tab.measure(view, wanted):
                    if switch.shown is not view:
                        return  # the page shows another run by now
                    if state is not None:
                        view = switch.shown = state
                        yield self.slow(view)
            except Stopped:
                if switch.newest == mine and switch.shown is view:
                    view = switch.shown = replace(view, pending=False)
                    yield self.slow(view)

    def slow(self, view: Any) -> list[Any]:
        return [*(self.tab.view[name](view) for name in self.tab.slow), view]

    def opened(self, request: gr.Request, switch: Switch, *values: Any) -> Iterator[list[Any]]:
        """The first run of a tab; a link, or another tab that opens this one, makes its own."""
        if switch.shown is not None or self.tab.link in request.query_params:
            yield self.nothing()
        else:
            switch.begin()
            yield from self.press(switch, *values)

    def open_link(self, request: gr.Request, controls: int, turn: bool) -> list[Any]:
        """The controls of a link; a page opened without one stays as it is."""
        query, nothing = dict(request.query_params), [gr.skip()] * controls
        if self.tab.link not in query:
            return [*nothing, gr.skip(), *[gr.skip()] * turn]
        here = [gr.Tabs(selected=self.tab.link)] * turn
        try:
            updates, revision = self.tab.open(query)
        except ValueError as error:
            return [*nothing, f"The link cannot be used: {html.escape(str(error))}", *here]
        return [*updates, other_weights(query.get("rev"), revision) or text.IDLE, *here]

    def linked(self, request: gr.Request, switch: Switch, *values: Any) -> Iterator[list[Any]]:
        """The run of a link; a page opened without one shows its first view."""
        if self.tab.link in request.query_params:
            yield from self.press(switch, *values, quiet=True)  # the link may have left a note
        else:
            if self.first is not None:
                switch.shown = self.first
            yield [*self.nothing()[:-1], self.first]


@dataclass(frozen=True)
class Place:
    """How another tab shows something here: it sets the controls at an event and runs them.

    `offer` says at an event what can be chosen now.
    """

    runner: Runner
    controls: Any
    offer: Callable[[Any], None]


def or_skip(value: Any) -> Any:
    """The value, or no update where there is none."""
    return gr.skip() if value is None else value


def told(states: Iterable[Any]) -> Iterator[Any]:
    """States as they are; a stop or an error is said, and ends the chain of events."""
    yield gr.skip()  # a generator that yields nothing would empty the status
    with spoken():
        try:
            yield from states
        except Stopped:
            yield text.STOPPED
            raise gr.Error(text.STOPPED, visible=False, print_exception=False) from None
        except (ValueError, OSError):
            yield text.IDLE
            raise


def other_weights(old: str | None, new: str) -> str:
    """What a link says that was made with other weights than are here; else nothing."""
    if not new or old in (None, "", new):  # the weights on the Hub are not known yet
        return ""
    return text.OTHER_WEIGHTS.format(old=html.escape(old), new=new)


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


def start_buttons(word: str, prefix: str = "") -> Start:
    """Lays out what begins a run; `prefix` sets the ids of a tab apart."""
    randomize = gr.Checkbox(False, label="Randomize seed", elem_id=f"{prefix}randomize")
    with gr.Row():
        go = gr.Button(word, variant="primary", elem_id=f"{prefix}go", min_width=100)
        stop = gr.Button("Stop", elem_id=f"{prefix}stop", min_width=80)
    return Start(randomize, go, stop, status_line(prefix))


def go_and_stop(word: str, prefix: str) -> tuple[gr.Button, gr.Button]:
    """The two buttons of a run."""
    with gr.Row():
        go = gr.Button(word, variant="primary", elem_id=f"{prefix}go", min_width=100)
        stop = gr.Button("Stop", elem_id=f"{prefix}stop", min_width=80)
    return go, stop


def status_line(prefix: str) -> gr.HTML:
    """Where progress and notes are said."""
    return gr.HTML(text.IDLE, elem_classes="fd-status", elem_id=f"{prefix}status")
