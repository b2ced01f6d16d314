"""What a visitor of the 2-D Lab has, and asks for."""

from dataclasses import dataclass, field

from torch import Tensor

from flowdemo.config import ModelConfig
from flowdemo.data import OWN, dataset
from flowdemo.data.own import fitted
from flowdemo.lab import Source
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.sampling import Samples
from flowdemo.ui.compare import models_of
from flowdemo.ui.generate import ANY
from flowdemo.ui.models import load

EXACT, MAX_RUNS = "exact velocity", 8


@dataclass
class Desk:
    """What one visitor has in the Lab: own points, and the models trained here, by title."""

    points: Tensor | None = None
    runs: dict[str, Model] = field(default_factory=dict)

    def keep(self, title: str, model: Model) -> list[str]:
        """The model on the desk; the titles of the oldest ones that made room."""
        gone = list(self.runs)[: max(0, len(self.runs) + 1 - MAX_RUNS)]
        for old in gone:
            del self.runs[old]
        self.runs[title] = model
        return gone

    def take(self, points: Tensor) -> None:
        """Points (n, 2) as this visitor's own; what was trained on others goes."""
        self.points = fitted(points)
        self.drop(OWN)

    def drop(self, data: str) -> None:
        """Without the models of a data set."""
        self.runs = {t: m for t, m in self.runs.items() if m.config.data != data}


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
    floor: float | None = None


@dataclass(frozen=True)
class Shown:
    """The panels on the page, and whose data they are of."""

    source: Source
    asked: Asked
    panels: list[Panel]


def source_of(data: str, desk: Desk) -> Source:
    """The distribution of that name; own points are the visitor's."""
    return Source(data, desk.points if data == OWN else None)


def model_of(data: str, title: str, desk: Desk) -> Model:
    """The model of a title of `titles`; ValueError if it is not there any more."""
    if title not in titles(data, desk):
        raise ValueError(f"there is no '{title}' of this data here any more")
    if title == EXACT:
        return source_of(data, desk).exact()
    return desk.runs[title] if title in desk.runs else load(title)


def titles(data: str, desk: Desk) -> list[str]:
    """What can be shown of this data: the exact velocity, checkpoints, and own models."""
    own = [title for title, model in desk.runs.items() if model.config.data == data]
    return [EXACT, *checkpoints_of(data), *own]


def is_drawn(config: ModelConfig) -> bool:
    """Whether its velocity is one of the plane as it is drawn, at every time."""
    as_it_is = {"mean": config.mean, "std": config.std} == dataset(config.data).normalisation
    return config.trained_times is None and as_it_is


def checkpoints_of(data: str) -> list[str]:
    """The names of the checkpoints of a data set, in the order of the methods."""
    order = list(METHODS)
    models = {name: c for name, c in models_of(data).items() if is_drawn(c)}
    return sorted(models, key=lambda name: order.index(models[name].method))
