"""Checkpoints: saved is loaded, broken or hostile is refused, and nothing is half-written."""

import hashlib
import json
import os
import resource
import struct
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file

import flowdemo
from flowdemo import checkpoints
from flowdemo.checkpoints import (
    CARD,
    CONFIG,
    WEIGHTS,
    cache,
    cards,
    folders,
    load,
    load_folder,
    read_config,
    save,
    save_as,
)
from flowdemo.config.checkpoint import ModelConfig
from flowdemo.config.recipe import Recipe
from flowdemo.hub import models
from flowdemo.nets.sizes import NetConfig
from flowdemo.sampling.run import sample
from flowdemo.training.recipe_files import read_recipe, recipe_names
from tests.conftest import make_model


@pytest.mark.parametrize("data", ["moons", "mnist"])
@pytest.mark.parametrize("method", ["flow-matching", "reflow", "meanflow"])
def test_a_loaded_model_is_the_saved_one_up_to_float16(tmp_path, data, method):
    model = make_model(data, method, guidance_input=method != "flow-matching")
    tmp_path = tmp_path / model.name
    save(model, tmp_path)
    loaded = load_folder(tmp_path)
    digest = hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest()
    assert loaded.config == model.config.model_copy(update={"sha256": digest})
    assert {p.dtype for p in loaded.net.parameters()} == {torch.float32}
    for a, b in zip(loaded.net.parameters(), model.net.parameters(), strict=True):
        assert torch.equal(a, b.half().float())
    assert sorted(p.name for p in tmp_path.iterdir()) == [CARD, CONFIG, WEIGHTS]
    assert {t.dtype for t in load_file(tmp_path / WEIGHTS).values()} == {torch.float16}


def test_a_checkpoint_trained_here_is_listed_and_hides_a_shipped_one(trained, monkeypatch):
    shipped = trained / "shipped"
    monkeypatch.setattr(checkpoints, "SHIPPED", shipped)
    model = make_model()
    save(model, shipped / model.name)
    assert models.descriptions()[0]["where"] == "shipped"
    save(model, trained / model.name)
    row, *others = models.descriptions()
    assert row["where"] == "trained here, hides the shipped one"
    assert {other["where"] for other in others} == {"on the Hub"}
    assert checkpoints.folders()[model.name] == trained / model.name
    (trained / ".draft-x").mkdir()
    (trained / ".draft-x" / CONFIG).write_text("{}")
    assert len(checkpoints.folders()) == 1


def test_a_name_is_never_a_path_and_a_path_is_a_folder(trained):
    model = make_model()
    save(model, trained / "place")
    with pytest.raises(ValueError, match="is no repository"):
        flowdemo.load(str(trained / "place"))
    assert flowdemo.load(trained / "place").name == "place"
    assert flowdemo.load("place").config.method == model.config.method
    with pytest.raises(ValueError, match=r"no model 'x'; there are: .*place"):
        flowdemo.load("x")
    with pytest.raises(ValueError, match=r"'../x' is no repository"):
        flowdemo.load("../x")


TRAINED = {"images_seen": 1, "hours": 1.0, "machine": "a CPU, 2 thread(s)"}


def broken(tmp_path, **changes):
    """A good checkpoint with changed fields of its config.json."""
    save(make_model(), tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    for key, value in changes.items():
        target = config
        *parents, leaf = key.split("__")
        for parent in parents:
            target = target[parent]
        target[leaf] = value
    (tmp_path / CONFIG).write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 99}, "schema_version"),
        ({"net__width": 10**9}, "net.mlp.width"),
        ({"net__depth": 10**6}, "net.mlp.depth"),
        ({"net__width": 32}, "does not fit its config.json"),
        ({"net__end_time": True}, "does not fit its config.json"),
        ({"shape": [3]}, "points of shape"),
        ({"shape": [10**9, 10**9, 10**9]}, "shape"),
        ({"std": [0, 1]}, "std"),
        ({"mean": [0]}, "a number for each"),
        ({"crop": 1}, "'crop'"),
        ({"decoder": "sd-vae-ft-mse"}, "'decoder'"),
        ({"classes": ["x"] * 2000}, "classes"),
        ({"classes": []}, "classes"),
        ({"data": "secrets"}, "not one of the known sets of points"),
        ({"data": "mnist"}, "another shape or other classes"),
        ({"defaults__solver": "magic"}, "defaults.solver"),
        ({"guidance": [4, 1]}, "low, high"),
        ({"defaults__guidance": 9}, "default weight"),
        ({"method": "reflow"}, "guided only by a net with the input"),
        ({"sha256": "0" * 64}, "is not the file"),
        ({"surprise": 1}, "surprise"),
        ({"name": "../../etc/passwd"}, "name"),
        ({"results": {"rows": [{}]}}, "results"),
        ({"results": {"straightness": 0.1, "rows": [{"nfe": 1, "guidance": 1}]}}, "results"),
        ({"results": {"straightness": "<b>", "rows": []}}, "results"),
        ({"training": TRAINED | {"images_seen": "many"}}, "training"),
        # a card shows these: no markup
        ({"training": TRAINED | {"machine": "[log in](http://x)"}}, "machine"),
        ({"training": TRAINED | {"machine": "<b>x</b>"}}, "machine"),
        ({"training": TRAINED | {"machine": "![p](x)"}}, "machine"),
    ],
)
def test_a_wrong_or_hostile_config_is_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        load_folder(broken(tmp_path, **changes))
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


