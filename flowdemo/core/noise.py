"""Randomness that does not depend on how much of it is drawn."""

import numpy as np
import torch
from torch import Tensor


def noise(seed: int, n: int, shape: tuple[int, ...], first: int = 0) -> Tensor:
    """Standard normal (n, *shape), float32. Row i depends on (seed, first + i) alone.

    `torch.randn(n, ...)` is not prefix-stable: its first rows change with n. Each row here has a
    counter-based generator of its own, whose key is (seed, row).
    """
    rows = (np.random.Generator(np.random.Philox(key=[seed, first + i])) for i in range(n))
    size = int(np.prod(shape))
    flat = np.stack([row.standard_normal(size, dtype=np.float32) for row in rows])
    return torch.from_numpy(flat).reshape(n, *shape)


def generator(seed: int) -> torch.Generator:
    """A fresh generator on the CPU."""
    return torch.Generator().manual_seed(seed)


def mixed(seed: int, index: int) -> int:
    """A seed of its own for each index: seed + index would repeat those of the next seeds."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)
