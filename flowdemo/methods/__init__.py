"""How a network is trained (`loss`) and walked (the solvers it offers)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Generator, nn

from flowdemo.couplings import Batch
from flowdemo.guidance import LabelledVelocity
from flowdemo.losses import Terms
from flowdemo.methods import flow_matching, meanflow
from flowdemo.solvers import SOLVERS

AVERAGE = "average"  # the solver name of a MeanFlow network's own step

__all__ = ["AVERAGE", "METHODS", "LabelledVelocity", "Loss", "Method", "solvers_of"]


class Loss(Protocol):
    """What a method minimises: `timed` draws the times of a batch, the call gives its terms."""

    def timed(self, batch: Batch, generator: Generator) -> Batch: ...

    def __call__(self, net: nn.Module, batch: Batch) -> Terms: ...


@dataclass(frozen=True)
class Method:
    """A method's title, the loss that a recipe asks for, and the solvers of its checkpoints."""

    title: str
    loss: Callable[..., Loss]  # (recipe, times, teacher, perceptual, empty)
    solvers: tuple[str, ...]


def solvers_of(config: Any) -> tuple[str, ...]:
    """The solvers that a checkpoint of this description offers.

    One that knows its velocity at single times alone takes the Euler steps that begin there.
    """
    return METHODS[config.method].solvers if config.trained_times is None else ("euler",)


METHODS = {
    "flow-matching": Method("Flow matching", flow_matching.loss_of, tuple(SOLVERS)),
    # Reflow is flow matching on a coupling that another flow made.
    "reflow": Method("Reflow", flow_matching.loss_of, tuple(SOLVERS)),
    "meanflow": Method("MeanFlow", meanflow.loss_of, (AVERAGE, *SOLVERS)),
}