@pytest.mark.parametrize("shape", [[10**10], ["x"], [1.5], None, 3, [-1], [0]])
def test_an_old_description_of_a_huge_sample_is_refused_before_it_is_spread(tmp_path, shape):
    save(make_model(), tmp_path)
    (tmp_path / CONFIG).write_text(json.dumps({"schema_version": 1, "shape": shape}))
    with pytest.raises(ValueError, match="no description of a checkpoint"):
        load_folder(tmp_path)


def test_only_what_was_converted_here_was_trained_by_others(tmp_path, monkeypatch):
    origin = {"repo": "ann/good", "file": "a.pt", "revision": "a" * 40, "sha256": "b" * 64}
    broken(tmp_path / "claimed", origin=origin)
    assert load_folder(tmp_path / "claimed").config.origin is None
    monkeypatch.setattr(cache, "converted", lambda: tmp_path)
    assert load_folder(tmp_path / "claimed").config.origin.repo == "ann/good"


def test_a_card_needs_no_numbers_that_a_description_may_lack(tmp_path):
    rows = [{"nfe": 1, "guidance": 1.0, "solver": "euler", "steps": 1, "n": 9}]
    results = {"straightness": 0.1, "rows": rows, "floor_frechet_distance": 0.1}
    recipe = json.loads(read_recipe("moons-flow-matching").model_dump_json())
    config = read_config(broken(tmp_path, results=results, recipe=recipe))
    assert "What it cost is not known" in cards.card(config)


def test_attention_over_a_huge_picture_is_refused():
    net = {"kind": "unet", "widths": [8], "patch": 1}
    fields = make_model("mnist").config.model_dump() | {"net": net, "shape": [1, 256, 256]}
    with pytest.raises(ValueError, match="coarsest level"):
        ModelConfig.model_validate(fields)


def test_weights_of_another_kind_are_refused(tmp_path):
    save(make_model(), tmp_path)
    tensors = {k: v.to(torch.int64) for k, v in load_file(tmp_path / WEIGHTS).items()}
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match="must hold F16, BF16 or F32, not I64"):
        load_folder(tmp_path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no checkpoint: it has no config.json"):
        load_folder(tmp_path)
    save(make_model(), tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"\x80\x04pickle" * 100)
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_folder(tmp_path)
    header = json.dumps({"x": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}})
    (tmp_path / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"0" * 64)
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_folder(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ValueError, match=r"it has no model.safetensors"):
        load_folder(tmp_path)
    (tmp_path / CONFIG).write_text("[" * 10_000)
    with pytest.raises(ValueError, match=r"config.json"):
        load_folder(tmp_path)


def test_a_missing_or_renamed_tensor_is_named(tmp_path):
    save(make_model(), tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    tensors["out.wait"] = tensors.pop("out.weight")
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=r"out\.wait, out\.weight"):
        load_folder(tmp_path)


def test_a_huge_network_is_refused_before_it_is_allocated(tmp_path):
    """The largest sizes the schema allows, in a process that may not have the memory for them."""
    net = {"kind": "unet", "widths": [512] * 3, "blocks": 4, "dim": 1024, "patch": 1}
    image = {"shape": [1, 28, 28], "data": "mnist", "classes": [str(i) for i in range(10)]}
    broken(tmp_path, net=net, mean=[0.5], std=[0.5], **image)
    code = (
        "import sys, resource; from pathlib import Path; from flowdemo.checkpoints import load_folder\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)\n"
        "try: load_folder(Path(sys.argv[1]))\n"
        "except ValueError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert "does not fit its config.json" in run.stdout, run.stderr[-500:]


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path):
    save(make_model(), tmp_path / "model")
    before = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}
    other = make_model("mnist")  # larger than the limit below
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="is the disk full"):
            save(other, tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]  # no draft is left
    load_folder(tmp_path / "model")


