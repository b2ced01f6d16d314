"""A small class-conditional U-Net for images."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdemo.nets.dropout import dropout_of
from flowdemo.nets.embed import Conditioning

GROUPS = 8


class Norm(nn.GroupNorm):
    """Group normalisation in the precision of its weights, also under autocast.

    In bfloat16 its forward-mode derivative comes out as float32, which the next layer refuses.
    """

    def __init__(self, channels: int):
        super().__init__(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(self.weight.dtype))


class ResBlock(nn.Module):
    """Two 3x3 convolutions; the conditioning scales and shifts the second normalisation.

    Dropout is where DDPM has it (arXiv:2006.11239).
    """

    def __init__(self, channels_in: int, channels_out: int, dim: int, dropout: float):
        super().__init__()
        self.norm1 = Norm(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.condition = nn.Linear(dim, 2 * channels_out)
        self.norm2 = Norm(channels_out)
        self.drop = dropout_of(dropout)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.condition(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(self.drop(F.silu(self.norm2(h) * (1 + scale) + shift)))
        return self.skip(x) + h


class Attention(nn.Module):
    """Self-attention over pixels, written out: the fused kernels have no forward-mode derivative."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = Norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, channels // self.heads, -1)
        q, k, v = qkv.unbind(1)  # each (batch, heads, head channels, pixels)
        weights = torch.softmax(q.transpose(2, 3) @ k * q.shape[2] ** -0.5, dim=-1)
        h = (v @ weights.transpose(2, 3)).reshape(batch, channels, height, width)
        return x + self.out(h)


class UNet(nn.Module):
    """`net(x, t, s, label, guidance)`, x (batch, channels, height, width), returns the shape of x.

    Height and width must be divisible by patch * 2 ** (number of levels - 1). With `patch` > 1 the
    network works on patches as channels, which saves the levels of full resolution. `told` is for
    `Conditioning`.
    """

    def __init__(
        self,
        image_channels: int,
        widths: tuple[int, ...],
        blocks: int,
        dim: int,
        num_classes: int,
        patch: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
        **told: Any,
    ):
        super().__init__()
        self.conditioning = Conditioning(dim, num_classes, **told)
        self.to_patches, self.to_pixels = nn.PixelUnshuffle(patch), nn.PixelShuffle(patch)
        self.stem = nn.Conv2d(image_channels * patch**2, widths[0], 3, padding=1)
        skips, width = [widths[0]], widths[0]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, out in enumerate(widths):
            for _ in range(blocks):
                self.down.append(ResBlock(width, out, dim, dropout))
                width = out
                skips.append(width)
            if level < len(widths) - 1:
                self.down.append(Down(width))
                skips.append(width)
        self.middle = ResBlock(width, width, dim, dropout)
        self.attention = Attention(width, heads)
        for level, out in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(ResBlock(width + skips.pop(), out, dim, dropout))
                width = out
            if level > 0:
                self.up.append(Up(width))
        self.norm = Norm(width)
        self.out = nn.Conv2d(width, image_channels * patch**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        embedding = F.silu(self.conditioning(t, s, label, guidance))
        # Convolutions keep the layout of colour images as they were decoded, channels last, of which
        # group normalisation has no forward-mode derivative.
        h = self.stem(self.to_patches(x).contiguous())
        skips = [h]
        for block in self.down:
            h = block(h, embedding)
            skips.append(h)
        h = self.attention(self.middle(h, embedding))
        for block in self.up:
            is_block = isinstance(block, ResBlock)
            h = block(torch.cat([h, skips.pop()], dim=1) if is_block else h, embedding)
        return self.to_pixels(self.out(F.silu(self.norm(h))))


class Down(nn.Module):
    """Halves height and width."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.conv(x)


class Up(nn.Module):
    """Doubles height and width."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
