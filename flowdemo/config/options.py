"""What recipes and checkpoints share: names of registries, bounded numbers, the schedule."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from flowdemo.core.paths import PATHS
from flowdemo.nets.sizes import Strict

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]
REPO = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"  # a repository of the Hub
MAX_STEPS = 1000
MAX_EPS = 0.01  # of time, and so of the noise that is left in samples


def one_of(registry: Mapping[str, object]) -> AfterValidator:
    """A name of the registry, whatever it holds when the name is checked."""

    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(f"must be one of {', '.join(registry)}")
        return name

    return AfterValidator(check)


PathName = Annotated[str, one_of(PATHS)]
TimeSteps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Weight = Annotated[float, Field(ge=0, le=20)]  # of classifier-free guidance


class Defaults(Strict):
    """Solver, steps and CFG weight for a person who chooses nothing."""

    solver: str
    steps: int = Field(ge=1, le=MAX_STEPS)
    guidance: Weight = 1.0


class Schedule(Strict):
    """Length, learning rate and precision of training. A batch is computed in `accumulate` parts."""

    steps: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    accumulate: int = Field(1, ge=1, le=1024)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0, le=1)
    warmup: int = Field(200, ge=0)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.999, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = False
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _parted(self) -> "Schedule":
        if self.accumulate > self.batch_size:
            raise ValueError("'accumulate' parts of a batch need as many rows: 'batch_size'")
        return self