def test_the_card_of_an_unmeasured_model_claims_nothing(tmp_path):
    save(make_model(), tmp_path)
    card = (tmp_path / CARD).read_text()
    assert (
        "\nlicense: mit\n" in card
        and "model-index" not in card
        and "Nothing yet" in card
        and "| NFE |" not in card
    )


@pytest.mark.parametrize(("data", "told"), [("cifar10", True), ("mnist", False)])
def test_the_card_says_where_the_numbers_are_of_compressed_copies(data, told):
    row = {"nfe": 1, "guidance": 1.0, "solver": "euler", "steps": 1, "n": 10, "class_accuracy": 0.5}
    config = make_model(data).config
    measured = config.model_copy(update={"results": {"rows": [row]}})
    assert ("JPEG copies" in cards.card(measured)) == told and "JPEG" not in cards.card(config)


def test_a_result_of_sampling_names_its_weights(tmp_path):
    save(make_model(), tmp_path)
    loaded = load_folder(tmp_path)
    assert len(loaded.revision) == 12
    assert sample(loaded, 1).settings["revision"] == loaded.revision


def test_drafts_of_killed_runs_are_swept_but_fresh_ones_stay(tmp_path):
    names = (".flowdemo-draft-old", ".flowdemo-draft-fresh", ".draft-of-somebody-else")
    old, fresh, foreign = (tmp_path / name for name in names)
    for draft in (old, fresh, foreign):
        draft.mkdir()
        (draft / WEIGHTS).write_bytes(b"half")
    for draft in (old, foreign):
        os.utime(draft, (0, 0))
    save(make_model(), tmp_path / "model")
    assert fresh.is_dir() and foreign.is_dir() and not old.exists()


def test_the_recipe_on_a_card_is_the_whole_recipe():
    """Without its defaults, and it gives the recipe back."""
    for recipe in map(read_recipe, recipe_names()):
        said = cards.recipe_fields(recipe)
        assert Recipe.model_validate(json.loads(json.dumps(said))) == recipe
        assert "clip" not in said and said["net"]["kind"] == recipe.net.kind


@pytest.mark.parametrize(
    "sizes",
    [
        {"kind": "sit", "dim": 34, "heads": 1},
        {"kind": "sit", "dim": 36, "heads": 4},
        {"kind": "yarr", "dim": 96, "heads": 4},
    ],
)
def test_the_width_of_a_transformer_must_be_divisible(sizes):
    adapter = TypeAdapter(NetConfig)
    assert adapter.validate_python(sizes | {"depth": 1, "dim": 64, "heads": 2}).dim == 64
    with pytest.raises(ValueError, match="divisible"):
        adapter.validate_python(sizes | {"depth": 1})


@pytest.fixture
def model():
    """As the 2-D Lab would save it: it has a recipe of its own."""
    made = make_model()
    recipe = read_recipe("moons-flow-matching").model_copy(update={"name": made.name})
    return replace(made, config=made.config.model_copy(update={"recipe": recipe}))


@pytest.mark.parametrize("name", ["mine", "a", "7-moons.v2_x", "x" * 64])
def test_a_saved_model_has_its_new_name_and_makes_the_same_samples(model, trained, name):
    save_as(model, name)
    loaded = load(name)
    assert loaded.name == loaded.config.recipe.name == name
    assert model.name == model.config.recipe.name == "moons-flow-matching"  # this one stays
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


def test_a_name_that_is_taken_is_refused_and_its_checkpoint_stays(model, trained):
    """By what ships, by what was saved here, or by a run that is not finished."""
    save_as(model, "mine")
    (trained / "half" / "training").mkdir(parents=True)
    before = (trained / "mine" / CONFIG).read_bytes()
    for name in ("moons-reflow", "mine", "half"):
        with pytest.raises(ValueError, match=f"a checkpoint '{name}' already; choose another"):
            save_as(model, name)
    assert (trained / "mine" / CONFIG).read_bytes() == before
    assert [path.name for path in (trained / "half").iterdir()] == ["training"]
    save_as(model, "mine-2")
    assert folders()["mine-2"] == trained / "mine-2"
