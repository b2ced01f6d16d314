"""Flow matching (arXiv:2210.02747): a network learns the velocity v(x_t, t)."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Generator, nn

from flowdemo.core.couplings import Batch
from flowdemo.core.paths import PATHS, GaussianPath
from flowdemo.core.resampling import Resampler
from flowdemo.core.times import TIMES, TimeSampler, after
from flowdemo.methods.base import InLab, Method, Perceptual, Tuning
from flowdemo.methods.losses import Terms, adaptive, squared_error

if TYPE_CHECKING:
    from flowdemo.config.checkpoint import ModelConfig
    from flowdemo.config.recipe import Recipe


@dataclass(frozen=True)
class FlowMatching:
    """E |v(x_t, t) - u_t|^2 over t, noise and data, with the adaptive weight of that `power`.

    A `perceptual` distance d adds d(x_0 + v, x_1), which compares the result of one step with the data
    (arXiv:2209.03003, section 2.2; it needs t = 0). Without `squared` it is the whole loss.
    """

    path: GaussianPath
    times: TimeSampler
    power: float = 0.0
    reduction: str = "mean"
    squared: bool = True
    perceptual: Perceptual | None = None

    @classmethod
    def of(
        cls,
        recipe: "Recipe",
        times: TimeSampler,
        teacher: object = None,
        perceptual: Perceptual | None = None,
        empty: object = None,
    ) -> "FlowMatching":
        """The loss of a recipe. A teacher is not asked here: it made the pairs of reflow before."""
        path = PATHS[recipe.path](recipe.sigma_min)
        squared = recipe.loss != "lpips"
        return cls(path, times, recipe.power, recipe.reduction, squared, perceptual)

    @classmethod
    def for_tuning(cls, config: "ModelConfig") -> "FlowMatching":
        """The loss with which a checkpoint is fine-tuned."""
        times = after(config.eps, TIMES["logit-normal-uniform"])
        return cls(PATHS[config.path](config.sigma_min), times, power=0.5)

    def timed(self, batch: Batch, generator: Generator) -> Batch:
        """The batch with its times, and the importance weights of a sampler that has them."""
        t = self.times(len(batch.x_1), generator)
        weight = self.times.weights(t) if isinstance(self.times, Resampler) else None
        return replace(batch, t=t.to(batch.x_1), weight=weight)

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        x_t, u_t = self.path.sample(batch.x_0, batch.x_1, batch.t)
        v = net(x_t, batch.t, None, batch.label, batch.guidance)
        error = squared_error(v - u_t, self.reduction)
        loss = torch.zeros_like(error)
        if self.squared:
            loss = loss + adaptive(error, self.power)
        if self.perceptual is not None:
            loss = loss + self.perceptual(batch.x_0 + v.to(batch.x_0), batch.x_1)
        if batch.weight is not None:
            loss = batch.weight * loss
        return Terms(loss, error.detach())


FLOW_MATCHING = Method(
    name="flow-matching",
    title="Flow matching",
    colour="#0072B2",
    hint=(
        "Learns the velocity v(x, t); many solver steps. Guidance costs a second evaluation.",
        "学习速度 v(x, t),需要许多求解步;引导要多评估一次网络。",
    ),
    loss=FlowMatching.of,
    rules={
        "{method} has no teacher, and its net no input 'guidance'": lambda r: (
            r.teacher or r.net.guidance
        ),
    },
    guidance_input=False,
    steps=50,
    lab=InLab(
        lambda coupling, power: {"coupling": coupling, "power": power},
        learns_from_flow=False,
        rounds=1,
    ),
    tuning=Tuning(FlowMatching.for_tuning, steps=200),
)
