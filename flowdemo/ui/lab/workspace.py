"""What a visitor of the 2-D Lab has, and what can be shown of it."""

from dataclasses import dataclass, field

from torch import Tensor

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.data import OWN, dataset
from flowdemo.data.points import fitted
from flowdemo.evaluation.fields import Source
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.ui.shared.models import load, models_of

EXACT, MAX_MODELS = "exact velocity", 8


@dataclass
class Workspace:
    """What one visitor has in the Lab: own points, and the models trained here, by title."""

    points: Tensor | None = None
    models: dict[str, Model] = field(default_factory=dict)

    def keep(self, title: str, model: Model) -> list[str]:
        """Adds a model; the titles of the oldest ones that made room."""
        gone = list(self.models)[: max(0, len(self.models) + 1 - MAX_MODELS)]
        for old in gone:
            del self.models[old]
        self.models[title] = model
        return gone

    def take(self, points: Tensor) -> None:
        """Takes points (n, 2) as this visitor's own; models that were trained on others go."""
        self.points = fitted(points)
        self.drop(OWN)

    def drop(self, data: str) -> None:
        """Removes the models of a data set."""
        self.models = {t: m for t, m in self.models.items() if m.config.data != data}

    def own(self, data: str) -> dict[str, Model]:
        """The models that were trained here on a data set, by title."""
        return {title: m for title, m in self.models.items() if m.config.data == data}

    def source(self, data: str) -> Source:
        """The distribution of that name; own points are the visitor's."""
        return Source(data, self.points if data == OWN else None)

    def titles(self, data: str) -> list[str]:
        """What can be shown of this data: the exact velocity, checkpoints, and own models."""
        return [EXACT, *checkpoints_of(data), *self.own(data)]

    def model(self, data: str, title: str) -> Model:
        """The model of a title of `titles`; ValueError if it is not there any more."""
        if title not in self.titles(data):
            raise ValueError(f"there is no '{title}' of this data here any more")
        if title == EXACT:
            return self.source(data).exact()
        return self.models[title] if title in self.models else load(title)


def is_drawable(config: ModelConfig) -> bool:
    """Whether the model has a velocity at every time in the coordinates of the plot."""
    as_drawn = {"mean": config.mean, "std": config.std} == dataset(config.data).normalisation
    return config.trained_times is None and as_drawn


def checkpoints_of(data: str) -> list[str]:
    """The names of the checkpoints of a data set, in the order of the methods."""
    order = list(METHODS)
    models = {name: c for name, c in models_of(data).items() if is_drawable(c)}
    return sorted(models, key=lambda name: order.index(models[name].method))
