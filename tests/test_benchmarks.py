"""The benchmarks run: small here, for what they call, not for their numbers."""

import re

import torch

from benchmarks import ablations, sampling, throughput, training_step
from flowdemo.noise import generator
from flowdemo.training import sets

TINY = ("batch_size=4", "net.widths=[8,16]", "net.dim=16")


def ratios(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"ratio (\d+\.\d+)", text)]


def test_every_kind_of_training_step_is_timed_against_flow_matching(capsys):
    training_step.main(1, *TINY)
    first, *others = ratios(capsys.readouterr().out)
    assert first == 1 and len(others) == 9 and min(others) > 0


def test_the_loop_is_timed_against_a_bare_one_and_all_else_by_itself(capsys, monkeypatch):
    images = torch.randint(256, (50, 1, 28, 28), generator=generator(0)).byte()
    monkeypatch.setattr(sets, "training_set", lambda name: (images, torch.arange(50) % 10))
    throughput.main(1, 2, *TINY)
    text = capsys.readouterr().out
    share, less = map(float, re.search(r"(\S+) of its speed, (\S+) with", text).groups())
    assert 0 < less < share
    couplings = re.findall(r"drawing a batch, (\S+): (\S+) ms", text)
    assert [name for name, _ in couplings] == ["independent", "ot"]


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
