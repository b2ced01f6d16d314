"""Where a run goes: large networks to a lent GPU, all others to the CPU."""

import importlib.util
import pickle
import sys

import gradio as gr
import pytest
import torch

import flowdemo
from flowdemo import model as models
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import run
from flowdemo.ui.shared import gpu
from flowdemo.ui.shared.models import budget, load, operations_of
from tests.conftest import make_model

NAME = "moons-flow-matching"
GIVEN = Request("", 4, "all", 2.0, "euler", 3, seed=5)


@pytest.fixture
def lent(monkeypatch):
    """The calls of the lent function, on a Space whose GPU is lent, where all networks are large."""
    calls = []
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(models, "LARGE", 0)
    monkeypatch.setattr(gpu, "on_lent_gpu", lambda *given: calls.append(given) or "made there")
    return calls


def test_a_large_network_goes_to_the_lent_gpu_by_numbers_alone(lent):
    assert gpu.draw(flowdemo.load(NAME), GIVEN) == ("made there", "")
    assert lent == [(NAME, GIVEN)]
    assert pickle.loads(pickle.dumps(lent)) == lent


def test_a_small_network_stays_on_the_cpu(lent, monkeypatch):
    monkeypatch.setattr(models, "LARGE", 20_000_000)
    made, note = gpu.draw(make_model("mnist"), GIVEN)
    assert made.images.shape == (4, 1, 28, 28) and note == "" and lent == []


@pytest.mark.parametrize("value", [None, "", "0", "false"])
def test_where_no_gpu_is_lent_a_large_network_stays_too(lent, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("SPACES_ZERO_GPU")
    else:
        monkeypatch.setenv("SPACES_ZERO_GPU", value)
    made, note = gpu.draw(flowdemo.load(NAME), GIVEN)
    assert len(made.points) == 4 and note == "" and lent == []


def test_without_quota_the_run_falls_back_to_the_cpu_and_says_so(lent, monkeypatch):
    def refuse(*given):
        raise gr.Error("You have exceeded your GPU quota\nTry again")

    monkeypatch.setattr(gpu, "on_lent_gpu", refuse)
    model, watched = flowdemo.load(NAME), []
    made, note = gpu.draw(model, GIVEN, watched.append)
    assert torch.equal(made.points, run(model, GIVEN).points)
    assert note == "You have exceeded your GPU quota" and len(watched) == 3
    monkeypatch.setattr(gpu, "budget", lambda model: 11)
    with pytest.raises(ValueError, match="quota: on the CPU, 24 network evaluations") as error:
        gpu.draw(model, GIVEN)
    assert "\n" not in str(error.value)


def test_an_error_of_the_request_comes_out_of_the_lent_run(lent, monkeypatch):
    monkeypatch.setattr(gpu, "on_lent_gpu", lambda *given: ValueError("steps must lie in"))
    with pytest.raises(ValueError, match="steps must lie"):
        gpu.draw(flowdemo.load(NAME), GIVEN)


def test_the_lent_function_samples_the_model_of_that_name_within_the_limits(monkeypatch):
    moved = []
    monkeypatch.setattr(gpu, "moved_to", lambda model, device: moved.append(device) or model)
    made = gpu.on_lent_gpu(NAME, GIVEN)
    assert moved == [torch.device("cuda")]
    assert torch.equal(made.points, run(flowdemo.load(NAME), GIVEN).points)
    monkeypatch.setattr(gpu, "budget", lambda model: 11)
    refused = gpu.on_lent_gpu(NAME, GIVEN)
    assert isinstance(refused, ValueError) and "exceed the limit of 11" in str(refused)


def test_a_lent_call_asks_for_seconds_by_its_work(monkeypatch):
    few, many = (gpu.seconds_of(NAME, Request(n=n)) for n in (4, 10**9))
    assert few == gpu.LEAST < many == gpu.MOST <= 120
    assert gpu.seconds_of(NAME, Request()) == few


@pytest.mark.parametrize("is_there", [True, False])
def test_off_such_spaces_the_marked_function_is_the_plain_one(monkeypatch, is_there):
    if not is_there:
        monkeypatch.setitem(sys.modules, "spaces", None)  # importing it fails
    spec = importlib.util.spec_from_file_location("another_gpu", gpu.__file__)
    another = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(another)
    function = another.on_lent_gpu
    assert function.__name__ == "on_lent_gpu" and function.__module__ == "another_gpu"
    assert not hasattr(function, "__wrapped__")
    assert function.__code__.co_filename == gpu.__file__


def test_on_the_cpu_a_larger_network_may_take_fewer_evaluations(monkeypatch):
    model = make_model("mnist")
    most = budget(model)
    monkeypatch.setattr(flowdemo.ui.shared.models, "CHEAP", operations_of(model) / 2)
    assert budget(model) == most // 2
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    assert budget(model) == most // 20
    points = make_model()
    assert budget(points) == 1_000_000  # of points none is large


def test_a_model_that_is_not_here_is_not_loaded():
    with pytest.raises(ValueError, match="is not here yet: pull it in the Models tab"):
        load("mnist-flow-matching-yarr")
