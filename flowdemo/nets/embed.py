"""Embeddings of the scalars and labels that condition a network."""

import math

import torch
from torch import Tensor, nn


class ScalarEmbedding(nn.Module):
    """A scalar (batch,) to a vector (batch, dim): cosines and sines, then two linear layers.

    The highest frequency is 10 radians a unit. With the thousandfold one of diffusion models d/dt of
    the network, which MeanFlow learns from, would be dominated by the embedding itself.
    """

    def __init__(self, dim: int, frequencies: int = 32):
        super().__init__()
        low, high = math.log(0.25), math.log(10.0)
        # On the CPU even where a network is only planned, for the same reason as in `Labels`.
        omega = torch.exp(torch.linspace(low, high, frequencies, device="cpu"))
        self.register_buffer("omega", omega, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(2 * frequencies, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, scalar: Tensor) -> Tensor:
        angle = scalar[:, None] * self.omega
        return self.mlp(torch.cat([angle.cos(), angle.sin()], dim=1))


class Labels(nn.Embedding):
    """An embedding that draws no weights where it is only planned: on "meta" that takes a second."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            super().reset_parameters()


class Conditioning(nn.Module):
    """The sum of the embeddings of t, s - t, the label and the guidance weight: (batch, dim).

    Which of them exist is the network's configuration. The empty label is `num_classes`. The weight w
    enters as 1 - 1/w, which is 0 without guidance and bounded (arXiv:2512.02012). The embeddings of
    s - t and w start at zero, so a network that gains these inputs starts as the network it was.
    """

    def __init__(self, dim: int, num_classes: int, end_time: bool, guidance: bool):
        super().__init__()
        self.time = ScalarEmbedding(dim)
        self.label = Labels(num_classes + 1, dim) if num_classes else None
        self.interval = zero_last(ScalarEmbedding(dim)) if end_time else None
        self.guidance = zero_last(ScalarEmbedding(dim)) if guidance else None

    def forward(
        self,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        embedding = self.time(t)
        if self.label is not None:
            empty = t.new_full(t.shape, self.label.num_embeddings - 1, dtype=torch.long)
            embedding = embedding + self.label(empty if label is None else label)
        if self.interval is not None:
            embedding = embedding + self.interval(torch.zeros_like(t) if s is None else s - t)
        if self.guidance is not None:
            w = torch.ones_like(t) if guidance is None else guidance
            embedding = embedding + self.guidance(1 - 1 / w)
        return embedding


def zero_last(embedding: ScalarEmbedding) -> ScalarEmbedding:
    """The same embedding with its last layer at zero."""
    nn.init.zeros_(embedding.mlp[-1].weight)
    nn.init.zeros_(embedding.mlp[-1].bias)
    return embedding
