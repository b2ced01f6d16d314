"""Background work with progress that a visitor can stop."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import TypeVar

import gradio as gr

Result = TypeVar("Result")
Wanted = Callable[[], bool]  # whether a run is still wanted
TIMED = threading.Lock()  # held by the run whose milliseconds are shown
PREFIX, KEEP_SECONDS = "flowdemo-export-", 3600


class Stopped(Exception):
    """The visitor stopped the work."""


class Switch:
    """One visitor's switch: which of the runs is the newest, and up to which they were stopped.

    Gradio's own cancelling leaves a generator running whose thread is busy, so it is not used.
    """

    def __init__(self) -> None:
        self.newest, self.stopped = 1, 0
        self.shown: object = None  # the run on the page: only its numbers may be written there

    def begin(self) -> int:
        """A new run takes the place of the one before; returns its number."""
        self.newest += 1
        return self.newest

    def stop(self) -> None:
        """Stops the newest run, also one that still waits for its turn."""
        self.stopped = self.newest

    def wanted(self, number: int | None = None) -> Callable[[], bool]:
        """Whether the run of that number, by default the newest, is still that and not stopped."""
        mine = self.newest if number is None else number
        return lambda: mine == self.newest and mine > self.stopped


def in_background(
    work: Callable[[Callable[[int], None]], Result],
    wanted: Callable[[], bool] = lambda: True,
    every: float = 0.25,
) -> Iterator[int | Result]:
    """Yields the progress that `work` reports to its argument, and at last its result.

    When the work is not wanted any more, or the iterator is closed, its next report raises
    `Stopped`, which in the first case comes out here too.
    """
    stopped, progress = threading.Event(), [0]

    def watch(done: int) -> None:
        if stopped.is_set() or not wanted():
            raise Stopped
        progress[0] = done

    pool, finished = ThreadPoolExecutor(1), threading.Event()
    # In the visitor's context: ZeroGPU asks whose request it is.
    future = pool.submit(copy_context().run, work, watch)
    future.add_done_callback(lambda _: finished.set())
    try:
        while not finished.wait(every):
            if wanted():
                yield progress[0]
            else:
                stopped.set()
        yield future.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False)  # the server must not wait for the evaluation in progress


def yielding(watch: Callable[[int], None]) -> Callable[[int], None]:
    """`watch` for work that waits, at each report, while a timed run goes on."""

    def wait(done: int) -> None:
        watch(done)
        with TIMED:
            pass

    return wait


@contextmanager
def spoken() -> Iterator[None]:
    """Show an error of the user's input as a message on the page."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def fresh_folder() -> Path:
    """An empty folder for one request; folders of requests over an hour ago are removed."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another server may sweep too
            if time.time() - old.stat().st_mtime > KEEP_SECONDS:
                shutil.rmtree(old)
    return Path(tempfile.mkdtemp(prefix=PREFIX))
