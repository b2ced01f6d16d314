"""MeanFlow (arXiv:2505.13447) and its improved form (arXiv:2512.02012).

In the time direction of this package, noise at 0 and data at 1, and with s >= t:

    u(x_t, t, s) = 1/(s - t) * integral of v from t to s
    u(x_t, t, s) = v(x_t, t) + (s - t) d/dt u(x_t, t, s)        the MeanFlow identity
    x_1 = x_0 + u(x_0, 0, 1)                                    one step from noise
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor, nn

from flowdemo.config.options import one_of
from flowdemo.core.couplings import Batch
from flowdemo.core.paths import PATHS, GaussianPath, expand_like
from flowdemo.core.resampling import RESAMPLERS
from flowdemo.core.solvers import SOLVERS
from flowdemo.core.times import INTERVALS, TIMES, TimeSampler, after, intervals
from flowdemo.methods.base import AVERAGE, InLab, Method, Tuning
from flowdemo.methods.derivatives import DERIVATIVES, eager, split_average
from flowdemo.methods.losses import Terms, adaptive, average_velocity_target, squared_error
from flowdemo.nets.dropout import without_dropout
from flowdemo.nets.sizes import Share, Strict

if TYPE_CHECKING:
    from flowdemo.config.checkpoint import ModelConfig
    from flowdemo.config.recipe import Recipe

GuidedTeacher = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (x, t, label, w)
SPLIT = "split"  # the objective of SplitMeanFlow: no derivative, a step made of two shorter ones


class MeanFlowOptions(Strict):
    """The choices of the MeanFlow loss; docs/training.md explains each and gives its source."""

    share_interval: Share = 0.5
    intervals: Annotated[str, one_of(INTERVALS)] = "sorted"
    share_start: Share = 0.0
    share_end: Share = 0.0
    power: float = Field(0.75, ge=0, le=2)
    c: float = Field(1e-3, gt=0)
    tangent: Literal["conditional", "predicted"] = "conditional"
    derivative: Annotated[str, one_of({**DERIVATIVES, SPLIT: None})] = "jvp"
    omega: float = Field(1.0, gt=0, le=20)
    kappa: float = Field(0.0, ge=0, lt=1)
    guided_times: tuple[Share, Share] = (0.0, 1.0)
    dropped: Literal["plain", "guided"] = "plain"

    @property
    def weight(self) -> float:
        """The CFG weight that fixed guidance teaches."""
        return self.omega / (1 - self.kappa)

    @property
    def guides(self) -> bool:
        """Whether a fixed guidance is trained in."""
        return (self.omega, self.kappa) != (1.0, 0.0)

    @model_validator(mode="after")
    def _guided(self) -> "MeanFlowOptions":
        if self.guided_times[0] > self.guided_times[1]:
            raise ValueError("'guided_times' must be [low, high]")
        if self.dropped == "guided" and not self.guides:
            raise ValueError("'dropped' says nothing without 'omega' or 'kappa'")
        if self.derivative == SPLIT and self.tangent == "predicted":
            raise ValueError("'split' takes no derivative, and so no 'tangent'")
        return self


@dataclass(frozen=True)
class MeanFlow:
    """The MeanFlow loss. A `teacher(x, t, label, w)` gives the guided velocity; `empty` is the label
    of rows without a class.
    """

    path: GaussianPath
    times: TimeSampler
    options: MeanFlowOptions
    teacher: GuidedTeacher | None = None
    reduction: str = "mean"
    empty: int | None = None

    @classmethod
    def of(
        cls,
        recipe: "Recipe",
        times: TimeSampler,
        teacher: GuidedTeacher | None = None,
        perceptual: object = None,
        empty: int | None = None,
    ) -> "MeanFlow":
        """The loss of a recipe."""
        path = PATHS[recipe.path](recipe.sigma_min)
        return cls(path, times, recipe.meanflow, teacher, recipe.reduction, empty)

    @classmethod
    def for_tuning(cls, config: "ModelConfig") -> "MeanFlow":
        """The loss with which a checkpoint is fine-tuned; one-step intervals are drawn often."""
        times = after(config.eps, TIMES["logit-normal-uniform"])
        options = MeanFlowOptions(share_interval=0.5, share_start=0.35, share_end=0.6, power=0.5)
        path = PATHS[config.path](config.sigma_min)
        return cls(path, times, options, empty=len(config.classes))

    def timed(self, batch: Batch, generator: Generator) -> Batch:
        """The batch with times (t, s); its first rows, a share `share_interval`, have s > t."""
        n, o = len(batch.x_1), self.options
        k = round(o.share_interval * n)
        draw = INTERVALS[o.intervals]
        t, s = intervals(draw, self.times, k, generator, o.share_start, o.share_end)
        if o.intervals == "sorted":
            rest = self.times(n - k, generator)
        else:  # these samplers have their own distribution of t
            rest, _ = draw(self.times, n - k, generator)
        t, s = torch.cat([t, rest]), torch.cat([s, rest])
        r = t + (s - t) * torch.rand(n, generator=generator) if o.derivative == SPLIT else None
        r = None if r is None else r.to(batch.x_1)
        return replace(batch, t=t.to(batch.x_1), s=s.to(batch.x_1), r=r, spans=k)

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        x_t, u_t = self.path.sample(batch.x_0, batch.x_1, batch.t)
        target = v = self.start(net, x_t, u_t, batch)
        if k := batch.spans:
            target = torch.cat([self.average(net, x_t[:k], v[:k], batch, k).to(v), v[k:]])
        u = net(x_t, batch.t, batch.s, batch.label, batch.guidance)
        error = squared_error(u - target, self.reduction)
        return Terms(adaptive(error, self.options.power, self.options.c), error.detach())

    def average(self, net: nn.Module, x: Tensor, v: Tensor, batch: Batch, k: int) -> Tensor:
        """The target of u(x_t, t, s) for the first k rows, which have s > t."""
        label, w = batch.label[:k], None if batch.guidance is None else batch.guidance[:k]
        t, s, o, net = batch.t[:k], batch.s[:k], self.options, eager(net)

        def u(x: Tensor, t: Tensor, s: Tensor) -> Tensor:
            return net(x, t, s, label, w)

        if o.derivative == SPLIT:  # an interval of length 0 cannot be split: its target is v
            parts = split_average(u, x, t, batch.r[:k], s).to(v)
            return torch.where(expand_like(short(t, s), x), v, parts)
        tangent = v
        if o.tangent == "predicted":
            with torch.no_grad():
                tangent = u(x, t, t).to(v)
        return average_velocity_target(u, v, x, t, s, tangent, DERIVATIVES[o.derivative])

    def start(self, net: nn.Module, x_t: Tensor, u_t: Tensor, batch: Batch) -> Tensor:
        """v(x_t, t) for the rows that need it: all, or with `split` those of length 0; others u_t."""
        if self.options.derivative != SPLIT:
            return self.velocity(net, x_t, u_t, batch)
        rows = short(batch.t, batch.s)
        if not rows.any():
            return u_t
        v = self.velocity(net, x_t[rows], u_t[rows], batch.rows(rows))
        return u_t.index_put((rows,), v.to(u_t))

    @torch.no_grad()
    def velocity(self, net: nn.Module, x_t: Tensor, u_t: Tensor, batch: Batch) -> Tensor:
        """v of the MeanFlow identity: the teacher's velocity or u_t, guided as the recipe says."""
        o, t = self.options, batch.t
        low, high = o.guided_times
        inside = (t >= low) & (t <= high)
        fixed = torch.full_like(t, o.weight)
        w = torch.where(inside, fixed if batch.guidance is None else batch.guidance, 1.0)
        if self.teacher is not None:
            return self.teacher(x_t, t, batch.label, w).to(x_t)
        with without_dropout(net):
            if (
                o.guides
                and batch.guidance is None
                and (rows := inside & self.labelled(batch)).any()
            ):
                return fixed_guided(net, x_t, u_t, batch, rows, o)
            if batch.guidance is not None and (guided := w != 1).any():
                return self_guided(net, x_t, u_t, batch, guided)
        return u_t

    def labelled(self, batch: Batch) -> Tensor:
        """The rows that fixed guidance applies to: those with a label, or all (`dropped` "guided")."""
        if self.options.dropped == "guided" or self.empty is None:
            return torch.ones_like(batch.label, dtype=torch.bool)
        return batch.label != self.empty


