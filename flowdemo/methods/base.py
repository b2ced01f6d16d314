"""`Method`: all that the app must know of a way to train and sample a network."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch import Generator, Tensor, nn

from flowdemo.config.options import Defaults
from flowdemo.core.couplings import Batch
from flowdemo.core.solvers import SOLVERS
from flowdemo.methods.losses import Terms

if TYPE_CHECKING:
    from flowdemo.config.checkpoint import ModelConfig

AVERAGE = "average"  # the solver name of the step that a network with an end time makes itself
Perceptual = Callable[[Tensor, Tensor], Tensor]  # two batches (batch, ...) -> distances (batch,)
Rules = dict[str, Callable[[Any], Any]]  # message -> whether a recipe breaks the rule


class Loss(Protocol):
    """What a method minimises: `timed` draws the times of a batch, the call gives its terms."""

    def timed(self, batch: Batch, generator: Generator) -> Batch: ...

    def __call__(self, net: nn.Module, batch: Batch) -> Terms: ...


@dataclass(frozen=True)
class InLab:
    """How the 2-D Lab trains a method.

    `fields(coupling, power)` are the fields of the recipe that are the method's own; `power` is that
    of the adaptive weight. A method that `learns_from_flow` takes the last flow of the Lab as its
    teacher and start. `rounds` is how often the chain of the Lab trains it; 0 leaves it out.
    """

    fields: Callable[[str, float], dict[str, Any]]
    learns_from_flow: bool = True
    rounds: int = 0


@dataclass(frozen=True)
class Tuning:
    """How a checkpoint of a method is fine-tuned: its loss, and the steps that ten pictures need."""

    loss: Callable[["ModelConfig"], Loss]
    steps: int


@dataclass(frozen=True)
class Method:
    """A method. `colour` and `hint` (English, Chinese) present it.

    `loss(recipe, times, teacher, perceptual, empty)` is what its recipes train. `needs` are the parts
    of a recipe that it must have, and that a method without them must not have: names of
    `recipe_checks.PARTS`. `rules` are its other demands on a recipe. Its networks take the CFG weight
    as an input (`guidance_input`), or else are guided by a second evaluation. `own_solver` is the
    solver that it is meant for, with so many `steps`. Without `tuning` it cannot be fine-tuned.
    """

    name: str
    title: str
    colour: str
    hint: tuple[str, str]
    loss: Callable[..., Loss]
    lab: InLab
    needs: frozenset[str] = frozenset()
    rules: Rules = field(default_factory=dict)
    guidance_input: bool = True
    solvers: tuple[str, ...] = tuple(SOLVERS)
    own_solver: str = "euler"
    steps: int = 1
    tuning: Tuning | None = None

    @property
    def defaults(self) -> Defaults:
        """Solver and steps for a person who chooses nothing."""
        return Defaults(solver=self.own_solver, steps=self.steps)

    @property
    def is_flow(self) -> bool:
        """Whether it learns a velocity alone, and no average over an interval of time."""
        return "end_time" not in self.needs

    @property
    def needs_flow(self) -> bool:
        """Whether it cannot be trained without a flow that makes its pairs."""
        return "pairs" in self.needs
