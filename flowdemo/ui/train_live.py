"""What is kept of a training run while it is watched: its curve, and when to draw."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from flowdemo.training.trainer import Progress

EVERY, SHARE = 2.0, 0.15  # seconds between two drawings, and their largest share of the time
POINTS = 300  # of the curve


@dataclass(frozen=True)
class Curve:
    """(step, loss, raw error), running means, thinned out as they get many."""

    points: tuple[tuple[int, float, float], ...] = ()
    mean: tuple[float, float] | None = None
    every: int = 1

    def then(self, progress: Progress) -> "Curve":
        """The curve after one more step."""
        now = (progress.loss, progress.error)
        if not all(map(math.isfinite, now)):  # a step that was left out
            return self
        old = self.mean or now
        mean = tuple(0.95 * a + 0.05 * b for a, b in zip(old, now, strict=True))
        points, every = self.points, self.every
        if progress.step % every == 0 or not points:
            points = (*points, (progress.step, *mean))
        if len(points) > POINTS:
            points, every = points[::2], 2 * every
        return Curve(points, mean, every)


class Clock:
    """The time of a run: when to draw, every few seconds but mostly training, and what is left.

    `seconds`, if any, are those after which the run ends, counted from here.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.due, self.seconds, self.began = 0.0, seconds, time.perf_counter()
        self.first: tuple[int, float] | None = None  # step and time of the first that was told

    def said(self, progress: Progress) -> str:
        """Progress in words, with the time that is left, drawing and all."""
        now = time.perf_counter()
        step, then = self.first = self.first or (progress.step, now)
        done = progress.step - step
        each = (now - then) / done if done else progress.seconds / progress.step
        left = each * (progress.steps - progress.step)
        if self.seconds is not None:
            left = min(left, max(0.0, self.began + self.seconds - now))
        return f"Step {progress.step} of {progress.steps}, about {left:.0f} s left"

    def draw(self, make: Callable[[], str]) -> str | None:
        """What `make` returns, or None if it is not the time yet."""
        began = time.perf_counter()
        if began < self.due:
            return None
        made = make()
        now = time.perf_counter()
        self.due = now + max(EVERY, (now - began) / SHARE)
        return made