def short(t: Tensor, s: Tensor) -> Tensor:
    """The rows whose interval has length 0."""
    return s - t <= 1e-6


def self_guided(net: nn.Module, x_t: Tensor, u_t: Tensor, batch: Batch, rows: Tensor) -> Tensor:
    """u_t + (1 - 1/w)(v_c - v_u) on `rows` (arXiv:2512.02012, section 4).

    The network gives v_c (with label, at w) and v_u (without label, at w = 1). The fixed point is
    v_u + w (v_c - v_u) with the unguided v_c.
    """
    x, t, label, w = x_t[rows], batch.t[rows], batch.label[rows], batch.guidance[rows]
    v_c = net(x, t, t, label, w)
    v_u = net(x, t, t, None, torch.ones_like(w))
    return u_t.index_put((rows,), u_t[rows] + expand_like(1 - 1 / w, x) * (v_c - v_u).to(u_t))


def fixed_guided(
    net: nn.Module, x_t: Tensor, u_t: Tensor, batch: Batch, rows: Tensor, o: MeanFlowOptions
) -> Tensor:
    """omega u_t + kappa v_c + (1 - omega - kappa) v_u on `rows` (arXiv:2505.13447, eq. 20).

    v_c and v_u are the network's u(x, t, t) with and without the label. The weight that the network
    learns is omega / (1 - kappa).
    """
    x, t = x_t[rows], batch.t[rows]
    v_g = o.omega * u_t[rows] + (1 - o.omega - o.kappa) * net(x, t, t, None, None).to(u_t)
    if o.kappa:
        v_g = v_g + o.kappa * net(x, t, t, batch.label[rows], None).to(u_t)
    return u_t.index_put((rows,), v_g)


