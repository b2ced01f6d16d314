"""The films of the guided tour: six steps from noise to data and on to one evaluation."""

from dataclasses import replace
from functools import lru_cache

from flowdemo.evaluation.fields import Source
from flowdemo.model import Model
from flowdemo.sampling.request import ANY, Request
from flowdemo.ui.lab.films import films
from flowdemo.ui.lab.looks import Pairs, two_kinds
from flowdemo.ui.lab.view import panel
from flowdemo.ui.shared.models import load

DATA, POINTS, SEED = "moons", 400, 42


def noise_to_data() -> str:
    """The exact velocity carries noise to data."""
    return shown([("exact velocity", exact(), 50)], ["points", "real"])


def velocity() -> str:
    """A learnt velocity with its arrows."""
    return shown([("flow matching", learnt("flow-matching"), 50)], ["points", "field"])


def many_to_one() -> str:
    """Conditional paths cross, marginal trajectories do not."""
    return two_kinds(Pairs(Source(DATA), "linear", "independent", 0)).shown


def few_steps() -> str:
    """Flow matching with fewer and fewer steps."""
    flow = learnt("flow-matching")
    rows = [(f"flow matching, {k} step(s)", flow, k) for k in (16, 4, 2, 1)]
    return shown(rows, ["points", "paths", "states", "real"])


def straighter() -> str:
    """Before and after reflow."""
    rows = [(name, learnt(name), 8) for name in ("flow-matching", "reflow")]
    return shown(rows, ["points", "paths", "states"])


def one_step() -> str:
    """One evaluation of each method."""
    rows = [(f"{name}, NFE 1", learnt(name), 1) for name in ("flow-matching", "reflow", "meanflow")]
    return shown(rows, ["points", "paths", "real"])


STEPS = {
    "noise": noise_to_data,
    "velocity": velocity,
    "conditional": many_to_one,
    "few": few_steps,
    "reflow": straighter,
    "one": one_step,
}


@lru_cache
def film_of(step: str) -> str:
    """The film of a step; the same for every visitor, so it is made once."""
    return STEPS[step]()


def exact() -> Model:
    return Source(DATA).exact()


def learnt(method: str) -> Model:
    return load(f"{DATA}-{method}")


def shown(rows: list[tuple[str, Model, int]], layers: list[str]) -> str:
    """One film a row (title, model, steps), with these layers switched on."""
    request = Request("", POINTS, ANY, guidance=1.0, solver="euler", seed=SEED)
    panels = [panel(model, title, replace(request, steps=k)) for title, model, k in rows]
    return films(Source(DATA), panels, layers, play=True)
