"""Long work in a thread of its own, so that a visitor can watch it and stop it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


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

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work, watch)
        finished = threading.Event()
        future.add_done_callback(lambda _: finished.set())
        try:
            while not finished.wait(every):
                yield progress[0]
            yield future.result()
        finally:
            stopped.set()
