"""A trained network with its description: the object that everything samples from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.core.guidance import guided_velocity
from flowdemo.methods import solvers_of

LARGE = 20_000_000  # parameters
Label = int | list[int] | Tensor | None


@dataclass(frozen=True, eq=False)
class Model:
    """A network and its `config.json`. `revision` names the exact weights, `source` where they are.

    `decoder` loads what makes pixels of the latents, if the network works on such.
    """

    config: ModelConfig
    net: nn.Module
    revision: str = ""
    source: str = ""
    decoder: Callable[[], Any] | None = None

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def empty(self) -> int:
        """The empty label."""
        return len(self.config.classes)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.net.parameters()).device

    @property
    def size(self) -> int:
        """Its number of parameters."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    @property
    def is_large(self) -> bool:
        """Whether it belongs on a GPU; large models skip metrics that need many runs."""
        return self.size > LARGE

    @property
    def is_image(self) -> bool:
        """Whether it makes images; else points of the plane."""
        return self.config.is_image

    @property
    def kind(self) -> str:
        """The key of limits: "image" or "points"."""
        return "image" if self.is_image else "points"

    @property
    def solvers(self) -> tuple[str, ...]:
        """The solvers that this checkpoint offers."""
        return solvers_of(self.config)

    @property
    def is_followed(self) -> bool:
        """Whether its flow is measured: it has a velocity at every time, and one that is cheap."""
        return self.config.trained_times is None and not self.is_large

    def velocity(
        self, x: Tensor, t: Tensor, label: Label = None, guidance: float | Tensor = 1.0
    ) -> Tensor:
        """v(x, t): x (batch, ...) normalised, t a number or (batch,), of the shape of x.

        `label` is None for the empty label, a class, or one a row. The CFG weight `guidance` is an
        input of the network where it takes one, else it costs a second evaluation.
        """
        t = self._rows(t, x, x.dtype)
        label, w = self._labels(label, x), self._rows(guidance, x, x.dtype)
        w = torch.where(label == self.empty, 1.0, w)
        if self.config.net.guidance:
            return self.net(x, t, None, label, w)
        return guided_velocity(
            lambda x, t, label: self.net(x, t, None, label), x, t, label, self.empty, w,
            self.config.guided_channels,
        )  # fmt: skip

    def average_velocity(
        self, x: Tensor, t: Tensor, s: Tensor, label: Label = None, guidance: float = 1.0
    ) -> Tensor:
        """u(x, t, s) of a MeanFlow network, s >= t; arguments as in `velocity`."""
        if not self.config.net.end_time:
            raise ValueError(f"{self.name} has no average velocity: it is no MeanFlow model")
        t, s = self._rows(t, x, x.dtype), self._rows(s, x, x.dtype)
        label, w = self._labels(label, x), self._rows(guidance, x, x.dtype)
        return self.net(x, t, s, label, torch.where(label == self.empty, 1.0, w))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels (or points, or a decoder's latents) as the network takes them."""
        margin = self.config.crop
        padded = F.pad(pixels, [margin] * 4) if margin else pixels
        return (padded - self._channels("mean", pixels)) / self._channels("std", pixels)

    def unnormalise(self, x: Tensor) -> Tensor:
        """The inverse of `normalise`, without the margin; nothing is clipped."""
        pixels = x * self._channels("std", x) + self._channels("mean", x)
        margin = self.config.crop
        return pixels[..., margin:-margin, margin:-margin] if margin else pixels

    def _channels(self, name: str, x: Tensor) -> Tensor:
        """The numbers of `mean` or `std` so that they broadcast over x (..., *shape)."""
        numbers = torch.tensor(getattr(self.config, name), dtype=x.dtype, device=x.device)
        return numbers.reshape(-1, *[1] * (len(self.config.shape) - 1))

    def _labels(self, label: Label, x: Tensor) -> Tensor:
        return self._rows(self.empty if label is None else label, x, torch.long)

    @staticmethod
    def _rows(value: Label | float, x: Tensor, dtype: torch.dtype) -> Tensor:
        """A number or one a row as a tensor (batch,) beside x."""
        return torch.as_tensor(value, dtype=dtype, device=x.device).expand(len(x))
