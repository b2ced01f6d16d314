"""A method is one module: what is registered in METHODS reaches the whole app by itself."""

import json
from dataclasses import dataclass, replace

import pytest
import torch

from flowdemo.checkpoints import load_folder
from flowdemo.checkpoints.cards import card
from flowdemo.config.checkpoint import ModelConfig
from flowdemo.evaluation.fields import Source
from flowdemo.methods import AVERAGE, METHODS, Tuning, colour_of
from flowdemo.methods.losses import Terms
from flowdemo.methods.meanflow import MEANFLOW, MeanFlow
from flowdemo.nets.sizes import MLPConfig
from flowdemo.output.plots import Timing, timing
from flowdemo.sampling.run import sample
from flowdemo.training.finetune import FineTuning, completed, refusal
from flowdemo.training.live import LabTraining, live_recipe, train_live
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.run import run_recipe
from tests.conftest import make_model

RECIPE = {
    "name": "moons-toy", "method": "toy", "data": "moons", "steps": 2, "batch_size": 32,
    "net": {"kind": "mlp", "width": 16, "end_time": True}, "meanflow": {"share_interval": 0.75},
}  # fmt: skip


@dataclass(frozen=True)
class Weighted(MeanFlow):
    """MeanFlow whose rows have another weight."""

    def __call__(self, net, batch):
        terms = super().__call__(net, batch)
        return Terms(torch.exp(-terms.error) * terms.loss, terms.error)


@pytest.fixture
def toy(monkeypatch):
    """A fourth method: a loss and an entry of the registry."""
    method = replace(
        MEANFLOW, name="toy", title="Toy flow", colour="#CC79A7", loss=Weighted.of,
        tuning=Tuning(Weighted.for_tuning, steps=7),
    )  # fmt: skip
    monkeypatch.setitem(METHODS, "toy", method)
    return method


def trained(content, folder):
    """The checkpoint of a recipe file."""
    file = folder / "recipe.json"
    folder.mkdir()
    file.write_text(json.dumps(content))
    list(run_recipe(read_recipe(str(file)), folder / "checkpoint"))
    return load_folder(folder / "checkpoint")


def test_a_new_method_trains_by_a_recipe_and_its_checkpoint_loads(toy, tmp_path):
    model = trained(RECIPE, tmp_path / "toy")
    assert ModelConfig.model_validate_json(model.config.model_dump_json()).method == "toy"
    own = model.config.defaults
    assert (own.solver, own.steps) == (AVERAGE, 1) and model.solvers == MEANFLOW.solvers
    assert sample(model, 5).nfe == 1
    other = trained(RECIPE | {"method": "meanflow"}, tmp_path / "meanflow")
    pairs = zip(model.net.parameters(), other.net.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)  # its own loss was trained
    assert "Toy flow on Two moons" in card(model.config)
    assert timing([Timing("row", "toy", 1, 2.0)]).data[0].marker.color == toy.colour
    assert colour_of("toy") == toy.colour != colour_of("unknown") == colour_of("exact")


def test_the_rules_of_a_new_method_name_it(toy, tmp_path):
    for changes, message in [
        ({"eps": 0.01}, "toy needs 'times' that fill"),
        ({"meanflow": None}, "meanflow, toy, and nothing else, needs 'meanflow' options"),
        ({"guidance": [1, 2]}, "toy is guided only by a net with the input 'guidance'"),
    ]:
        file = tmp_path / "recipe.json"
        file.write_text(json.dumps(RECIPE | changes))
        with pytest.raises(ValueError, match=message):
            read_recipe(str(file))


def test_the_lab_trains_a_new_method_from_a_flow(toy):
    source = Source("two-gaussians")
    flow = make_model("two-gaussians")
    recipe = live_recipe(LabTraining("two-gaussians", "toy", steps=2), "lab-toy", flow)
    assert (recipe.method, recipe.teacher) == ("toy", flow.name)
    assert recipe.net.end_time and recipe.meanflow.share_interval == 0.75
    *_, last = train_live(recipe, source.coupling(), flow)
    assert last.model.config.method == "toy"
    alone = live_recipe(LabTraining("two-gaussians", "toy"), "lab-toy")
    assert isinstance(alone.net, MLPConfig) and alone.teacher is None


def test_a_checkpoint_of_a_new_method_can_be_fine_tuned(toy):
    config = make_model("mnist", "meanflow", guidance_input=True).config
    config = config.model_copy(update={"method": "toy"})
    assert refusal(config) is None and completed(FineTuning("x"), config).steps == 7
    assert isinstance(METHODS[config.method].tuning.loss(config), Weighted)


def test_the_lab_learns_from_flows_and_reflow_needs_one():
    facts = {
        name: (method.is_flow, method.needs_flow, method.lab.learns_from_flow, method.lab.rounds)
        for name, method in METHODS.items()
    }
    assert facts == {
        "flow-matching": (True, False, False, 1),
        "reflow": (True, True, True, 2),
        "meanflow": (False, False, True, 1),
    }
