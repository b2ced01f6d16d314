"""The latent transformer of improved MeanFlow (arXiv:2512.02012): the condition enters as tokens."""

import torch
from torch import Tensor, nn

from flowdemo.nets.transformer import (
    PATCH,
    LabelEmbedder,
    PatchEmbedder,
    RMSNorm,
    ScalarEmbedder,
    SwiGLU,
    attend,
    head_size,
    rotary,
    rotate,
    split_heads,
    unpatch,
    zeroed,
)

# Tokens of each condition, in their order in the sequence. `high` and `low` end the guidance interval.
CONDITIONS = {"class": 8, "guidance": 4, "high": 2, "low": 2, "length": 4}


class Attention(nn.Module):
    """Rotary attention; q and k are normalised head by head."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads, size = heads, head_size(dim, heads)
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.q_norm, self.k_norm = RMSNorm(size), RMSNorm(size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q = rotate(self.q_norm(split_heads(self.q(x), self.heads)), cos, sin)
        k = rotate(self.k_norm(split_heads(self.k(x), self.heads)), cos, sin)
        return self.out(attend(q, k, split_heads(self.v(x), self.heads)))


class Block(nn.Module):
    """x += a * attention(RMS(x)); x += b * swiglu(RMS(x)), a and b learned features that start at 0."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(dim), RMSNorm(dim)
        self.attention, self.mlp = Attention(dim, heads), SwiGLU(dim, 8 * dim // 3)
        self.attention_scale = nn.Parameter(torch.zeros(dim))
        self.mlp_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention_scale * self.attention(self.norm1(x), cos, sin)
        return x + self.mlp_scale * self.mlp(self.norm2(x))


class IMF(nn.Module):
    """`net(x, t, s, label, guidance)`, x (batch, channels, size, size), returns u of the shape of x.

    The network reads the time off x itself; of t and s only the length s - t enters. `interval` is
    where, in t, guidance acts along the way from t to s. `size` is even and sets no weight.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        num_classes: int,
        dim: int,
        depth: int,
        heads: int,
        interval: tuple[float, float] = (0.0, 1.0),
    ):
        super().__init__()
        self.interval, self.head_size = interval, head_size(dim, heads)
        self.length = sum(CONDITIONS.values()) + (size // PATCH) ** 2  # of the sequence
        self.patch_embedder = PatchEmbedder(channels, dim)
        rows = {name: nn.Parameter(0.02 * torch.randn(n, dim)) for name, n in CONDITIONS.items()}
        self.tokens = nn.ParameterDict(rows)
        self.embedders = nn.ModuleDict(
            {name: ScalarEmbedder(dim) for name in CONDITIONS if name != "class"}
        )
        self.embedders["class"] = LabelEmbedder(num_classes, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.output_norm = RMSNorm(dim)
        self.output = zeroed(nn.Linear(dim, PATCH**2 * channels))

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        conditions = self.condition(t, s, label, guidance)
        h = torch.cat([conditions, self.patch_embedder(x)], dim=1)
        cos, sin = rotary(self.length, self.head_size, x.device)
        for block in self.blocks:
            h = block(h, cos, sin)
        return unpatch(self.output(self.output_norm(h[:, conditions.shape[1] :])))

    def condition(
        self, t: Tensor, s: Tensor | None, label: Tensor | None, guidance: Tensor | None
    ) -> Tensor:
        """The tokens of the condition: learned rows + one embedding each, (batch, 20, dim).

        The weight w enters as 1 - 1/w. Rows with s = t, the instantaneous velocity, were trained with
        guidance everywhere, so their interval is (0, 1).
        """
        length = torch.zeros_like(t) if s is None else s - t
        low, high = self.interval
        scalars = {
            "guidance": torch.zeros_like(t) if guidance is None else 1 - 1 / guidance,
            "high": torch.where(length == 0, torch.ones_like(t), high),
            "low": torch.where(length == 0, torch.zeros_like(t), low),
            "length": length,
        }
        embedded = {"class": self.embedders["class"](label, t)}
        embedded |= {name: self.embedders[name](scalar) for name, scalar in scalars.items()}
        groups = [self.tokens[name] + embedded[name][:, None] for name in CONDITIONS]
        return torch.cat(groups, dim=1)
