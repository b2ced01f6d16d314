"""Models from the Hub by name: what is asked for, what is converted, and what is refused."""

import hashlib
import json
import os

import pytest
import torch
from safetensors.torch import load_file

import flowdemo
from flowdemo import checkpoints
from flowdemo.checkpoints import CONFIG, WEIGHTS, cache
from flowdemo.config.checkpoint import Origin, read_model_config
from flowdemo.core.noise import noise
from flowdemo.data import DATASETS
from flowdemo.hub import catalogue, download, models
from flowdemo.hub.client import pull
from flowdemo.nets import build_net
from flowdemo.nets.convert import ADAPTERS
from flowdemo.sampling.run import sample
from flowdemo.settings import max_download, max_store
from tests.conftest import make_model
from tests.golden import golden, state
from tests.hub.fixtures import REPO, TOKEN, fetched, files_of, pulled, saved


@pytest.mark.parametrize("name", catalogue.entries())
def test_an_entry_of_the_catalogue_describes_a_network_of_its_size(name):
    entry = catalogue.entries()[name]
    config = entry.config_of(Origin(repo="a/b", file="c", revision="0" * 40, sha256="0" * 64))
    with torch.device("meta"):
        net = build_net(config.net, config.shape, len(config.classes))
    weights = 4 * sum(value.numel() for value in net.state_dict().values())
    assert weights == pytest.approx(entry.bytes, rel=0.02)
    assert config.sample_shape == DATASETS[entry.data].shape
    assert config.defaults.solver == ("average" if entry.method == "meanflow" else "euler")


@torch.inference_mode()
def test_a_converted_yarr_samples_as_the_original_does(hub, offer):
    g, name = golden("yarr"), offer("yarr")
    progress = fetched(name)
    assert hub.asked == {"flow/yarr.pt"} and "Converting" in progress[-1].words
    assert not list(cache.root().parent.rglob("*.pt"))  # what was made of it is enough
    model = flowdemo.load(name)
    given = {"x_0": g["sample.noise"], "label": g["sample.y"].tolist()}
    made = sample(model, 2, guidance=2.0, steps=4, **given)
    expected = (g["sample.result_4_steps_cfg_2"] * 0.5 + 0.5)[..., 2:-2, 2:-2]
    assert made.images.shape == (2, 1, 28, 28)
    assert (made.trajectory.states[-1] - expected).abs().max() < 1e-4
    assert (made.images - expected.clamp(0, 1)).abs().max() < 1e-4


def test_the_noise_inside_the_margin_is_that_of_other_models(offer):
    name = offer("yarr")
    padded = sample(flowdemo.load(name), 3, "all", steps=1, seed=7)
    plain = sample(make_model("mnist"), 3, "all", steps=1, seed=7)
    assert torch.equal(padded.x_0[..., 2:-2, 2:-2], plain.x_0)
    assert torch.equal(padded.trajectory.states[0], plain.trajectory.states[0])
    other = sample(flowdemo.load(name), 3, "all", steps=1, seed=8)
    assert torch.equal(other.x_0[..., :2, :], padded.x_0[..., :2, :])
    given = sample(flowdemo.load(name), 3, "all", steps=1, x_0=noise(7, 3, (1, 28, 28)))
    assert torch.equal(given.images, padded.images)


