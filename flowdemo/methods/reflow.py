"""Reflow (rectified flow, arXiv:2209.03003): flow matching on pairs that another flow made."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from flowdemo.config.options import MAX_STEPS, one_of
from flowdemo.core.solvers import SOLVERS
from flowdemo.methods.base import InLab, Method
from flowdemo.methods.flow_matching import FlowMatching
from flowdemo.nets.sizes import Strict


class Pairs(Strict):
    """The pairs of a recipe: how many, and the solver that carries the noise to the data.

    A fixed-step solver takes `steps`, an adaptive one `tolerance`. `seed` is that of the noise; it is
    unlike the seeds that people choose, so that nobody samples a training pair by accident. The last
    share `held_out` is not trained on but measured. `processes` make the pairs side by side.
    """

    count: int = Field(ge=1, le=10_000_000)
    solver: Annotated[str, one_of(SOLVERS)] = "dopri5"
    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    tolerance: float = Field(1e-5, ge=1e-7, le=1e-1)
    seed: int = Field(1_000_003, ge=0)
    held_out: float = Field(0.05, ge=0, le=0.5)
    processes: int = Field(1, ge=1, le=64)

    @property
    def trained(self) -> int:
        """How many are trained on."""
        return max(1, self.count - round(self.held_out * self.count))

    @model_validator(mode="after")
    def _solved(self) -> "Pairs":
        if SOLVERS[self.solver].adaptive != (self.steps is None):
            wrong = "chooses its steps" if self.steps else "needs 'pairs.steps'"
            raise ValueError(f"'{self.solver}' {wrong}")
        default = type(self).model_fields["tolerance"].default
        if self.tolerance != default and not SOLVERS[self.solver].adaptive:
            raise ValueError(f"'{self.solver}' knows no 'tolerance': it makes its steps")
        return self


def pairs_of_lab(coupling: str, power: float) -> dict[str, Any]:
    """What the Lab trains: 8000 pairs by 20 midpoint steps, a quarter of the rows at t = 0."""
    pairs = Pairs(count=8000, solver="midpoint", steps=20, held_out=0)
    return {"pairs": pairs, "share_start": 0.25, "power": power}


REFLOW = Method(
    name="reflow",
    title="Reflow",
    colour="#E69F00",
    hint=(
        "Flow matching on pairs made by a flow: straighter paths, good in one to four steps.",
        "在由流生成的(噪声, 数据)配对上再做流匹配:路径更直,一到四步即可。",
    ),
    loss=FlowMatching.of,
    needs=frozenset({"pairs"}),
    rules={
        "{method} needs a 'teacher'": lambda r: r.teacher is None,
        "{method}'s 'pairs' are its coupling": lambda r: r.coupling != "independent",
    },
    lab=InLab(pairs_of_lab, rounds=2),
)
