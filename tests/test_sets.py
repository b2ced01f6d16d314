"""What a recipe trains on: own pictures, mirrored or not, and data in the scale that it asks for."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from flowdemo.checkpoints import load_folder
from flowdemo.config.recipe import Recipe
from flowdemo.data import training_set
from flowdemo.evaluation.metrics import wasserstein_2
from flowdemo.sampling.run import sample
from flowdemo.training import dataset
from flowdemo.training.dataset import coupling_of, dataset_of
from flowdemo.training.run import run_recipe

UNET = {"kind": "unet", "widths": [8], "dim": 16}


def points(**changes) -> Recipe:
    base = {"name": "x", "method": "flow-matching", "data": "two-gaussians", "net": {"kind": "mlp"},
            "steps": 2, "batch_size": 16}  # fmt: skip
    return Recipe(**(base | changes))


def shapes(folder, **changes) -> Recipe:
    """A recipe of own pictures: twelve bright on the left, in two classes."""
    for k in range(12):
        pixels = np.zeros((8, 8), np.uint8)
        pixels[:, :4] = 100 + 10 * k
        place = folder / ("dark" if k < 6 else "light")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{k}.png")
    base = {"data": "shapes", "source": str(folder), "shape": [1, 8, 8], "net": UNET}
    return points(**(base | changes))


def drawn(recipe, n=4000):
    return coupling_of(recipe)(n, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("how", "low", "high"), [("mean-std", None, None), ("min-max", -1, 1), ("data", None, None)]
)
def test_points_are_scaled_as_the_recipe_says(how, low, high):
    data, _ = training_set("two-gaussians")
    x = drawn(points(normalise=how)).x_1
    if how == "mean-std":
        assert x.mean(0).abs().max() < 0.06 and (x.std(0) - 1).abs().max() < 0.05
    if how == "min-max":
        assert x.min() >= low and x.max() <= high and x.max() - x.min() > 1.5
    if how == "data":
        assert (x.std(0) - data.std(0)).abs().max() < 0.15


@pytest.mark.parametrize("how", ["min-max", "mean-std"])
def test_the_scale_stands_in_the_checkpoint_and_is_undone_at_sampling(how, tmp_path):
    """The numbers are those of the data, and normalise takes samples back to what was trained on."""
    list(run_recipe(points(normalise=how, steps=400, batch_size=128), tmp_path / "x"))
    model, (data, labels) = load_folder(tmp_path / "x"), training_set("two-gaussians")
    if how == "mean-std":
        middle, spread = data.double().mean(0), data.double().std(0, correction=0)
    else:
        low, high = data.amin(0).double(), data.amax(0).double()
        middle, spread = (low + high) / 2, (high - low) / 2
    torch.testing.assert_close(torch.tensor(model.config.mean).double(), middle)
    torch.testing.assert_close(torch.tensor(model.config.std).double(), spread)
    made = sample(model, 500, labels[:500].tolist(), steps=20).points
    assert wasserstein_2(made, data[:500]) < 0.6 < wasserstein_2(model.normalise(made), data[:500])


def test_own_pictures_give_their_classes_and_their_pixels(tmp_path):
    plan = shapes(tmp_path / "own")
    info, batch = dataset_of(plan), drawn(plan, 300)
    assert (info.classes, info.shape) == (("dark", "light"), (1, 8, 8))
    assert batch.x_1[..., 4:].eq(-1).all() and batch.x_1[..., :4].min() > -0.3  # black is -1
    bright = batch.x_1[:, 0, 0, 0] > 2 * 155 / 255 - 1
    assert torch.equal(bright, batch.label == 1)


def test_pictures_are_mirrored_where_that_is_asked_for(tmp_path):
    plain, mirrored = (drawn(shapes(tmp_path / "own", flip=f)).x_1 for f in (False, True))
    on_the_right = [(x[:, 0, 0, -1] > -1).double().mean().item() for x in (plain, mirrored)]
    assert on_the_right[0] == 0 and on_the_right[1] == pytest.approx(0.5, abs=0.03)


def test_a_run_on_own_pictures_gives_a_checkpoint_without_the_path_of_them(tmp_path):
    list(run_recipe(shapes(tmp_path / "secret" / "own"), tmp_path / "x"))
    model = load_folder(tmp_path / "x")
    assert model.config.data == "shapes" and model.config.classes == ("dark", "light")
    assert model.config.recipe.source == "own"
    assert "secret" not in (tmp_path / "x" / "config.json").read_text()
    assert sample(model, 4, "all", steps=1).images.shape == (4, 1, 8, 8)


def test_a_run_does_not_go_on_with_other_pictures(tmp_path):
    plan = shapes(tmp_path / "own")
    next(run_recipe(plan, tmp_path / "x"))
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "own" / "dark" / "0.png")
    dataset.own_pictures.cache_clear()
    with pytest.raises(ValueError, match="or other pictures"):
        next(run_recipe(plan, tmp_path / "x", resume=True))
    kept = json.loads((tmp_path / "x" / "training" / "recipe.json").read_text())
    dataset.own_pictures.cache_clear()
    shapes(tmp_path / "own")  # as they were
    own = dataset.own_pictures(plan.source, plan.shape)
    parts = own.images.numpy().tobytes(), own.labels.numpy().tobytes(), repr(own.classes).encode()
    assert kept["pictures"] == hashlib.sha256(b"".join(parts)).hexdigest()


def test_pictures_that_cannot_be_read_are_named(tmp_path, caplog):
    plan = shapes(tmp_path / "own")
    (tmp_path / "own" / "dark" / "torn.png").write_bytes(b"no picture")
    dataset.own_pictures.cache_clear()
    next(run_recipe(plan, tmp_path / "x"))
    (line,) = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert line.startswith("skipped: dark/torn.png: ") or line.startswith("skipped: torn.png: ")
    dataset.own_pictures.cache_clear()


def test_own_pictures_do_not_go_by_the_name_of_another_set(tmp_path):
    with pytest.raises(ValueError, match="'mnist' is another set"):
        dataset_of(shapes(tmp_path / "own", data="mnist"))
    for half in ({"source": str(tmp_path)}, {"shape": [1, 8, 8]}):
        with pytest.raises(ValueError, match="come together"):
            points(**half)
