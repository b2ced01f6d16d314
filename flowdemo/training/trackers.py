"""Programs that draw the numbers of a run as curves, if they are installed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flowdemo.config.recipe import Recipe
from flowdemo.training.log import Track

SCALARS = ("loss", "error", "gradient", "skipped", "held_out")


def scalars(numbers: dict[str, Any]) -> dict[str, float]:
    """The numbers of a log line that are drawn; each bin of t is one of them."""
    bins = {f"error at t {k / 10:.1f}": x for k, x in enumerate(numbers.get("bins", []))}
    flat = {key: numbers.get(key) for key in SCALARS} | bins
    return {key: value for key, value in flat.items() if value is not None}


@contextmanager
def tensorboard(recipe: Recipe, folder: Path) -> Iterator[Track]:
    """Event files in `folder`/tensorboard."""
    needed("tensorboard")
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (optional)

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        writer.add_text("recipe", f"```json\n{recipe.model_dump_json(indent=1)}\n```")

        def track(step: int, numbers: dict[str, Any]) -> None:
            for key, value in scalars(numbers).items():
                writer.add_scalar(key, value, step)

        yield track


@contextmanager
def trackio(recipe: Recipe, folder: Path) -> Iterator[Track]:
    """A run of the project "flowdemo", for `trackio show`."""
    needed("trackio")
    import trackio as program  # noqa: PLC0415 (optional)

    program.init(project="flowdemo", name=recipe.name, config=recipe.model_dump(mode="json"))
    try:
        yield lambda step, numbers: program.log(scalars(numbers), step=step)
    finally:
        program.finish()


@contextmanager
def none(recipe: Recipe, folder: Path) -> Iterator[Track]:
    """Nowhere."""
    yield lambda step, numbers: None


def needed(package: str) -> None:
    """ValueError unless the package is installed."""
    if find_spec(package) is None:
        raise ValueError(f"--log {package} needs {package}: pip install {package}")


TRACKERS: dict[str, Callable[[Recipe, Path], Any]] = {
    "none": none,
    "tensorboard": tensorboard,
    "trackio": trackio,
}
