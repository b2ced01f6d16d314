"""Where a run goes: small networks to the CPU, large ones to a GPU, this machine's or a lent one.

On a Space with ZeroGPU a GPU is lent for a call of a function that is marked for it, which runs in a
forked process: numbers go in and come out, never tensors on the GPU. Such a call cannot be stopped.
"""

from typing import Any

import gradio as gr
import torch

from flowdemo.model import Model
from flowdemo.sampling.request import Request, usual_n
from flowdemo.sampling.run import Samples, Watch, run
from flowdemo.settings import is_lent
from flowdemo.ui.shared.models import budget, load, moved_to, operations_of
from flowdemo.ui.shared.work import TIMED

try:  # there on Spaces; without effect where no GPU is lent
    import spaces

    lent_for = spaces.GPU
except ImportError:

    def lent_for(**options: Any) -> Any:
        """Leaves a function as it is."""
        return lambda function: function


LEAST, MOST = 15, 120  # seconds of GPU that a call asks for, from a visitor's daily quota
SPEED = 10e12  # operations a second that a GPU surely does


def seconds_of(name: str, request: Request) -> int:
    """Seconds of GPU that a call may take: moving the weights, and 400 evaluations of each sample."""
    model = load(name)
    n = request.n or usual_n(model)
    return min(MOST, LEAST + round(400 * n * operations_of(model) / SPEED))


@lent_for(duration=seconds_of)
def on_lent_gpu(name: str, request: Request) -> Samples | ValueError:
    """`run` on a lent GPU; what comes back lies on the CPU. An error of the request is returned."""
    model = moved_to(load(name), torch.device("cuda"))
    try:
        return run(model, request, max_evaluations=budget(model))
    except ValueError as error:
        return error


def draw(model: Model, request: Request, watch: Watch = lambda rows: None) -> tuple[Samples, str]:
    """`run` where the model belongs, and what is to be said of that.

    Without a GPU to lend it is the CPU, within its limits. ValueError says what cannot be done.
    """
    note = ""
    if is_lent() and model.is_large:
        try:
            made = on_lent_gpu(model.name, request)
        except gr.Error as error:  # no quota, no GPU, or too long
            note = str(error.message).strip().split("\n")[0]
        else:
            if isinstance(made, ValueError):
                raise made
            return made, ""
    with TIMED:
        try:
            return run(model, request, watch=watch, max_evaluations=budget(model)), note
        except ValueError as error:
            raise ValueError(f"{note}: on the CPU, {error}" if note else str(error)) from error
