"""The noise that a run starts from."""

import torch
from torch import Tensor

from flowdemo.core.noise import noise
from flowdemo.model import Model

MARGIN_SEED, MARGIN = 2**63, 2  # a seed outside the user's range; pixels on each side of 28 in 32


def start(model: Model, seed: int, n: int) -> Tensor:
    """Noise (n, *shape) of a seed, equal for all models of a data set inside their margins."""
    shape, margin = model.config.shape, model.config.crop
    if not margin:
        return noise(seed, n, shape)
    return framed(noise(seed, n, model.config.sample_shape), n, model)


def framed(inner: Tensor, n: int, model: Model) -> Tensor:
    """Noise (n, *sample_shape) in a margin of noise that is the same for every seed."""
    margin = model.config.crop
    x_0 = noise(MARGIN_SEED, n, model.config.shape)
    x_0[..., margin:-margin, margin:-margin] = inner
    return x_0


def given_noise(x_0: Tensor, n: int, model: Model) -> Tensor:
    """The noise that a caller brings, float32, with the model's margin put on or taken off.

    ValueError if it is not n finite samples.
    """
    config, sides = model.config, x_0.shape[2:]
    if config.crop and x_0.shape == (n, *config.sample_shape):
        x_0 = framed(x_0, n, model)
    elif tuple(sides) == tuple(side + 2 * MARGIN for side in config.shape[1:]) and len(sides) == 2:
        x_0 = x_0[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    if x_0.shape != (n, *config.shape):
        raise ValueError(f"x_0 must be of shape {(n, *config.shape)}, not {tuple(x_0.shape)}")
    if not torch.isfinite(x_0).all():
        raise ValueError("x_0 must be finite")
    return x_0.float()
