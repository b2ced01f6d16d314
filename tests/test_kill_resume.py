"""A run that is killed at any moment and resumed has the weights of one that never stopped."""

import random

import pytest
import torch

from benchmarks import kill_resume


@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=() if k == "steps" else pytest.mark.whole) for k in kill_resume.PLANS],
)
def test_a_killed_run_ends_bit_equal(kind, tmp_path):
    moments, equal = kill_resume.broken(kind, tmp_path, 3, random.Random(0))
    assert equal, moments
    assert len(moments) >= 2


def test_a_run_may_be_killed_behind_its_last_step(tmp_path):
    plan = kill_resume.PLANS["steps"].model_copy(update={"steps": 3})
    assert kill_resume.go(plan, tmp_path / "x", "step 3") == "step 3"
    assert not (tmp_path / "x" / "model.safetensors").exists()
    assert kill_resume.go(plan, tmp_path / "x") == ""
    assert (tmp_path / "x" / "model.safetensors").exists()


def test_the_comparison_sees_a_difference(tmp_path, monkeypatch):
    """Another seed of the noise is other weights: so equal weights say something."""
    plan = kill_resume.PLANS["steps"].model_copy(update={"steps": 2})
    kill_resume.go(plan, tmp_path / "a")
    kill_resume.go(plan.model_copy(update={"seed": 1}), tmp_path / "b")
    a, b = kill_resume.contents(tmp_path / "a"), kill_resume.contents(tmp_path / "b")
    assert a.keys() == b.keys() and any(key.startswith("checkpoint.") for key in a)
    assert not any(torch.equal(a[key], b[key]) for key in a if key.endswith("stem.weight"))


def test_a_run_that_fails_is_no_kill(tmp_path):
    plan = kill_resume.PLANS["pairs"].model_copy(update={"teacher": "nobody"})
    with pytest.raises(RuntimeError, match="failed after start"):
        kill_resume.go(plan, tmp_path / "x")