def options_of_lab(coupling: str, power: float) -> dict[str, Any]:
    """What the Lab trains: three quarters of the rows have s > t, many of them the whole way."""
    options = MeanFlowOptions(share_interval=0.75, share_start=0.25, share_end=0.25, power=power)
    return {"meanflow": options, "coupling": coupling}


MEANFLOW = Method(
    name="meanflow",
    title="MeanFlow",
    colour="#009E73",
    hint=(
        "Learns the average velocity u(x, t, s): one evaluation from noise to data.",
        "学习平均速度 u(x, t, s):从噪声到数据只需一次评估。",
    ),
    loss=MeanFlow.of,
    needs=frozenset({"meanflow", "end_time"}),
    rules={
        "{method} takes 'meanflow.share_start' and 'meanflow.power'": lambda r: (
            r.share_start or r.power
        ),
        "{method} needs 'times' that fill [0, 1], and 'eps' 0": lambda r: (
            r.trained_times is not None or r.eps
        ),
        "these 'times' learn from errors at single times; {method}'s have two": lambda r: (
            r.times in RESAMPLERS
        ),
        "'times' are those of 'intervals' \"sorted\"; others have their own": lambda r: (
            r.meanflow.intervals != "sorted" and r.times != "uniform"
        ),
        "{method}'s 'loss' is \"l2\"": lambda r: r.loss != "l2",
        "'dropped' \"guided\" is for networks that guide themselves, without a teacher": lambda r: (
            r.meanflow.dropped == "guided" and r.teacher
        ),
        "'guided_times' say nothing without 'omega', 'kappa' or the input weight": lambda r: (
            r.meanflow.guided_times != (0, 1) and not (r.meanflow.guides or r.net.guidance)
        ),
        "a fixed 'omega' or 'kappa' and the weight as an input exclude each other": lambda r: (
            r.meanflow.guides and r.net.guidance
        ),
    },
    solvers=(AVERAGE, *SOLVERS),
    own_solver=AVERAGE,
    lab=InLab(options_of_lab, rounds=1),
    tuning=Tuning(MeanFlow.for_tuning, steps=120),
)
