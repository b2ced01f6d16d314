"""Classifier-free guidance: v_w = v(empty) + w (v(class) - v(empty)) (arXiv:2207.12598).

w = 1 means no guidance. Where a network takes the weight as an input, one evaluation is enough and
nothing here is needed.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from flowdemo.core.paths import expand_like

LabelledVelocity = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x, t, label) -> velocity


def guided_velocity(
    velocity: LabelledVelocity,
    x: Tensor,
    t: Tensor,
    label: Tensor,
    empty: int,
    w: Tensor,
    channels: int | None = None,
) -> Tensor:
    """v_w(x, t): two evaluations in one batch for the rows that need them, one where w = 1.

    x (batch, ...), t, label and w (batch,). Rows with the empty label are never guided. With
    `channels` only the first ones are; the others keep v(class).
    """
    rows = (w != 1) & (label != empty)
    if not rows.any():
        return velocity(x, t, label)
    v = velocity(
        torch.cat([x, x[rows]]),
        torch.cat([t, t[rows]]),
        torch.cat([label, torch.full_like(label[rows], empty)]),
    )
    v = v.to(x)  # autocast may have made it bfloat16
    v_class, v_empty = v[: len(x)], v[len(x) :]
    w_rows = expand_like(w[rows], x)
    guided = v_empty + w_rows * (v_class[rows] - v_empty)
    if channels is not None:
        guided = torch.cat([guided[:, :channels], v_class[rows][:, channels:]], dim=1)
    return v_class.index_put((rows,), guided)
