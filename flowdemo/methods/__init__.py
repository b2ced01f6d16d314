"""The methods, one module each. A new one is its own module and one entry of `METHODS`."""

from typing import Any

from flowdemo.methods.base import AVERAGE, InLab, Loss, Method, Perceptual, Tuning
from flowdemo.methods.flow_matching import FLOW_MATCHING
from flowdemo.methods.meanflow import MEANFLOW
from flowdemo.methods.reflow import REFLOW

__all__ = [
    "AVERAGE", "METHODS", "InLab", "Loss", "Method", "Perceptual", "Tuning", "colour_of", "solvers_of",
]  # fmt: skip

METHODS: dict[str, Method] = {each.name: each for each in (FLOW_MATCHING, REFLOW, MEANFLOW)}
COLOUR_OF_EXACT = "#555555"


def colour_of(method: str) -> str:
    """The colour of a method in every figure; grey for "exact", the exact velocity, and for others."""
    return METHODS[method].colour if method in METHODS else COLOUR_OF_EXACT


def solvers_of(config: Any) -> tuple[str, ...]:
    """The solvers that a checkpoint of this description offers.

    A network that was trained at single times alone makes the Euler steps that begin there.
    """
    return METHODS[config.method].solvers if config.trained_times is None else ("euler",)
