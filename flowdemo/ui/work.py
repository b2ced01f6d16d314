"""Long work in a thread of its own, so that a visitor can watch it and stop it."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import gradio as gr

Result = TypeVar("Result")
PREFIX, KEEP_SECONDS = "flowdemo-export-", 3600


class Stopped(Exception):
    """The visitor stopped the work."""


def in_background(
    work: Callable[[Callable[[int], None]], Result], every: float = 0.25
) -> Iterator[int | Result]:
    """Yields the progress that `work` reports to its argument, and at last its result.

    Closing the iterator makes the next report raise `Stopped` inside the work.
    """
    stopped, progress = threading.Event(), [0]

    def watch(done: int) -> None:
        if stopped.is_set():
            raise Stopped
        progress[0] = done

    pool, finished = ThreadPoolExecutor(1), threading.Event()
    future = pool.submit(work, watch)
    future.add_done_callback(lambda _: finished.set())
    try:
        while not finished.wait(every):
            yield progress[0]
        yield future.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False)  # the server must not wait for the evaluation in progress


@contextmanager
def spoken() -> Iterator[None]:
    """Turns an error that a visitor can mend into a message on the page."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def fresh_folder() -> Path:
    """An empty folder for one request; folders of requests over an hour ago are removed."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if time.time() - old.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX))
