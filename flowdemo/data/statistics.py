"""What images are normalised by."""

import torch
from torch import Tensor

BATCH = 4096


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 (n, c, h, w), in pixels 0..1.

    Over all pixels, from how often each of the 256 levels occurs, so exact to float64. A channel of one
    level has deviation 0: nothing to divide by.
    """
    if images.dtype != torch.uint8 or images.numel() == 0:
        raise ValueError("statistics are of at least one picture of uint8")
    counts = torch.zeros(images.shape[1], 256, dtype=torch.float64)
    for part in images.split(BATCH):
        for channel, count in zip(part.unbind(1), counts, strict=True):
            count += torch.bincount(channel.flatten(), minlength=256)
    level = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum(1, keepdim=True)
    mean = share @ level
    std = (share * (level - mean[:, None]).square()).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())
