"""Steps through time, and the one sampling loop.

A step is (x_t, t, s) -> x_s with t and s scalar tensors. A solver turns a velocity v(x, t) into a
step; a MeanFlow network is a step already. The Runge-Kutta formulas are torchdiffeq's.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torchdiffeq import odeint

Velocity = Callable[[Tensor, Tensor], Tensor]  # v(x, t), x (batch, ...), t (batch,)
Step = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, t, s) -> x_s, t and s 0-d
MAX_ATTEMPTS = 1000  # steps an adaptive solver may try
SHOWN = 20  # frames kept for solvers that hide their steps


class SolverError(ValueError):
    """A solver could not go on; the message says what to change."""


@dataclass(frozen=True)
class Solver:
    """A torchdiffeq method, its order, and its evaluations a step (None where it adapts).

    One that is `multistep` looks back at the steps before: it begins with Runge-Kutta steps, and
    `evaluations` are the most that a step takes. Its and an adaptive one's `options` are torchdiffeq's.
    """

    method: str
    order: int
    evaluations: int | None = None
    multistep: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def adaptive(self) -> bool:
        return self.evaluations is None


ADAMS = {"max_order": 5}  # with the default of 12, few steps are unstable
SOLVERS = {
    "euler": Solver("euler", 1, 1),
    "midpoint": Solver("midpoint", 2, 2),
    "heun": Solver("heun2", 2, 2),
    "heun3": Solver("heun3", 3, 3),
    "rk4": Solver("rk4", 4, 4),
    "explicit_adams": Solver("explicit_adams", 4, 4, True, ADAMS),
    "implicit_adams": Solver("implicit_adams", 3, 5, True, ADAMS),
    "dopri5": Solver("dopri5", 5),
    "dopri8": Solver("dopri8", 8),
    "bosh3": Solver("bosh3", 3),
    "fehlberg2": Solver("fehlberg2", 2),
    "adaptive_heun": Solver("adaptive_heun", 2),
    "scipy_solver": Solver("scipy_solver", 5, options={"solver": "RK45"}),
}
FIXED = tuple(name for name, solver in SOLVERS.items() if not solver.adaptive)


@dataclass(frozen=True)
class Trajectory:
    """The times (k,) and states (k, batch, ...) that a solver passed through, both ends included."""

    times: Tensor
    states: Tensor


def grid(steps: int, start: float = 0.0, end: float = 1.0) -> Tensor:
    """steps + 1 equally spaced times; a descending grid inverts."""
    return torch.linspace(start, end, steps + 1, dtype=torch.float64)


def follow(
    velocity: Velocity,
    name: str,
    x: Tensor,
    times: Tensor,
    tolerance: float | None = None,
    keep: bool = True,
) -> Trajectory:
    """x along `times` by any solver; an adaptive one goes from the first to the last by `tolerance`."""
    if SOLVERS[name].adaptive:
        return integrate_adaptive(velocity, name, x, times, tolerance, keep)
    if SOLVERS[name].multistep:
        return integrate_whole(velocity, name, x, times, keep)
    return integrate(fixed_step(velocity, name), x, times, keep)


def integrate_whole(
    velocity: Velocity, name: str, x: Tensor, times: Tensor, keep: bool = True
) -> Trajectory:
    """One run over all of `times`, as a solver needs that remembers the steps before."""
    times, solver = times.to(x), SOLVERS[name]
    with warnings.catch_warnings():  # that a corrector has not settled: it is what it is then
        warnings.simplefilter("ignore")
        states = odeint(_Field(velocity), x, times, method=solver.method, options=solver.options)
    some = slice(None) if keep else [0, -1]
    return Trajectory(times[some], finite(states[some]))


def fixed_step(velocity: Velocity, name: str) -> Step:
    """The step of a fixed-step solver."""
    method = SOLVERS[name].method

    def step(x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return odeint(
            lambda t, x: velocity(x, t.expand(len(x))), x, torch.stack([t, s]), method=method
        )[-1]

    return step


def average_step(average_velocity: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Step:
    """x_s = x_t + (s - t) u(x_t, t, s)."""

    def step(x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return x + (s - t) * average_velocity(x, t.expand(len(x)), s.expand(len(x)))

    return step


def walk(step: Step, x: Tensor, times: Tensor) -> Iterator[Tensor]:
    """The one sampling loop: the state after each step along `times` (k,)."""
    times = times.to(x)
    for t, s in zip(times[:-1], times[1:], strict=True):
        x = step(x, t, s)
        yield x


def integrate(step: Step, x: Tensor, times: Tensor, keep: bool = True) -> Trajectory:
    """Walks x along `times`; keeps every state, or only the first and the last."""
    states = [x]
    for state in walk(step, x, times):
        states = [*states, state] if keep else [x, state]
    kept = times if keep else times[[0, -1]]
    return Trajectory(kept, finite(torch.stack(states)))


def integrate_adaptive(
    velocity: Velocity, name: str, x: Tensor, times: Tensor, tolerance: float, keep: bool = True
) -> Trajectory:
    """One run of an adaptive solver from times[0] to times[-1], with the states it accepted.

    `tolerance` is relative and absolute, of the root mean square over the whole batch: the steps of
    one sample depend on the others. SolverError where the solver gives up.
    """
    watched = _Field(velocity)
    clock = clock_of(x.device)
    # A step must end at the last time: the network knows none beyond it.
    ends = times[[0, -1]].to(x.device, clock)
    options = {"dtype": clock, "max_num_steps": MAX_ATTEMPTS, "step_t": ends[-1:]}
    method, own = SOLVERS[name].method, SOLVERS[name].options
    if own:  # it takes no clock and reports no steps: the states are at equal times
        ends = torch.linspace(float(ends[0]), float(ends[-1]), SHOWN + 1).to(ends)
        options = own
    try:
        states = odeint(
            watched, x, ends, rtol=tolerance, atol=tolerance, method=method, options=options
        )
    except AssertionError as error:  # torchdiffeq's only way to say that it gave up
        raise SolverError(
            f"{name} gave up at tolerance {tolerance:g} ({error}); choose a larger tolerance"
        ) from error
    if not keep or own:
        some = slice(None) if keep else [0, -1]
        return Trajectory(ends[some].float(), finite(states[some]))
    passed = torch.tensor([*watched.times, float(ends[-1])])
    return Trajectory(passed, finite(torch.stack([*watched.states, states[-1]])))


def clock_of(device: torch.device) -> torch.dtype:
    """The precision of an adaptive solver's time: MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def finite(states: Tensor) -> Tensor:
    """The states; SolverError if the last holds NaN or infinity."""
    if not torch.isfinite(states[-1]).all():
        raise SolverError(
            "the solution is not finite; take more steps or a smaller guidance weight"
        )
    return states


class _Field:
    """A velocity as torchdiffeq calls it, v(t, x), that notes the states where steps begin."""

    def __init__(self, velocity: Velocity):
        self.velocity = velocity
        self.times: list[float] = []
        self.states: list[Tensor] = []

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        return self.velocity(x, t.to(x).expand(len(x)))

    def callback_accept_step(self, t: Tensor, x: Tensor, dt: Tensor) -> None:
        self.times.append(float(t))
        self.states.append(x)
