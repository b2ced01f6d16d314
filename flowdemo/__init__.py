"""FlowDemo: flow matching, reflow and MeanFlow side by side.

model = flowdemo.load("mnist-meanflow")
samples = flowdemo.sample(model, n=16, label=7, guidance=2.0)
"""

from pathlib import Path

from flowdemo import checkpoints
from flowdemo.model import Model
from flowdemo.sampling import Samples, sample

__all__ = ["Model", "Samples", "load", "models", "sample"]


def load(name: str | Path) -> Model:
    """A model by its name, or by its folder if `name` is a `pathlib.Path`.

    ValueError if there is no such model or its checkpoint is broken.
    """
    if isinstance(name, Path):
        return checkpoints.load_folder(name)
    return checkpoints.load(name)


def models() -> list[str]:
    """The names of the models that can be loaded."""
    return list(checkpoints.folders())
