"""MeanFlow (arXiv:2505.13447) with the CFG weight as an input of the network (arXiv:2512.02012).

In the time direction of this package, noise at 0 and data at 1, and with s >= t:

    u(x_t, t, s) = 1/(s - t) * integral of v from t to s
    u(x_t, t, s) = v(x_t, t) + (s - t) d/dt u(x_t, t, s)        the MeanFlow identity
    x_1 = x_0 + u(x_0, 0, 1)                                    one step from noise
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from flowdemo.couplings import Batch
from flowdemo.losses import adaptive, average_velocity_target, squared_error
from flowdemo.paths import PATHS, Path, expand_like
from flowdemo.recipe import MeanFlowOptions, Recipe
from flowdemo.times import TIMES, TimeSampler, intervals


@dataclass(frozen=True)
class MeanFlow:
    """The MeanFlow loss; `teacher(x, t, label, w)`, if there is one, gives the guided velocity."""

    path: Path
    times: TimeSampler
    options: MeanFlowOptions
    teacher: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None = None

    def __call__(self, net: nn.Module, batch: Batch, generator: Generator) -> Tensor:
        n, o = len(batch.x_1), self.options
        k = round(o.share_interval * n)  # rows are in random order: the first k get s > t
        t, s = intervals(self.times, n, generator, o.share_start, o.share_end)
        s[k:] = t[k:] = self.times(n - k, generator)
        t, s = t.to(batch.x_1), s.to(batch.x_1)
        x_t, u_t = self.path.sample(batch.x_0, batch.x_1, t)
        target = v = self.velocity(net, x_t, u_t, t, batch)
        if k:
            w = None if batch.guidance is None else batch.guidance[:k]
            u = average_velocity_target(net, v[:k], x_t[:k], t[:k], s[:k], batch.label[:k], w)
            target = torch.cat([u.to(v), v[k:]])
        prediction = net(x_t, t, s, batch.label, batch.guidance)
        return adaptive(squared_error(prediction - target), o.power, o.c)

    @torch.no_grad()
    def velocity(self, net: nn.Module, x_t: Tensor, u_t: Tensor, t: Tensor, batch: Batch) -> Tensor:
        """The velocity that the identity starts from: the teacher's, or u_t with own guidance."""
        if self.teacher is not None:
            w = torch.ones_like(t) if batch.guidance is None else batch.guidance
            return self.teacher(x_t, t, batch.label, w).to(x_t)
        if batch.guidance is None or not (guided := batch.guidance != 1).any():
            return u_t
        return self_guided(net, x_t, u_t, t, batch, guided)


def self_guided(
    net: nn.Module, x_t: Tensor, u_t: Tensor, t: Tensor, batch: Batch, rows: Tensor
) -> Tensor:
    """u_t + (1 - 1/w)(v_c - v_u) on `rows`; v_c is the network's at w, v_u its empty one at w = 1.

    Its fixed point is v_u + w (v_c - v_u) with the unguided v_c (arXiv:2512.02012, section 4).
    """
    x, t, label, w = x_t[rows], t[rows], batch.label[rows], batch.guidance[rows]
    v_c = net(x, t, t, label, w)
    v_u = net(x, t, t, None, torch.ones_like(w))
    return u_t.index_put((rows,), u_t[rows] + expand_like(1 - 1 / w, x) * (v_c - v_u).to(u_t))


def loss_of(recipe: Recipe, teacher: Callable | None = None) -> MeanFlow:
    """The loss of a recipe."""
    path = PATHS[recipe.path](recipe.sigma_min)
    return MeanFlow(path, TIMES[recipe.times], recipe.meanflow or MeanFlowOptions(), teacher)
