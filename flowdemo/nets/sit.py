"""The latent transformer of SiT (arXiv:2401.08740): adaLN-zero, fixed sine and cosine positions."""

from torch import Tensor, nn

from flowdemo.nets.transformer import (
    MLP,
    PATCH,
    LabelEmbedder,
    ModulatedOutput,
    Modulator,
    PatchEmbedder,
    ScalarEmbedder,
    attend,
    head_size,
    modulate,
    position_embedding,
    split_heads,
)


class Attention(nn.Module):
    """Attention without a normalisation of q and k."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out(attend(q, k, v))


class Block(nn.Module):
    """x += g_a attention(modulate(LN(x))); x += g_m mlp(modulate(LN(x)))."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.modulator = Modulator(dim, 6)
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)  # has no weights
        self.attention, self.mlp = Attention(dim, heads), MLP(dim)

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        shift_a, scale_a, g_a, shift_m, scale_m, g_m = self.modulator(m)
        x = x + g_a * self.attention(modulate(self.norm(x), shift_a, scale_a))
        return x + g_m * self.mlp(modulate(self.norm(x), shift_m, scale_m))


class SiT(nn.Module):
    """`net(x, t, s, label, guidance)`, x (batch, channels, size, size), returns the shape of x.

    The network knows neither s nor the guidance weight. `size` is even, `dim` a multiple of 4.
    """

    def __init__(
        self, channels: int, size: int, num_classes: int, dim: int, depth: int, heads: int
    ):
        super().__init__()
        head_size(dim, heads)
        self.register_buffer("pos_embed", position_embedding(size // PATCH, dim))
        self.patch_embedder = PatchEmbedder(channels, dim)
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
        h = self.patch_embedder(x) + self.pos_embed
        m = self.time_embedder(t) + self.label_embedder(label, t)
        for block in self.blocks:
            h = block(h, m)
        return self.output(h, m)
