"""Models saved under a name that somebody chose."""

import pytest
import torch

from flowdemo import checkpoints
from flowdemo.checkpoints import CARD, CONFIG, folders, load, read_config, save_as
from flowdemo.lab import Source
from flowdemo.sampling import sample
from flowdemo.training.live import Wish, live_recipe, train_live


@pytest.fixture(scope="module")
def model():
    """Trained for three steps: as the 2-D Lab would save it."""
    recipe = live_recipe(Wish("moons", steps=3), "lab-flow-matching")
    *_, last = train_live(recipe, Source("moons").coupling(), every=1e9)
    return last.model


@pytest.mark.parametrize("name", ["mine", "a", "7-moons.v2_x", "x" * 64])
def test_a_saved_model_has_its_new_name_and_makes_the_same_samples(model, trained, name):
    save_as(model, name)
    loaded = load(name)
    assert loaded.name == loaded.config.recipe.name == name
    assert (
        model.name == model.config.recipe.name == "lab-flow-matching"
    )  # the old one stays as it was
    assert loaded.config.net == model.config.net and loaded.config.training == model.config.training
    before, after = (sample(m, 50, "all", 2.0, steps=10, seed=1).points for m in (model, loaded))
    torch.testing.assert_close(after, before, atol=5e-3, rtol=0)
    assert not torch.equal(after, before)  # float16
    assert read_config(trained / name).name == name
    assert f"# {name}\n" in (trained / name / CARD).read_text()


@pytest.mark.parametrize(
    "name",
    ["", " ", "Mine", "my model", "-mine", ".mine", "_mine", "../mine", "a/b", "/tmp/mine", "a\\b",
     "mine\n", "x" * 65, "größe", "a:b", "..", "mine\0"],
)  # fmt: skip
def test_what_is_no_name_is_refused_and_leaves_nothing(model, trained, name):
    with pytest.raises(ValueError, match="is no name"):
        save_as(model, name)
    assert not list(trained.iterdir())


def test_a_name_that_ships_is_taken(model, trained):
    with pytest.raises(ValueError, match="a checkpoint 'moons-reflow' already"):
        save_as(model, "moons-reflow")
    assert not list(trained.iterdir())


def test_a_name_that_was_given_here_is_taken_and_its_checkpoint_stays(model, trained):
    save_as(model, "mine")
    before = (trained / "mine" / CONFIG).read_bytes()
    with pytest.raises(ValueError, match="a checkpoint 'mine' already; choose another"):
        save_as(model, "mine")
    assert (trained / "mine" / CONFIG).read_bytes() == before
    save_as(model, "mine-2")
    assert folders()["mine-2"] == trained / "mine-2"


def test_the_folder_of_a_run_that_is_not_finished_is_taken(model, trained):
    (trained / "half" / "training").mkdir(parents=True)
    with pytest.raises(ValueError, match="already"):
        save_as(model, "half")
    assert [path.name for path in (trained / "half").iterdir()] == ["training"]


def test_a_failure_leaves_no_checkpoint(model, trained, monkeypatch):
    def full(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(checkpoints, "save_tensors", full)
    with pytest.raises(OSError, match="full"):
        save_as(model, "mine")
    assert "mine" not in folders()
