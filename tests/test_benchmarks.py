"""The benchmarks run: small here, for what they call, not for their numbers."""

import re

from benchmarks import ablations, sampling, training_step

TINY = ("batch_size=4", "net.widths=[8,16]", "net.dim=16")


def ratios(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"ratio (\d+\.\d+)", text)]


def test_every_kind_of_training_step_is_timed_against_flow_matching(capsys):
    training_step.main(1, *TINY)
    first, *others = ratios(capsys.readouterr().out)
    assert first == 1 and len(others) == 9 and min(others) > 0


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
