"""FlowDemo: flow matching, reflow and MeanFlow side by side.

model = flowdemo.load("mnist-meanflow")
samples = flowdemo.sample(model, n=16, label=7, guidance=2.0)
"""

from pathlib import Path

from flowdemo import checkpoints
from flowdemo.hub import download
from flowdemo.model import Model
from flowdemo.sampling.run import Samples, sample

__all__ = ["Model", "Samples", "load", "models", "sample"]


def load(name: str | Path) -> Model:
    """A model by its name or Hub id (`name/model`, `name/model@commit`), or by its folder.

    A string is never a folder, a `pathlib.Path` always one. What is not here is had from the Hub.
    ValueError if there is no such model, its checkpoint is broken, or the Hub does not give it.
    """
    if isinstance(name, Path):
        return checkpoints.load_folder(name)
    return download.load(name)


def models() -> list[str]:
    """The names of the models that can be loaded without the Hub."""
    return list(checkpoints.folders())
