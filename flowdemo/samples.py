"""What a run of a model made, and what it cost."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PREVIEW = 4  # pixels of a film for one of a latent, whose image has 8


@dataclass(frozen=True)
class Trajectory:
    """times (k,) from 0 to 1 and states (k, n, ...), un-normalised and not clipped.

    Of a latent model the states are small previews of its latents, since decoding each takes long.
    """

    times: Tensor
    states: Tensor


@dataclass(frozen=True)
class Samples:
    """What one run made, and what it cost.

    `images` (n, channels, height, width) are pixels clipped to [0, 1], or `points` (n, 2); the other
    is None. `labels` (n,) int64 hold the number of classes where the label was "any". `nfe` counts
    network evaluations on one sample. `seconds` is the solver's wall time, without the decoder's.
    `x_0` (n, *shape) is the noise they came from, and `latents` what a decoder made images of.
    """

    images: Tensor | None
    points: Tensor | None
    labels: Tensor
    trajectory: Trajectory
    nfe: float
    seconds: float
    settings: dict[str, object]
    x_0: Tensor
    latents: Tensor | None = None
    decoder_seconds: float = 0.0

    @property
    def film(self) -> Tensor:
        """The states as pictures of one size (k, n, channels, height, width), or as points (k, n, 2).

        Of a latent model the last one is the decoded images, shrunk, and the others are previews.
        """
        states = self.trajectory.states
        if self.latents is None:
            return states
        height, width = states.shape[3:]
        large = states.repeat_interleave(PREVIEW, 3).repeat_interleave(PREVIEW, 4)
        last = F.interpolate(self.images, (PREVIEW * height, PREVIEW * width), mode="area")
        return torch.cat([large[:-1], last[None]])
