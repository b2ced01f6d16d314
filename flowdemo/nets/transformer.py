"""What the transformers share; `dit` and, for public checkpoints, `yarr`, `sit` and `imf` build on it.

Tokens are (batch, tokens, dim). They are the p x p patches of an image, a grid g x g read row by row;
p = 2 in public checkpoints.
The norms are LN(x) = (x - mean x) / sqrt(var x + eps), with a weight and a bias where it is affine,
which is `nn.LayerNorm`, and `RMSNorm` below.
"""

import math
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

FREQUENCIES = 128
PATCH = 2


def head_size(dim: int, heads: int) -> int:
    """The features of a head. ValueError unless the heads share `dim` and take pairs of features."""
    if min(dim, heads) < 1 or dim % (2 * heads):
        raise ValueError(f"a width of {dim} does not split into {heads} heads of an even size")
    return dim // heads


def frequencies(device: torch.device | None = None) -> Tensor:
    """f_k = 10000^(-k / 128), k = 0...127, shape (128,)."""
    k = torch.arange(FREQUENCIES, dtype=torch.float32, device=device)
    return torch.exp(-math.log(10000) / FREQUENCIES * k)


def embed_scalar(scalar: Tensor) -> Tensor:
    """E(s) = [cos(s f) | sin(s f)]: (batch,) to (batch, 256)."""
    angle = scalar[:, None] * frequencies(scalar.device)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class ScalarEmbedder(nn.Module):
    """W_2 silu(W_1 E(s)), both layers with a bias: (batch,) to (batch, dim)."""

    def __init__(self, dim: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * FREQUENCIES, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, scalar: Tensor) -> Tensor:
        return self.mlp(embed_scalar(scalar))


class LabelEmbedder(nn.Embedding):
    """A row for each class and a last one for the empty label: (batch,) to (batch, dim)."""

    def __init__(self, num_classes: int, dim: int):
        super().__init__(num_classes + 1, dim)
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, label: Tensor | None, t: Tensor) -> Tensor:
        """None is the empty label in each row of t (batch,)."""
        if label is None:
            label = torch.full_like(t, self.num_embeddings - 1, dtype=torch.long)
        return super().forward(label)


class PatchEmbedder(nn.Conv2d):
    """A convolution of kernel and stride p: (batch, channels, p g, p g) to (batch, g^2, dim)."""

    def __init__(self, channels: int, dim: int, patch: int = PATCH):
        super().__init__(channels, dim, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten(2).transpose(1, 2)


def unpatch(y: Tensor, patch: int = PATCH) -> Tensor:
    """out[c, p row + i, p column + j] = y_n[(p i + j) C + c], n = g row + column.

    (batch, g^2, p^2 C) to (batch, C, p g, p g).
    """
    batch, tokens, features = y.shape
    g, channels = math.isqrt(tokens), features // patch**2
    y = y.reshape(batch, g, g, patch, patch, channels)  # (batch, row, column, i, j, c)
    return y.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, patch * g, patch * g)


def position_embedding(grid: int, dim: int) -> Tensor:
    """pos_n = [sin(c w) | cos(c w) | sin(r w) | cos(r w)] of the token in row r and column c.

    w_m = 10000^(-m / (dim / 4)); shape (1, grid^2, dim), made in float64 and returned in float32.
    ValueError unless 4 divides `dim`.
    """
    if dim % 4:
        raise ValueError(f"the position embedding needs a width divisible by 4, not {dim}")
    # On the CPU even where a network is only planned: as a buffer it may be in no file.
    n = torch.arange(grid**2, device="cpu")
    w = 10000 ** (-torch.arange(dim // 4, dtype=torch.float64, device="cpu") / (dim / 4))
    c, r = (n % grid)[:, None] * w, (n // grid)[:, None] * w
    return torch.cat([c.sin(), c.cos(), r.sin(), r.cos()], dim=1).float()[None]


def rotary(tokens: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin of a_pi = p 10000^(-2i / size), each (tokens, size / 2) in float32."""
    p = torch.arange(tokens, dtype=torch.float32, device=device)
    two_i = torch.arange(0, size, 2, dtype=torch.float32, device=device)
    a = p[:, None] * 10000 ** (-two_i / size)
    return a.cos(), a.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(x_2i, x_2i+1) to (x_2i cos a - x_2i+1 sin a, x_2i sin a + x_2i+1 cos a), arXiv:2104.09864.

    x (batch, heads, tokens, size); adjacent features make a pair.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, tokens, heads size) to (batch, heads, tokens, size)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(size)) v a head: (batch, heads, tokens, size) to (batch, tokens, dim)."""
    q, k = q.to(v.dtype), k.to(v.dtype)  # autocast leaves what was rotated in float32
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def plain_attention() -> AbstractContextManager[None]:
    """Inside, `attend` follows the formula: no fused kernel has a forward-mode derivative."""
    return sdpa_kernel(SDPBackend.MATH)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * w over the last axis, in the precision of w."""

    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.to(self.weight.dtype), self.weight.shape, self.weight, self.eps)


class MLP(nn.Module):
    """W_2 gelu(W_1 x), with the tanh approximation of the GELU."""

    def __init__(self, dim: int):
        super().__init__()
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class SwiGLU(nn.Module):
    """W_down(silu(W_gate x) * W_up x) without biases, arXiv:2002.05202."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.gate, self.up = (nn.Linear(dim, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


def zeroed(linear: nn.Linear) -> nn.Linear:
    """The same layer with its weight and bias at zero."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class Modulator(nn.Module):
    """W silu(m) + b in equal chunks: m (batch, dim) to `chunks` tensors (batch, 1, dim).

    It starts at zero (adaLN-zero, arXiv:2212.09748).
    """

    def __init__(self, dim: int, chunks: int):
        super().__init__()
        self.chunks = chunks
        self.linear = zeroed(nn.Linear(dim, chunks * dim))

    def forward(self, m: Tensor) -> tuple[Tensor, ...]:
        return self.linear(F.silu(m))[:, None].chunk(self.chunks, dim=-1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift, with shift and scale (batch, 1, dim)."""
    return x * (1 + scale) + shift


class ModulatedOutput(nn.Module):
    """unpatch(W modulate(LN(x)) + b): tokens (batch, g^2, dim) to (batch, channels, 2g, 2g)."""

    def __init__(self, dim: int, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.modulator = Modulator(dim, 2)
        self.linear = zeroed(nn.Linear(dim, PATCH**2 * channels))

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        shift, scale = self.modulator(m)
        return unpatch(self.linear(modulate(self.norm(x), shift, scale)))
