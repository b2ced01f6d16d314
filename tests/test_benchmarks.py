"""The benchmarks run: small here, for what they call, not for their numbers."""

import re

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import ablations, device, sampling, throughput, training_step
from flowdemo.core.noise import generator
from flowdemo.training import dataset
from flowdemo.training.recipe_files import read_recipe

TINY = ("batch_size=4", "net.widths=[8,16]", "net.dim=16")


def ratios(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"ratio (\d+\.\d+)", text)]


def test_every_kind_of_training_step_is_timed_against_flow_matching(capsys):
    training_step.main(1, *TINY)
    first, *others = ratios(capsys.readouterr().out)
    assert first == 1 and len(others) == 9 and min(others) > 0


def test_the_loop_is_timed_against_a_bare_one_and_all_else_by_itself(capsys, monkeypatch):
    images = torch.randint(256, (50, 1, 28, 28), generator=generator(0)).byte()
    monkeypatch.setattr(dataset, "training_set", lambda name: (images, torch.arange(50) % 10))
    throughput.main(1, 2, *TINY)
    text = capsys.readouterr().out
    share, less = map(float, re.search(r"(\S+) of its speed, (\S+) with", text).groups())
    assert 0 < less < share
    couplings = re.findall(r"drawing a batch, (\S+): (\S+) ms", text)
    assert [name for name, _ in couplings] == ["independent", "ot"]


@pytest.mark.whole
def test_a_device_is_measured_by_training_and_sampling_each_recipe(capsys, monkeypatch):
    """Here without its compiler, which takes half a minute."""
    monkeypatch.setattr(device, "faster", lambda net: net)
    monkeypatch.setattr(device, "seconds", lambda work, repeats=1: (work(), 0.5)[1])
    monkeypatch.setattr(device, "SIDES", (64,))
    monkeypatch.setattr(device, "SAMPLES", 2)
    device.main("mnist-flow-matching", "cifar10-meanflow", "mnist-meanflow-dit", "batch_size=4")
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "|" in line][2:]
    hows = ["float32", "bfloat16", "bfloat16, compiled, no dropout", "sampling in float32"]
    with_plain = [*hows[:3], "bfloat16, plain attention", hows[3]]
    assert [row[1] for row in rows] == [*hows, *hows, *with_plain]
    assert all(row[2:4] == ["500 ms", "8"] for row in rows if row[1] != hows[3])
    assert all(row[2] == "4.0 a second at 1 NFE" for row in rows if row[1] == hows[3])


def test_the_operations_of_a_step_are_those_of_forward_and_backward():
    """Three times the forward pass, of every row, but for the first layer's gradient by its input."""
    changes = ["start_from=null", "batch_size=4", "net.widths=[8,16]", "net.dim=16"]
    plan = read_recipe("mnist-flow-matching", changes)
    step, model = device.stepper(plan)
    x, t, label = torch.zeros(4, 1, 28, 28), torch.zeros(4), torch.zeros(4).long()
    forward, whole = (FlopCounterMode(display=False) for _ in range(2))
    with forward:
        model.net(x, t, None, label)
    with whole:
        step()
    assert 2.7 < whole.get_total_flops() / forward.get_total_flops() <= 3


def test_every_ablation_is_a_recipe_and_one_runs(monkeypatch):
    for changes in ablations.CHOICES.values():
        assert ablations.recipe_of(changes, seed=1).seed == 1
    monkeypatch.setattr(ablations, "POINTS", 50)
    one, four = ablations.run("power 0.5", seed=0, steps=2)
    assert one > 0 and four > 0 and one != four


def test_sampling_is_timed_against_bare_calls_of_both_kinds_of_network(capsys):
    sampling.ratio("mnist-flow-matching", steps=2, pairs=1)
    sampling.ratio("mnist-meanflow", steps=1, pairs=1)
    assert len(ratios(capsys.readouterr().out)) == 2
