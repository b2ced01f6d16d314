"""Flow matching (arXiv:2210.02747); on reflow pairs it is rectified flow (arXiv:2209.03003)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn

from flowdemo.couplings import Batch
from flowdemo.losses import Terms, adaptive, squared_error
from flowdemo.options import MeanFlowOptions
from flowdemo.paths import PATHS, GaussianPath
from flowdemo.recipe import Recipe
from flowdemo.resampling import Resampler
from flowdemo.times import TimeSampler

Perceptual = Callable[[Tensor, Tensor], Tensor]  # two batches (batch, ...) -> distances (batch,)


@dataclass(frozen=True)
class FlowMatching:
    """E |v(x_t, t) - u_t|^2 over t, noise and data; a `power` weighs it as MeanFlow's is.

    With a `perceptual` distance d, d(x_0 + v, x_1) is added, or stands alone without `squared`: what
    one step makes against what it should (arXiv:2209.03003, section 2.2; it needs t = 0).
    """

    path: GaussianPath
    times: TimeSampler
    power: float = 0.0
    reduction: str = "mean"
    squared: bool = True
    perceptual: Perceptual | None = None

    def timed(self, batch: Batch, generator: Generator) -> Batch:
        """The batch with its times, and with importance weights where the sampler has such."""
        t = self.times(len(batch.x_1), generator)
        weight = self.times.weights(t) if isinstance(self.times, Resampler) else None
        return replace(batch, t=t.to(batch.x_1), weight=weight)

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        x_t, u_t = self.path.sample(batch.x_0, batch.x_1, batch.t)
        v = net(x_t, batch.t, None, batch.label, batch.guidance)
        error = squared_error(v - u_t, self.reduction)
        loss = torch.zeros_like(error)
        if self.squared:
            loss = loss + adaptive(error, self.power, MeanFlowOptions().c)
        if self.perceptual is not None:
            loss = loss + self.perceptual(batch.x_0 + v.to(batch.x_0), batch.x_1)
        if batch.weight is not None:
            loss = batch.weight * loss
        return Terms(loss, error.detach())


def loss_of(
    recipe: Recipe,
    times: TimeSampler,
    teacher: object = None,
    perceptual: Perceptual | None = None,
    empty: object = None,
) -> FlowMatching:
    """The loss of a recipe. The teacher has done its part: it made the pairs."""
    path = PATHS[recipe.path](recipe.sigma_min)
    squared = recipe.loss != "lpips"
    return FlowMatching(path, times, recipe.power, recipe.reduction, squared, perceptual)
