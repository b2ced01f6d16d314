"""Dropout whose mask is one and the same in every pass of a training step.

MeanFlow differentiates the network along the flow on some rows of a batch and then fits it on all of
them. With another mask in each pass the derivative would be that of another network.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn

from flowdemo.core.noise import mixed


class Dropout(nn.Module):
    """x kept / (1 - rate), each element kept with probability 1 - rate; x (batch, ...).

    Off, which is the identity, unless in training mode and between `begin_step` and the next one with
    None. Within a step row i has one mask, however many rows each pass has.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate
        self.generator: Generator | None = None
        self.drawn: list[int] = []  # rows, in the portions in which this step asked for them

    def begin(self, generator: Generator | None) -> None:
        """Forgets the mask; the next one comes from `generator`, or there is none."""
        self.generator, self.drawn = generator, []

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.generator is None:
            return x
        return x * self.kept(x) / (1 - self.rate)

    def kept(self, x: Tensor) -> Tensor:
        """The mask of the first len(x) rows.

        It is drawn again instead of kept: a tensor that is made within `torch.func.jvp` and outlives
        it can be neither copied nor saved. A portion's numbers depend on how many they are.
        """
        if (missing := len(x) - sum(self.drawn)) > 0:
            self.drawn.append(missing)
        g = self.generator.manual_seed(self.generator.initial_seed())
        shapes = ((n, *x.shape[1:]) for n in self.drawn)
        uniform = [torch.rand(shape, generator=g, device=x.device) for shape in shapes]
        return torch.cat(uniform)[: len(x)] >= self.rate


def unchanged(x: Tensor) -> Tensor:
    return x


def dropout_of(rate: float) -> Callable[[Tensor], Tensor]:
    """A `Dropout`, or nothing that a network would list among its modules."""
    return Dropout(rate) if rate else unchanged


def dropouts(net: nn.Module) -> list[Dropout]:
    """Those of a network, in its order."""
    return [module for module in net.modules() if isinstance(module, Dropout)]


def begin_step(net: nn.Module, seed: int | None, device: torch.device | str = "cpu") -> None:
    """New masks for one training step, from (seed, index of the module); none if `seed` is None.

    `device` is where the network computes.
    """
    for index, module in enumerate(dropouts(net)):
        own = None if seed is None else Generator(device).manual_seed(mixed(seed, index))
        module.begin(own)


@contextmanager
def without_dropout(net: nn.Module) -> Iterator[None]:
    """Inside, nothing is dropped; the masks of the step hold again afterwards."""
    modules = dropouts(net)
    generators = [module.generator for module in modules]
    for module in modules:
        module.generator = None
    try:
        yield
    finally:
        for module, generator in zip(modules, generators, strict=True):
            module.generator = generator
