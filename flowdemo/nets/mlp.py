"""A small network for points in the plane."""

from typing import Any

import torch
from torch import Tensor, nn

from flowdemo.nets.embed import Conditioning


class MLP(nn.Module):
    """`net(x, t, s, label, guidance)`, x (batch, 2), returns (batch, 2).

    The conditioning is added before every hidden layer; `told` is for it.
    """

    def __init__(self, width: int, depth: int, num_classes: int, **told: Any):
        super().__init__()
        self.conditioning = Conditioning(width, num_classes, **told)
        self.stem = nn.Linear(2, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, 2)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        embedding = self.conditioning(t, s, label, guidance)
        h = self.stem(x)
        for layer in self.hidden:
            h = h + layer(torch.nn.functional.silu(h + embedding))
        return self.out(torch.nn.functional.silu(h))
