"""A DiT (arXiv:2212.09748) of our own, told t, the end time, the label and the guidance weight.

It differs from the paper's in its embedders, which are those of `UNet`, and in its norms: RMS in the
place of LN, and q and k normalised head by head (arXiv:2302.05442), which keeps attention from
saturating at high learning rates.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdemo.nets.dropout import dropout_of
from flowdemo.nets.embed import Conditioning
from flowdemo.nets.transformer import (
    MLP,
    Modulator,
    PatchEmbedder,
    RMSNorm,
    attend,
    head_size,
    modulate,
    position_embedding,
    split_heads,
    unpatch,
    zeroed,
)


def rms(x: Tensor) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the last axis, without a weight: what modulates it has one.

    Under autocast x is still float32, as the positions are. In bfloat16 the forward-mode derivative
    would come out as float32, which the next layer refuses.
    """
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


class Attention(nn.Module):
    """Attention with normalised q and k; their norms have weights, which set how sharp it is."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads, size = heads, head_size(dim, heads)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.q_norm, self.k_norm = RMSNorm(size), RMSNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        q, k = self.q_norm(q), self.k_norm(k)
        # In bfloat16 the fused kernel of the CPU takes three times as long, most of it backward.
        with torch.autocast("cpu", enabled=False):
            h = attend(q, k, v.to(q.dtype) if v.device.type == "cpu" else v)
        return self.out(h)


class Block(nn.Module):
    """x += g_a attention(modulate(RMS(x))); x += g_m mlp(modulate(RMS(x))), the g zero at first."""

    def __init__(self, dim: int, heads: int, dropout: float):
        super().__init__()
        self.modulator = Modulator(dim, 6)
        self.attention, self.mlp = Attention(dim, heads), MLP(dim)
        self.drop_a, self.drop_m = dropout_of(dropout), dropout_of(dropout)

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        shift_a, scale_a, g_a, shift_m, scale_m, g_m = self.modulator(m)
        x = x + g_a * self.drop_a(self.attention(modulate(rms(x), shift_a, scale_a)))
        return x + g_m * self.drop_m(self.mlp(modulate(rms(x), shift_m, scale_m)))


class DiT(nn.Module):
    """`net(x, t, s, label, guidance)`, x (batch, channels, size, size), returns the shape of x.

    `patch` divides `size`, which sets no weight. `told` is for `Conditioning`. A forward-mode
    derivative, as MeanFlow takes, needs `plain_attention()` around it.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        num_classes: int,
        dim: int,
        depth: int,
        heads: int,
        patch: int = 2,
        dropout: float = 0.0,
        **told: Any,
    ):
        super().__init__()
        self.patch = patch
        self.conditioning = Conditioning(dim, num_classes, **told)
        # In no file: it is computed in a moment, and another size of image takes the same weights.
        self.register_buffer("positions", position_embedding(size // patch, dim), persistent=False)
        self.patch_embedder = PatchEmbedder(channels, dim, patch)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(depth))
        self.modulator = Modulator(dim, 2)
        self.output = zeroed(nn.Linear(dim, patch**2 * channels))

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        m = self.conditioning(t, s, label, guidance)
        h = self.patch_embedder(x) + self.positions
        for block in self.blocks:
            h = block(h, m)
        return unpatch(self.output(modulate(rms(h), *self.modulator(m))), self.patch)
