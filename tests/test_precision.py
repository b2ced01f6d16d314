"""In which precision a network is trained, float16's scale, and compilation."""

import shutil
from functools import partial

import pytest
import torch
from torch import nn

from flowdemo.core.noise import generator
from flowdemo.methods import METHODS
from flowdemo.methods.derivatives import eager
from flowdemo.training.precision import autocast, faster
from flowdemo.training.run import prepare, run_recipe
from flowdemo.training.state_file import load_state, save_state
from flowdemo.training.trainer import Diverged, optimise
from tests.test_trainer import CPU, INF, Scripted, moons, recipe, walk, weights


def test_also_a_scaler_that_searches_does_not_put_infinities_into_the_times():
    plan = recipe(steps=2, precision="float16", times="loss-second-moment")
    state = prepare(plan, None, CPU)
    list(optimise(plan, state, lambda g: moons(10), Scripted([INF, 1])))
    assert state.bad == 0 and state.skipped >= 1  # as it should while it searches
    assert torch.isfinite(state.times.errors).all()


def test_a_scaler_may_search_for_long_but_not_for_ever():
    """Its scale falls from 2^16 to 1; then three steps more end the run."""
    state, steps = walk([INF] * 8 + [1], precision="float16")
    assert len(list(steps)) == 9 and (state.skipped, state.bad) == (8, 0)
    state, steps = walk([INF] * 40, precision="float16")
    with pytest.raises(Diverged, match="up to 19"):
        list(steps)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_the_precision_is_the_one_that_was_asked_for(name):
    a = torch.ones(2, 2)
    with autocast(CPU, name):
        assert (a @ a).dtype == getattr(torch, name)
    plan = recipe(precision=name)
    assert prepare(plan, None, CPU).scaler.is_enabled() == (name == "float16")


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_every_weight_of_meanflow_has_much_the_same_gradient_in_half_precision(name):
    """Also those whose cast was first made for the derivative, which has no gradient."""
    gradients = {}
    for precision in ("float32", name):
        plan = recipe("meanflow", precision=precision)
        state = prepare(plan, None, CPU)
        with torch.no_grad():
            state.net.load_state_dict(drawn(state.net.state_dict()))
        loss = METHODS["meanflow"].loss(plan, state.times, empty=2)
        with autocast(CPU, precision):
            value = loss(state.net, loss.timed(moons(64), generator(3))).loss.mean()
        value.backward()
        gradients[precision] = dict(state.net.named_parameters())
    for key, full in gradients["float32"].items():
        half = gradients[name][key].grad
        assert half is not None, key
        assert (half - full.grad).norm() < 0.1 * full.grad.norm(), key


def drawn(weights):
    """None at zero, so that everything has a gradient."""
    g = generator(0)
    return {key: 0.2 * torch.randn(value.shape, generator=g) for key, value in weights.items()}


def test_no_cast_is_kept_for_another_pass():
    """Newer versions of torch forgive it, older ones lose the gradients of the test above."""
    for name in ("bfloat16", "float16"):
        with autocast(CPU, name):
            assert torch.is_autocast_enabled("cpu") and not torch.is_autocast_cache_enabled()


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_half_precision_trains_much_the_same(name, tmp_path, monkeypatch):
    small = partial(torch.amp.GradScaler, init_scale=2.0**6)  # one that needs no search
    monkeypatch.setattr(torch.amp, "GradScaler", small)
    ends = {}
    for precision in ("float32", name):
        *_, last = run_recipe(recipe(steps=12, precision=precision), tmp_path / precision)
        ends[precision] = (last.state, weights(last.state.net))
    state, half = ends[name]
    full = ends["float32"][1]
    start = weights(prepare(recipe(), None, CPU).net)
    assert 0 < (half - full).norm() < 0.2 * (full - start).norm()
    assert half.dtype == torch.float32 and state.skipped == 0


def test_the_scaler_goes_on_where_it_was(tmp_path):
    plan = recipe(steps=6, precision="float16")
    state = prepare(plan, None, CPU)
    list(optimise(plan.model_copy(update={"steps": 3}), state, lambda g: moons(10),
                  Scripted([INF, 1, 1])))  # fmt: skip
    save_state(state, tmp_path)
    again = prepare(plan, None, CPU)
    assert load_state(again, tmp_path)
    assert again.scaler.state_dict() == state.scaler.state_dict()
    assert again.scaler.get_scale() == 2.0**15 and (again.step, again.skipped) == (3, 1)
    for one in (state, again):
        list(optimise(plan.model_copy(update={"steps": 3}), one, lambda g: moons(10), None))
        list(optimise(plan, one, lambda g: moons(10), Scripted([1, 1, 1])))
    assert torch.equal(weights(state.net), weights(again.net))


def test_the_derivative_is_taken_eagerly_of_a_compiled_network(monkeypatch):
    plan = recipe("meanflow", meanflow={"share_interval": 0.7})
    state = prepare(plan, None, CPU)
    compiled, asked = nn.Module(), []
    compiled._orig_mod = state.net
    compiled.forward = lambda *given: asked.append(len(given[0])) or state.net(*given)
    loss = METHODS["meanflow"].loss(plan, state.times)
    batch = loss.timed(moons(10), generator(0))
    wanted = loss(state.net, batch).loss
    torch.testing.assert_close(loss(compiled, batch).loss, wanted)
    assert asked == [10]  # the fit alone, not the derivative on 7 rows
    assert eager(compiled) is state.net


@pytest.mark.whole
def test_a_compiled_network_learns_the_same(tmp_path):
    """About half a minute: the network, and again without gradient for its own guidance."""
    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("there is no compiler")
    ends = {}
    for compiled in (False, True):
        plan = recipe("meanflow", steps=3, compile=compiled)
        *_, last = run_recipe(plan, tmp_path / str(compiled))
        ends[compiled] = weights(last.state.net)
    start = weights(prepare(recipe("meanflow"), None, CPU).net)
    assert (ends[True] - ends[False]).norm() < 1e-3 * (ends[True] - start).norm()
    assert hasattr(faster(nn.Linear(2, 2)), "_orig_mod")
