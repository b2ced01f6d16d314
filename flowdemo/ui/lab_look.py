"""Three more looks into the plane: conditional paths, the way back to noise, the likelihood."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from flowdemo import plots
from flowdemo.couplings import COUPLINGS
from flowdemo.inversion import invert, round_trip_error
from flowdemo.lab import crossings, lattice
from flowdemo.likelihood import log_likelihood
from flowdemo.noise import generator
from flowdemo.paths import PATHS
from flowdemo.sampling import Trajectory, sample
from flowdemo.ui.generate import Wanted
from flowdemo.ui.lab import Watch
from flowdemo.ui.lab_desk import EXACT, Desk, model_of, source_of
from flowdemo.ui.lab_films import REAL, runs
from flowdemo.ui.work import TIMED, in_background, yielding

LINES, STATES = 24, 41  # conditional paths, and their states
TRAVELLERS, STEPS = 300, 50  # points that go back to noise, and the steps of RK4
SIDE, LIKELIHOOD_STEPS = 64, 16  # cells of the likelihood map, and RK4 steps of each


@dataclass(frozen=True)
class Look:
    """A player's value or a figure, with a sentence on what it shows."""

    shown: Any
    words: str


def two_kinds(
    data: str, desk: Desk, path: str, coupling: str, seed: int, watch: Watch = lambda rows: None
) -> Look:
    """A handful of conditional paths, and the marginal trajectories from the same noise."""
    source = source_of(data, desk)
    batch = COUPLINGS[coupling](source.coupling())(LINES, generator(seed))
    times = torch.linspace(0, 1, STATES)
    formula = PATHS[path](0.0)
    states = torch.stack([formula.sample(batch.x_0, batch.x_1, t.expand(LINES))[0] for t in times])
    exact = source.exact(path)
    marginal = sample(exact, LINES, None, steps=200, x_0=batch.x_0, watch=watch)
    thin = torch.linspace(0, 200, STATES).long()
    shown = Trajectory(marginal.trajectory.times[thin], marginal.trajectory.states[thin])
    conditional = replace(
        marginal, points=batch.x_1, labels=batch.label, trajectory=Trajectory(times, states)
    )
    marginal = replace(marginal, labels=batch.label, trajectory=shown)
    words = (
        f"Of {LINES * (LINES - 1) // 2} pairs of conditional paths {crossings(states)} cross in the "
        "plane; "
        f"of the marginal trajectories {crossings(shown.states)}, and where two of those cross they "
        "pass at different times: a velocity field has one direction at each point and time."
    )
    made = {
        "conditional: noise and data in pairs": conditional,
        "marginal: along the exact velocity": marginal,
    }
    return Look(runs(source, made, "exact"), words)


def back_to_noise(
    data: str, desk: Desk, title: str, seed: int, wanted: Wanted = lambda: True
) -> Iterator[str | Look]:
    """Real points back to noise by the descending grid, and forward again."""
    model, source = model_of(data, title, desk), source_of(data, desk)
    points, labels = source.draw(TRAVELLERS, seed)

    def work(watch: Watch) -> tuple:
        how = {"solver": "rk4", "steps": STEPS, "watch": watch}
        with TIMED:
            back = invert(model, points, labels.tolist(), **how)
            return back, sample(model, TRAVELLERS, labels.tolist(), x_0=back.x_0, **how)

    for progress in in_background(work, wanted):
        if isinstance(progress, int):
            yield f"{progress} evaluations ..."
    back, again = progress
    way = Trajectory(back.trajectory.times.flip(0), back.trajectory.states.flip(0))
    made = {f"back by {title} (read it from t = 1)": replace(again, trajectory=way)}
    films = runs(source, made | {"forward again": again}, model.config.method)
    x_0 = back.x_0
    yield Look(
        films,
        f"{TRAVELLERS} real points, RK4 with {STEPS} steps each way. Round-trip error "
        f"{round_trip_error(points, again.points):.2g} (root mean square, units of the plane). The "
        f"noise has mean ({x_0[:, 0].mean():.2f}, {x_0[:, 1].mean():.2f}) and scale "
        f"({x_0[:, 0].std():.2f}, {x_0[:, 1].std():.2f}); N(0, I) has 0 and 1.",
    )


def likelihood(
    data: str, desk: Desk, title: str, point: tuple[float, float], wanted: Wanted = lambda: True
) -> Iterator[str | Look]:
    """The log-likelihood of one point, and of the plane as a heat map with its integral."""
    model, source = model_of(data, title, desk), source_of(data, desk)
    extent = 1.5 * max(source.draw(REAL, 1)[0].abs().max().item(), 3.0)
    cells = lattice(extent, SIDE)
    where = torch.cat([torch.tensor([point], dtype=torch.float32), cells])

    def work(watch: Watch) -> Tensor:
        if title == EXACT:  # a formula, too, and the integral along its stiff field takes long
            return model.net.log_density(where, model.empty)
        return log_likelihood(model, where, steps=LIKELIHOOD_STEPS, watch=yielding(watch))

    for progress in in_background(work, wanted):
        if isinstance(progress, int):
            yield f"{progress} of {len(where)} points ..."
    mass = progress[1:].exp().sum().item() * (2 * extent / SIDE) ** 2
    log_p = progress[1:].reshape(SIDE, SIDE).numpy()
    yield Look(
        plots.heat_map(log_p, extent, point, "log p"),
        f"log p(({point[0]:g}, {point[1]:g})) = {progress[0]:.3f} nats under {title}, all classes "
        f"together. The density integrates to {mass:.3f} over this square.",
    )
