"""The rectified-flow transformer of "painebenjamin/yarr": pixels, adaLN-zero, rotary positions."""

import torch.nn.functional as F
from torch import Tensor, nn

from flowdemo.nets.transformer import (
    PATCH,
    LabelEmbedder,
    ModulatedOutput,
    Modulator,
    ScalarEmbedder,
    SwiGLU,
    attend,
    head_size,
    modulate,
    rotary,
    rotate,
    split_heads,
)

GROUPS = 32  # of the stem's normalisation
MULTIPLE = 256  # the hidden width of the feed-forward network is rounded up to one


class Attention(nn.Module):
    """Rotary attention; q and k are normalised over all features before the heads are split."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.q_norm, self.k_norm = nn.LayerNorm(dim, eps=1e-5), nn.LayerNorm(dim, eps=1e-5)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q = rotate(split_heads(self.q_norm(self.q(x)), self.heads), cos, sin)
        k = rotate(split_heads(self.k_norm(self.k(x)), self.heads), cos, sin)
        return self.out(attend(q, k, split_heads(self.v(x), self.heads)))


class Block(nn.Module):
    """x += g_a attention(modulate(LN(x))); x += g_f swiglu(modulate(LN(x)))."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        hidden = -(-(8 * dim // 3) // MULTIPLE) * MULTIPLE
        self.modulator = Modulator(dim, 6)
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-5), nn.LayerNorm(dim, eps=1e-5)
        self.attention, self.mlp = Attention(dim, heads), SwiGLU(dim, hidden)

    def forward(self, x: Tensor, m: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shift_a, scale_a, g_a, shift_f, scale_f, g_f = self.modulator(m)
        x = x + g_a * self.attention(modulate(self.norm1(x), shift_a, scale_a), cos, sin)
        return x + g_f * self.mlp(modulate(self.norm2(x), shift_f, scale_f))


def stem(channels: int, width: int) -> nn.Sequential:
    """Twice convolution, SiLU, normalisation: (batch, channels, ...) to (batch, width, ...)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 5, padding=2), nn.SiLU(), nn.GroupNorm(GROUPS, width),
        nn.Conv2d(width, width, 5, padding=2), nn.SiLU(), nn.GroupNorm(GROUPS, width),
    )  # fmt: skip


class YarrDiT(nn.Module):
    """`net(x, t, s, label, guidance)`, x (batch, channels, size, size), returns the shape of x.

    The network knows neither s nor the guidance weight. `size` is even and sets no weight; `dim` is a
    multiple of 64.
    """

    def __init__(
        self, channels: int, size: int, num_classes: int, dim: int, depth: int, heads: int
    ):
        super().__init__()
        self.head_size = head_size(dim, heads)
        self.tokens = (size // PATCH) ** 2
        self.stem = stem(channels, dim // 2)
        self.patch_embedder = nn.Linear(PATCH**2 * (dim // 2), dim)
        self.time_embedder = ScalarEmbedder(dim)
        self.label_embedder = LabelEmbedder(num_classes, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.output = ModulatedOutput(dim, channels)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        patches = F.pixel_unshuffle(self.stem(x), PATCH)  # feature 4 c + 2 i + j
        h = self.patch_embedder(patches.flatten(2).transpose(1, 2))
        m = self.time_embedder(t) + self.label_embedder(label, t)
        cos, sin = rotary(self.tokens, self.head_size, x.device)
        for block in self.blocks:
            h = block(h, m, cos, sin)
        return self.output(h, m)
