"""Solvers: orders, evaluations, inversion, adaptive runs and their errors."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flowdemo.core import solvers
from flowdemo.core.solvers import (
    SOLVERS,
    SolverError,
    average_step,
    fixed_step,
    follow,
    grid,
    integrate,
    integrate_adaptive,
)

STEPPED = [name for name, solver in SOLVERS.items() if not solver.adaptive]
FIXED = [name for name in STEPPED if not SOLVERS[name].multistep]
ADAPTIVE = [name for name, solver in SOLVERS.items() if solver.adaptive]
X_0 = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)


def velocity(x, t):
    """dx/dt = -x cos(2 t), so that x(1) = x(0) exp(-sin(2) / 2)."""
    return -x * torch.cos(2 * t)[:, None]


EXACT = X_0 * math.exp(-math.sin(2) / 2)


def counted(function):
    calls = []

    def wrapped(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return wrapped, calls


@pytest.mark.parametrize("name", STEPPED)
def test_a_solver_that_takes_steps_has_its_order(name):
    errors = [
        (follow(velocity, name, X_0, grid(n)).states[-1] - EXACT).abs().max() for n in (64, 128)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(SOLVERS[name].order, abs=0.2)


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_solver_costs_its_evaluations(name):
    counting, calls = counted(velocity)
    integrate(fixed_step(counting, name), X_0, grid(7))
    assert len(calls) == 7 * SOLVERS[name].evaluations


def test_a_multistep_solver_looks_back_instead_of_evaluating_more():
    """Two Runge-Kutta steps of four evaluations to begin with, and then one a step; or a corrector."""
    counting, calls = counted(velocity)
    path = follow(counting, "explicit_adams", X_0, grid(20))
    assert len(calls) == 2 * 4 + 18 and path.states.shape == (21, *X_0.shape)
    counting, calls = counted(velocity)
    follow(counting, "implicit_adams", X_0, grid(20))
    assert 2 * 4 + 18 < len(calls) <= 20 * SOLVERS["implicit_adams"].evaluations


def test_only_the_ends_are_kept_where_no_more_is_asked_for():
    for name in SOLVERS:
        path = follow(velocity, name, X_0, grid(5), 1e-4, keep=False)
        assert path.times.tolist() == [0, 1] and len(path.states) == 2
        assert torch.equal(path.states[0], X_0) and (path.states[1] - EXACT).abs().max() < 0.3


def test_the_evaluations_stand_at_the_times_of_the_formula():
    for name, times in {"euler": [0.0], "midpoint": [0.0, 0.25], "heun": [0.0, 0.5]}.items():
        counting, calls = counted(velocity)
        fixed_step(counting, name)(X_0, torch.tensor(0.0), torch.tensor(0.5))
        assert [float(t[0]) for _, t in calls] == times
        assert all(t.shape == (2,) for _, t in calls)


@pytest.mark.parametrize("name", ["midpoint", "heun", "rk4"])
def test_a_descending_grid_undoes_an_ascending_one(name):
    step = fixed_step(velocity, name)
    there = integrate(step, X_0, grid(100)).states[-1]
    back = integrate(step, there, grid(100, 1.0, 0.0)).states[-1]
    torch.testing.assert_close(back, X_0, atol=1e-4, rtol=0)


def test_average_steps_with_the_exact_average_velocity_are_exact_on_any_grid():
    def average_velocity(x, t, s):
        whole = torch.exp(-(torch.sin(2 * s) - torch.sin(2 * t)) / 2)[:, None]
        return (whole - 1) * x / (s - t)[:, None]

    for steps in (1, 2, 5):
        times = grid(steps).double()
        end = integrate(average_step(average_velocity), X_0, times).states[-1]
        torch.testing.assert_close(end, EXACT)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0)])
def test_an_adaptive_solver_reaches_its_tolerance_in_both_directions(name, ends):
    times = grid(1, *ends).double()
    path = integrate_adaptive(velocity, name, X_0, times, 1e-6)
    exact = EXACT if ends[1] else X_0 * math.exp(math.sin(2) / 2)
    torch.testing.assert_close(path.states[-1], exact, atol=1e-4, rtol=0)
    assert path.times[0] == ends[0] and path.times[-1] == ends[1]
    assert (path.times.diff() * (ends[1] - ends[0]) > 0).all()


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_states_of_an_adaptive_run_are_true_ones_and_none_lies_beyond_the_end(name):
    counting, calls = counted(velocity)
    path = integrate_adaptive(counting, name, X_0, grid(1).double(), 1e-5)
    t = path.times.double()[:, None, None]
    torch.testing.assert_close(
        path.states, X_0 * torch.exp(-torch.sin(2 * t) / 2), atol=1e-3, rtol=0
    )
    assert max(float(t[0]) for _, t in calls) <= 1.0


def test_a_smaller_tolerance_takes_more_evaluations():
    cost = []
    for tolerance in (1e-2, 1e-5):
        counting, calls = counted(velocity)
        integrate_adaptive(counting, "dopri5", X_0, grid(1), tolerance)
        cost.append(len(calls))
    assert cost[0] < cost[1]


def test_a_solver_that_gives_up_says_so(monkeypatch):
    monkeypatch.setattr(solvers, "MAX_ATTEMPTS", 2)
    with pytest.raises(SolverError, match="larger tolerance"):
        integrate_adaptive(lambda x, t: 100 * torch.cos(90 * t)[:, None] + 0 * x, "dopri5", X_0,
                           grid(1), 1e-6)  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_a_solution_that_is_not_finite_is_an_error(name):
    with pytest.raises(SolverError, match="not finite"):
        integrate(fixed_step(lambda x, t: x * 1e300, name), X_0, grid(3))


def test_float32_stays_float32():
    path = integrate_adaptive(velocity, "dopri5", X_0.float(), grid(1), 1e-3)
    assert path.states.dtype == torch.float32


class _NoFloat64(TorchDispatchMode):
    """Fails like a device without float64."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if any(isinstance(x, torch.Tensor) and x.dtype == torch.float64 for x in tree_leaves(made)):
            raise TypeError(f"{func} made a float64 tensor")
        return made


# scipy computes with numpy on the CPU, in float64 there.
@pytest.mark.parametrize("name", [name for name in ADAPTIVE if name != "scipy_solver"])
def test_a_device_without_float64_needs_none(name, monkeypatch):
    times = grid(1).float()
    run = lambda: integrate_adaptive(velocity, name, X_0.float(), times, 1e-3)  # noqa: E731
    with pytest.raises(TypeError, match="float64"), _NoFloat64():
        run()  # elsewhere the clock is float64: the check does see it
    assert solvers.clock_of(torch.device("mps")) == torch.float32
    monkeypatch.setattr(solvers, "clock_of", lambda device: torch.float32)
    with _NoFloat64():
        states = run().states
    torch.testing.assert_close(states[-1], EXACT.float(), atol=2e-2, rtol=0)
