"""What a run writes while it trains: state, log, pictures, and the error on held-out pairs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch
from flowdemo.core.noise import generator
from flowdemo.files import write_file
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.training.batches import time_sampler
from flowdemo.training.state_file import save_state
from flowdemo.training.trainer import Progress, State

SAVE_SECONDS = 60.0
HELD_OUT, HELD_OUT_SEED = 512, 17  # pairs that are measured at most, and the seed of their times
Track = Callable[[int, dict[str, Any]], None]  # (step, numbers)


@dataclass(frozen=True)
class HeldOut:
    """All pairs of a run; the last ones are not trained on but measured."""

    recipe: Recipe
    pairs: Batch

    def error(self, net: nn.Module) -> float | None:
        """The mean raw error on held-out pairs, always at the same times; None without such pairs."""
        count = self.recipe.pairs.trained
        rows = slice(count, count + HELD_OUT)
        if not len(self.pairs.label[rows]):
            return None
        plain = self.recipe.model_copy(update={"loss": "l2"})
        loss = METHODS[plain.method].loss(plain, time_sampler(plain))
        batch = loss.timed(self.pairs.rows(rows), generator(HELD_OUT_SEED)).to(
            next(net.parameters()).device
        )
        with torch.inference_mode():
            return loss(net, batch).error.mean().item()


@dataclass
class RunLog:
    """Writes into `folder`: the state every minute, a JSON line every step, now and then a picture.

    `track(step, numbers)` gets the numbers of each line.
    """

    folder: Path
    draw_samples: Callable[[Model, Path], None] | None
    sample_every: int
    track: Track
    held_out: HeldOut | None = None

    @property
    def file(self) -> Path:
        return self.folder / "log.jsonl"

    def record(
        self, steps: Iterator[Progress], model: Callable[[], Model], state: State
    ) -> Iterator[Progress]:
        """Yields each step after it is written. The state is also saved when the steps end or fail."""
        cut_log(self.file, state.step)
        saved = state.seconds
        try:
            for progress in steps:
                self.write(progress, model)
                if state.seconds - saved > SAVE_SECONDS:
                    save_state(state, self.folder)
                    saved = state.seconds
                yield progress
        except ValueError:
            save_state(state, self.folder)
            raise
        save_state(state, self.folder)

    def write(self, progress: Progress, model: Callable[[], Model]) -> None:
        """One line of the log; a picture and the held-out error when they are due."""
        numbers = numbers_of(progress)
        if progress.step % self.sample_every == 0 or progress.step == progress.steps:
            current = model()
            if self.draw_samples and not current.config.only_inverts:
                self.draw_samples(current, self.folder / f"samples-{progress.step:06d}.png")
            if self.held_out and (error := self.held_out.error(progress.state.ema)) is not None:
                numbers["held_out"] = error
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as file:
            file.write(json.dumps(numbers) + "\n")
        self.track(progress.step, numbers)


def numbers_of(progress: Progress) -> dict[str, Any]:
    """The numbers of a step; those that are not finite become None, as JSON has no word for them."""
    keys = ("step", "loss", "error", "velocity", "gradient", "seconds")
    numbers = {key: getattr(progress, key) for key in keys}
    numbers |= {"bins": progress.bins, "skipped": progress.state.skipped}
    return json.loads(json.dumps(numbers), parse_constant=lambda word: None)


def cut_log(path: Path, step: int) -> None:
    """Drops the lines of steps that a resumed run will repeat."""
    if path.is_file():
        # A killed run may have left half a line.
        whole = [x for x in path.read_text().splitlines() if x.endswith("}")]
        lines = [x for x in whole if json.loads(x)["step"] <= step]
        write_file(path, lambda draft: draft.write_text("".join(f"{x}\n" for x in lines)))
