"""What a visitor of the 2-D Lab has, and asks for."""

from dataclasses import dataclass, field

from torch import Tensor

from flowdemo.data import OWN
from flowdemo.lab import Source
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.sampling import Samples
from flowdemo.ui.compare import models_of
from flowdemo.ui.generate import ANY, load

EXACT = "exact velocity"


@dataclass
class Desk:
    """What one visitor has in the Lab: own points, and the models trained here, by title."""

    points: Tensor | None = None
    runs: dict[str, Model] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What the controls say; every panel gets the same steps from the same noise."""

    data: str
    shown: tuple[str, ...] = ()
    n: int = 500
    label: str = ANY
    guidance: float = 1.0
    solver: str = "euler"
    steps: int = 20
    seed: int = 42


@dataclass(frozen=True)
class Panel:
    """One model's run; the numbers that cost more than the samples come later."""

    title: str
    model: Model
    samples: Samples
    distance: float | None = None
    straightness: float | None = None
    error: float | None = None


def source_of(data: str, desk: Desk) -> Source:
    """The distribution of that name; own points are the visitor's."""
    return Source(data, desk.points if data == OWN else None)


def models_here(data: str, desk: Desk) -> dict[str, Model]:
    """Title -> model of everything that can be shown of this data: exact, shipped or saved, own."""
    found = {EXACT: source_of(data, desk).exact()}
    found |= {name: load(name) for name in checkpoints_of(data)}
    return found | {title: m for title, m in desk.runs.items() if m.config.data == data}


def titles(data: str, desk: Desk) -> list[str]:
    """The titles of `models_here`, without loading anything."""
    own = [title for title, model in desk.runs.items() if model.config.data == data]
    return [EXACT, *checkpoints_of(data), *own]


def checkpoints_of(data: str) -> list[str]:
    """The names of the checkpoints of a data set, in the order of the methods."""
    order = list(METHODS)
    return sorted(models := models_of(data), key=lambda name: order.index(models[name].method))
