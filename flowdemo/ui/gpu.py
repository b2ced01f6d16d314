"""Where a run goes: small networks to the CPU, large ones to a GPU, this machine's or a lent one.

On a Space with ZeroGPU a GPU is lent for a call of a function that is marked for it, which runs in a
forked process: numbers go in and come out, never tensors on the GPU.
"""

import os
from typing import Any

import gradio as gr
import torch

from flowdemo.model import Model
from flowdemo.sampling import Samples, sample
from flowdemo.ui import text
from flowdemo.ui.models import budget, load, moved_to

try:  # there on Spaces; without effect where no GPU is lent
    import spaces

    lent_for = spaces.GPU
except ImportError:

    def lent_for(**options: Any) -> Any:
        """Leaves a function as it is."""
        return lambda function: function


SECONDS = 120  # of GPU time that a call may take from a visitor's quota


def is_lent() -> bool:
    """Whether this is a Space whose GPU is lent by the call."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true", "on", "t")


@lent_for(duration=SECONDS)
def on_lent_gpu(name: str, arguments: tuple, options: dict[str, Any]) -> Samples:
    """`sample` on a lent GPU; what comes back lies on the CPU."""
    model = moved_to(load(name), torch.device("cuda"))
    return sample(model, *arguments, max_evaluations=budget(model), **options)


def draw(model: Model, *arguments: Any, watch: Any, **options: Any) -> Samples:
    """`sample` where the model belongs; without a GPU to lend, on the CPU and with a note."""
    if is_lent() and model.is_large:
        try:
            return on_lent_gpu(model.name, arguments, options)
        except gr.Error:  # the quota is used up, or no GPU is free
            made = sample(model, *arguments, watch=watch, max_evaluations=budget(model), **options)
            made.settings["note"] = text.NO_GPU
            return made
    return sample(model, *arguments, watch=watch, max_evaluations=budget(model), **options)
