"""Flow matching (arXiv:2210.02747); on reflow pairs it is rectified flow (arXiv:2209.03003)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from flowdemo.couplings import Batch
from flowdemo.losses import adaptive, flow_matching_error
from flowdemo.paths import PATHS, Path
from flowdemo.recipe import MeanFlowOptions, Recipe
from flowdemo.times import TIMES, TimeSampler, with_start


@dataclass(frozen=True)
class FlowMatching:
    """E |v(x_t, t) - u_t|^2 over t, noise and data; a `power` weighs it as MeanFlow's is."""

    path: Path
    times: TimeSampler
    power: float = 0.0

    def __call__(self, net: nn.Module, batch: Batch, generator: Generator) -> Tensor:
        t = self.times(len(batch.x_1), generator).to(batch.x_1)
        x_t, u_t = self.path.sample(batch.x_0, batch.x_1, t)
        v = net(x_t, t, None, batch.label, batch.guidance)
        return adaptive(flow_matching_error(v, u_t), self.power, MeanFlowOptions().c)


def loss_of(recipe: Recipe, teacher: object = None) -> FlowMatching:
    """The loss of a recipe. The teacher has done its part: it made the pairs."""
    times = TIMES[recipe.times]
    if recipe.share_start:
        times = with_start(times, recipe.share_start)
    return FlowMatching(PATHS[recipe.path](recipe.sigma_min), times, recipe.power)
