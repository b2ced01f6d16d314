"""How a network is trained (`loss`) and walked (the solvers it offers)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor, nn

from flowdemo.couplings import Batch
from flowdemo.guidance import LabelledVelocity
from flowdemo.methods import flow_matching, meanflow
from flowdemo.recipe import Recipe
from flowdemo.solvers import SOLVERS

GuidedTeacher = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (x, t, label, w)
AVERAGE = "average"  # the solver name of a MeanFlow network's own step

__all__ = ["AVERAGE", "METHODS", "LabelledVelocity", "Loss", "Method"]


class Loss(Protocol):
    def __call__(self, net: nn.Module, batch: Batch, generator: Generator) -> Tensor: ...


@dataclass(frozen=True)
class Method:
    """A method's title, the loss that a recipe asks for, and the solvers of its checkpoints."""

    title: str
    loss: Callable[[Recipe, GuidedTeacher | None], Loss]
    solvers: tuple[str, ...]


METHODS = {
    "flow-matching": Method("Flow matching", flow_matching.loss_of, tuple(SOLVERS)),
    # Reflow is flow matching on a coupling that another flow made.
    "reflow": Method("Reflow", flow_matching.loss_of, tuple(SOLVERS)),
    "meanflow": Method("MeanFlow", meanflow.loss_of, (AVERAGE, *SOLVERS)),
}
