"""Training and sampling on a GPU: what they make is what the CPU makes, to rounding."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from flowdemo.config.options import Schedule
from flowdemo.core.noise import generator
from flowdemo.data import ClassifierPlan
from flowdemo.sampling.run import sample
from flowdemo.training import dataset, fit_classifier
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.run import prepare, run_recipe
from tests.conftest import make_model

pytestmark = pytest.mark.gpu
DEVICE = torch.device("cuda")
SMALL = ["net.widths=[8,16]", "net.dim=16", "batch_size=8", "steps=4", "warmup=0"]
SMALL += ["precision=float32"]


@pytest.fixture
def few(monkeypatch, trained):
    """A few images in the place of CIFAR-10."""
    images = torch.randint(256, (40, 3, 32, 32), generator=generator(0)).byte()
    monkeypatch.setattr(dataset, "training_set", lambda name: (images, torch.arange(40) % 10))
    return trained


def test_samples_of_a_gpu_are_those_of_the_cpu():
    for method, steps in (("flow-matching", 8), ("reflow", 4), ("meanflow", 1)):
        model = make_model("cifar10", method, guidance_input=method != "flow-matching")
        on_gpu = replace(model, net=deepcopy(model.net).to(DEVICE))
        there = sample(on_gpu, 8, "all", 2.0, steps=steps, seed=3)
        here = sample(model, 8, "all", 2.0, steps=steps, seed=3)
        assert there.images.device.type == "cpu"
        assert (there.images - here.images).abs().median() < 2 / 255


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_recipe_of_colour_trains_and_goes_on(few, precision):
    """Each after the one that it builds on, dropout and derivatives and all; stopped in the middle."""
    for name in ("cifar10-flow-matching", "cifar10-reflow", "cifar10-meanflow"):
        changes = [*SMALL, f"precision={precision}"]
        if name == "cifar10-reflow":
            changes += ["pairs.count=40", "pairs.steps=2"]
        plan = read_recipe(name, changes)
        events = run_recipe(plan, few / name)
        while getattr(next(events), "step", 0) < 2:
            pass
        events.close()
        *_, last = run_recipe(plan, few / name, resume=True)
        assert last.step == 4 and last.state.skipped < 4 and last.state.device.type == DEVICE.type
        assert all(torch.isfinite(p).all() for p in last.state.ema.parameters())
        assert (few / name / "model.safetensors").is_file()


def test_a_compiled_network_learns_the_same_there(few):
    ends = {}
    for compiled in ("false", "true"):
        plan = read_recipe(
            "cifar10-flow-matching", [*SMALL, "net.dropout=0", f"compile={compiled}"]
        )
        *_, last = run_recipe(plan, few / compiled)
        ends[compiled] = torch.cat([p.detach().flatten() for p in last.state.net.parameters()])
    plan = read_recipe("cifar10-flow-matching", [*SMALL, "net.dropout=0"])
    start = torch.cat([p.detach().flatten() for p in prepare(plan, None, DEVICE).net.parameters()])
    moved, apart = (ends["false"] - start).norm(), (ends["true"] - ends["false"]).norm()
    assert apart < 0.1 * moved


def test_the_classifier_is_fitted_there(monkeypatch):
    labels = torch.arange(40) % 10
    images = (labels / 10)[:, None, None, None] * torch.ones(1, 3, 32, 32)
    written = []
    monkeypatch.setattr(fit_classifier, "pixels_of", lambda data, split: (images, labels))
    monkeypatch.setattr(
        fit_classifier, "write", lambda data, net, folder, gallery: written.append(net)
    )
    list(fit_classifier.fit("cifar10", ClassifierPlan(schedule=Schedule(steps=3, batch_size=20))))
    assert written[0](images).shape == (40, 10)
