"""The exact velocity of a 2-D data set, wrapped as a model."""

from typing import Literal

import torch
from torch import Tensor, nn

from flowdemo.config.checkpoint import Defaults, ModelConfig
from flowdemo.core.exact import mixture_log_density, mixture_velocity
from flowdemo.core.noise import generator
from flowdemo.core.paths import PATHS
from flowdemo.core.solvers import SOLVERS
from flowdemo.data import dataset, points_of
from flowdemo.data.toys import MIXTURES
from flowdemo.model import Model
from flowdemo.nets.sizes import Strict

ROWS, SEED = 2000, 7_000_000  # of the finite set that stands for a distribution
SCALE = 0.05  # of the Gaussian about each of its points: a point has no density


class NoNet(Strict):
    """The description of a network that is a formula."""

    kind: Literal["exact"] = "exact"
    end_time: Literal[False] = False
    guidance: Literal[False] = False


class ExactConfig(ModelConfig):
    """As the engine reads it; no file says this."""

    method: Literal["exact"] = "exact"
    net: NoNet = NoNet()


class ExactField(nn.Module):
    """The velocity of a Gaussian mixture with a class a component, called like a network."""

    def __init__(self, means: Tensor, stds: Tensor, labels: Tensor, classes: int, path: str):
        super().__init__()
        # A parameter, so that the field has a device like any network.
        self.means = nn.Parameter(means, requires_grad=False)
        self.register_buffer("stds", stds)
        of_class = labels == torch.arange(classes)[:, None]
        every = torch.ones(1, len(labels), dtype=torch.bool)
        self.register_buffer("weights", torch.cat([of_class, every]).float())
        self.path, self.empty = PATHS[path](0.0), classes

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        """v(x, t) of each row's class, or of all for the empty label; x (batch, 2)."""
        label = self.empty if label is None else label
        if isinstance(label, Tensor) and (label == label[0]).all():
            label = label[0]  # one row of weights for all is far cheaper
        return mixture_velocity(self.path, self.means, self.stds, self.weights[label])(x, t)

    def log_density(self, x: Tensor, label: int) -> Tensor:
        """log p_1(x) of a class, or of all data for the empty label: (batch,)."""
        return mixture_log_density(x, self.means, self.stds, self.weights[label])


class ExactModel(Model):
    """A model whose network is a formula; it offers every solver of a velocity."""

    @property
    def solvers(self) -> tuple[str, ...]:
        return tuple(SOLVERS)


def some_of(points: Tensor) -> tuple[Tensor, Tensor]:
    """At most ROWS of the points, from all over their table, and their only label."""
    rows = torch.randperm(len(points), generator=generator(SEED))[:ROWS]
    return points[rows], torch.zeros(len(rows)).long()


def exact_model(data: str, points: Tensor | None = None, path: str = "linear") -> ExactModel:
    """The exact velocity of a data set of the plane, in closed form.

    The Gaussian mixture where the data is one; else that of 2,000 draws or of `points` (n, 2), each a
    narrow Gaussian: follow it to the end, and you land on those very points.
    """
    info = dataset(data)
    if points is None and data in MIXTURES:
        means, scale = MIXTURES[data]
        labels = torch.arange(len(means))
    else:
        means, labels = points_of(data, ROWS, SEED) if points is None else some_of(points)
        scale = SCALE
    net = ExactField(means, torch.tensor([scale]), labels, len(info.classes), path)
    config = ExactConfig(
        name=f"{data}-exact",
        data=data,
        shape=info.shape,
        classes=info.classes,
        **info.normalisation,
        path=path,
        guidance=(1.0, 4.0),
        defaults=Defaults(solver="euler", steps=50),
    )
    return ExactModel(config, net.eval(), revision="exact", source="a formula")