def test_a_converted_checkpoint_is_float32_and_asks_for_nothing_again(hub, offer):
    name = offer("yarr")
    first = flowdemo.load(name)
    hub.clear()
    again = flowdemo.load(name)
    assert hub.requests == [] and fetched(name) == []
    for a, b in zip(first.net.state_dict().values(), again.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    weights = load_file(cache.converted() / name / WEIGHTS)
    assert {w.dtype for w in weights.values()} == {torch.float32}
    converted = ADAPTERS["yarr"](state("yarr"), 4)[1]
    assert all(torch.equal(weights[key], converted[key]) for key in converted)
    origin = again.config.origin
    assert (origin.repo, origin.file) == ("eve/yarr", "flow/yarr.pt")
    assert origin.revision == hub.commits("eve/yarr")[-1]
    assert origin.sha256 == hashlib.sha256(hub.files("eve/yarr")["flow/yarr.pt"]).hexdigest()


class Hostile:
    """A pickle that runs a command where it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_a_hostile_pickle_is_refused_and_not_run(offer, tmp_path):
    mark = tmp_path / "run"
    name = offer("yarr", saved({"model.input.0.weight": Hostile(mark)}))
    with pytest.raises(ValueError, match=r"yarr.pt of eve/yarr cannot be read as weights"):
        fetched(name)
    assert not mark.exists() and name not in checkpoints.folders()
    assert not list(cache.root().parent.rglob("*.pt"))


@pytest.mark.parametrize(
    ("content", "changes", "words"),
    [
        (None, {"sha256": "0" * 64}, "is not the file that the catalogue knows"),
        (None, {"net": {"dim": 64, "depth": 3, "heads": 4}}, "holds a network of other sizes"),
        (b"no pickle", {}, "cannot be read as weights"),
        (b"", {"bytes": 1}, "cannot be read as weights"),
        (saved({"a": torch.zeros(2)}), {}, "the file has no 'model"),
        (saved([1, 2]), {}, "the file holds no dictionary"),
        (
            saved({"a": torch.zeros(10**4)}),
            {"bytes": 1000},
            "more than the 0.0 MB that are allowed",
        ),
        (None, {"revision": "b" * 40}, "has no such revision"),
    ],
)
def test_a_file_that_is_not_the_known_one_is_refused(offer, content, changes, words):
    name = offer("yarr", content, **changes)
    with pytest.raises(ValueError, match=words) as error:
        fetched(name)
    assert "\n" not in str(error.value) and name not in checkpoints.folders()


@pytest.mark.parametrize(
    ("version", "fine"), [("2.9.1+cpu", False), ("2.10.0", True), ("3.0", True)]
)
def test_pickles_need_a_torch_that_reads_them_safely(hub, offer, monkeypatch, version, fine):
    name = offer("yarr")
    monkeypatch.setattr(torch, "__version__", version)
    if fine:
        download.require_torch()
        return
    with pytest.raises(ValueError, match=r"reads safely from 2\.10 on; this is 2\.9\.1"):
        fetched(name)
    assert hub.requests == []


def test_a_pickle_of_any_other_repository_is_never_read(hub, monkeypatch):
    monkeypatch.setattr(torch, "load", None)
    good = files_of()
    hub.add(REPO, {"pytorch_model.bin": b"\x80", CONFIG: good[CONFIG]})
    with pytest.raises(ValueError, match="holds no model"):
        pulled(REPO)
    hub.add(REPO, good | {WEIGHTS: saved(make_model().net.state_dict())})
    with pytest.raises(ValueError, match="is not a safetensors file"):
        pulled(REPO)
    assert "pytorch_model.bin" not in hub.asked and REPO not in checkpoints.folders()


def test_a_commit_that_is_here_is_pulled_without_a_request(hub):
    first = hub.add(REPO, files_of())
    pulled(REPO)
    hub.clear()
    *_, answer = pull(f"{REPO}@{first}", 10**9)
    assert hub.requests == [] and answer["revision"] == first


def test_a_branch_that_moved_is_followed_by_a_pull_and_not_by_loading(hub):
    old = hub.add(REPO, files_of(make_model(method="flow-matching")))
    fetched(REPO)
    new = hub.add(REPO, files_of(make_model(method="meanflow")))
    hub.clear()
    assert flowdemo.load(REPO).config.method == "flow-matching" and hub.requests == []
    pulled(REPO)
    assert flowdemo.load(REPO).config.method == "meanflow"
    pinned = flowdemo.load(f"{REPO}@{old}")
    assert pinned.config.method == "flow-matching" and pinned.name == f"{REPO}@{old}"
    assert {r["revision"] for r in cache.records().values()} == {old, new}
    assert flowdemo.load(REPO).config.method == "meanflow"


def test_other_files_of_a_repository_are_not_asked_for(hub):
    others = {"pytorch_model.bin": b"\x80", "model.py": b"1", "sub/config.json": b"{}"}
    hub.add(REPO, files_of(**others))
    pulled(REPO)
    assert hub.asked == {CONFIG, WEIGHTS, "README.md"}
    assert {path.name for path in checkpoints.folders()[REPO].iterdir()} == hub.asked


def test_a_renamed_repository_is_followed(hub):
    hub.add(REPO, files_of())
    hub.rename(REPO, "ann/new")
    assert flowdemo.load(REPO).name == REPO
    assert cache.records()[REPO]["repo"] == "ann/new"


@pytest.mark.parametrize("is_public", [False, True])
def test_in_public_mode_a_strangers_repository_is_asked_for_without_a_token(
    hub, monkeypatch, is_public
):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", str(int(is_public)))
    hub.add(REPO, files_of())
    fetched(REPO)
    assert set(hub.heard) == ({""} if is_public else {TOKEN})
    hub.clear()
    list(models.look("ann"))
    assert set(hub.heard) == ({""} if is_public else {TOKEN})
    hub.add("ann/own", files_of(), private=True)
    if is_public:
        with pytest.raises(ValueError, match="there is no 'ann/own' on the Hub, or it is private"):
            fetched("ann/own")
    else:
        assert fetched("ann/own")


def test_public_mode_has_smaller_limits(hub, monkeypatch):
    here = max_download(), max_store()
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    assert (max_download(), max_store()) == (300_000_000, 3_000_000_000)
    assert here[0] == 4_000_000_000 and here[1] > 10**14
    monkeypatch.setattr(download, "max_download", lambda: 1000)
    hub.add(REPO, files_of())
    with pytest.raises(ValueError, match=r"more than the 0\.0 MB that are allowed here"):
        fetched(REPO)
    assert hub.asked == set()


def test_strangers_pull_no_more_than_there_is_room_for(hub, monkeypatch):
    hub.add(REPO, files_of())
    hub.add("ann/more", files_of(make_model("rings")))
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    fetched(REPO)
    hub.clear()
    taken = cache.taken()
    assert taken > sum(map(len, files_of().values()))
    monkeypatch.setattr(download, "max_store", lambda: taken + download.MIN_ROOM - 1)
    with pytest.raises(ValueError, match="keeps as much from the Hub as it may"):
        fetched("ann/more")
    assert hub.requests == [] and fetched(REPO) == [] and flowdemo.load(REPO)
    monkeypatch.setattr(download, "MIN_ROOM", 1000)
    monkeypatch.setattr(download, "max_store", lambda: cache.taken() + 1000)
    with pytest.raises(ValueError, match=r"more than the 0\.0 MB that are allowed"):
        fetched("ann/more")
    assert hub.asked == set() and "ann/more" not in checkpoints.folders()


def test_what_is_refused_does_not_stay_on_the_disk(hub):
    hub.add(REPO, files_of() | {CONFIG: b"{}"})
    with pytest.raises(ValueError, match=rf"{REPO}/config.json: schema_version None"):
        fetched(REPO)
    assert not list(cache.root().parent.glob("hub/models--*/*/*"))


def version_1(**changes):
    """A description as version 1 had it: one mean and one deviation for all channels."""
    config = json.loads(make_model("mnist").config.model_dump_json(exclude_none=True))
    return config | {"schema_version": 1, "mean": 0.5, "std": 0.5} | changes


def test_a_description_of_version_1_is_read_as_one_of_version_2():
    now = make_model("mnist").config
    assert read_model_config(json.dumps(version_1()), "x") == now
    bare = version_1()
    del bare["mean"], bare["std"]
    assert read_model_config(json.dumps(bare), "x") == now
    points = make_model("moons").config
    old = json.loads(points.model_dump_json(exclude_none=True)) | {"mean": 0.0, "std": 1.0}
    assert read_model_config(json.dumps(old | {"schema_version": 1}), "x") == points


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (version_1(schema_version=3), "schema_version 3 is not known; update FlowDemo"),
        ({"name": "x"}, "schema_version None is not known"),
        (version_1(schema_version=[1]), "no description|is not known"),
        (version_1(shape=[]), "no description"),
        (version_1(shape=7), "no description"),
        (version_1(mean="a"), "mean.0: Input should be a valid number"),
        ([1], "it is no description of a checkpoint"),
        (None, "it is no description of a checkpoint"),
    ],
)
def test_another_version_is_an_error_of_one_line(content, words):
    with pytest.raises(ValueError, match=words) as error:
        read_model_config(json.dumps(content), "the/config.json")
    assert str(error.value).startswith("the/config.json: ") and "\n" not in str(error.value)
