"""Data sets by name: the known ones, and others through `datasets`, which may be missing or a trap."""

import importlib
import io
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet

from flowdemo.data import hub_sets
from flowdemo.data.pictures import read_pictures
from tests.data.pictures import GREY, encoded


class Picture:
    def __init__(self, decode=True):
        self.decode = decode


class Stream:
    """As much of `datasets.IterableDataset` as is used."""

    def __init__(self, rows, features):
        self.rows, self.features, self.done = rows, features, []

    def select_columns(self, names):
        self.rows = [{name: row[name] for name in names} for row in self.rows]
        return self

    def cast_column(self, name, feature):
        self.done.append(("cast", name, feature.decode))
        return self

    def shuffle(self, seed, buffer_size):
        self.done.append(("shuffle", seed))
        return self

    def take(self, n):
        self.rows = self.rows[:n]
        return self

    def __iter__(self):
        for row in self.rows:
            if isinstance(row.get("image"), Exception):
                raise row["image"]
            yield row


@pytest.fixture
def library(monkeypatch):
    """A stand-in for `datasets` that gives what a test puts into it."""
    fake = SimpleNamespace(__version__="5.2.0", Image=Picture, calls=[])

    def load_dataset(*args, **options):
        fake.calls.append((args, options))
        fake.given = Stream(*fake.content)
        return fake.given

    fake.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", fake)
    return fake


def rows(*levels):
    return [{"image": {"bytes": encoded(v), "path": None}, "label": v % 2, "x": 0} for v in levels]


def features(**label):
    return {"image": Picture(), "label": SimpleNamespace(**label), "x": None}


def test_a_set_of_the_hub_is_streamed_undecoded(library):
    library.content = (rows(1, 2, 3), features(names=["even", "odd"]))
    pictures = read_pictures("owner/name:small", GREY, split="test")
    assert pictures.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert pictures.classes == ("even", "odd") and pictures.labels.tolist() == [1, 0, 1]
    (args, options) = library.calls[0]
    assert args == ("owner/name", "small")
    assert options == {"split": "test", "streaming": True}
    assert library.given.done == [("cast", "image", False), ("shuffle", 0)]
    assert len(read_pictures("owner/name", GREY, max_pictures=2).images) == 2


def test_a_set_without_names_or_labels(library):
    library.content = (rows(1, 2), features())
    assert read_pictures("owner/name", GREY, alone="heart").classes == ("0", "1")
    library.content = ([{"scan": row["image"]} for row in rows(1, 2)], {"scan": Picture()})
    assert read_pictures("owner/name:small", GREY).classes == ("name",)
    assert read_pictures("owner/name:small", GREY, alone="heart").classes == ("heart",)
    library.content = ([{"text": "a"}], {"text": None})
    with pytest.raises(ValueError, match="owner/name cannot be read: no column of pictures among"):
        read_pictures("owner/name", GREY)


def test_strangers_read_no_data_sets_of_strangers(library, monkeypatch):
    library.content = (rows(1), features())
    assert len(read_pictures("owner/name", GREY).images) == 1
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    for where in ("owner/name", "owner/name:config"):
        with pytest.raises(ValueError, match=r"here only mnist, .* are read: upload pictures"):
            read_pictures(where, GREY)
    assert len(library.calls) == 1


def test_only_files_of_the_same_repository_are_opened(library, monkeypatch, tmp_path):
    (tmp_path / "secret.png").write_bytes(encoded(7))
    asked = []

    def opener(path, mode):
        asked.append(path)
        return io.BytesIO(encoded(5))

    monkeypatch.setattr(hub_sets.fsspec, "open", opener)
    own = ["hf://datasets/owner/name@abc/a.png", "zip://a.png::hf://datasets/owner/name@abc/z.zip"]
    foreign = [
        str(tmp_path / "secret.png"), f"file://{tmp_path}/secret.png", "http://localhost/a.png",
        "hf://datasets/owner/private@abc/a.png", "hf://datasets/owner/name2@abc/a.png",
        "hf://datasets/owner/name@abc/a.png::file:///a.png", f"zip://a::file://{tmp_path}/z.zip",
    ]  # fmt: skip
    cells = [{"image": {"bytes": None, "path": p}, "label": 0} for p in own + foreign]
    library.content = (cells, features())
    pictures = read_pictures("owner/name", GREY, max_broken=0.9)
    assert asked == own and pictures.images[:, 0, 0, 0].tolist() == [5, 5]
    assert len(pictures.broken) == len(foreign)
    assert all("it holds no picture" in line for line in pictures.broken)


def test_what_the_hub_does_not_give_is_one_line(library):
    library.content = (rows(1), features())
    library.load_dataset = lambda *_, **__: (_ for _ in ()).throw(ConnectionError("offline\nmore"))
    with pytest.raises(ValueError, match=r"owner/name cannot be read: offline$"):
        read_pictures("owner/name", GREY)


def test_a_stream_that_breaks_off_says_so(library):
    broken = [*rows(1), {"image": OSError("reset"), "label": 0}]
    library.content = (broken, features())
    with pytest.raises(ValueError, match="owner/name broke off: reset"):
        read_pictures("owner/name", GREY)


def test_without_the_library_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match="to read owner/name from the Hub: pip install datasets"):
        read_pictures("owner/name", GREY)


def test_a_version_that_runs_code_of_strangers_is_refused(library):
    library.__version__ = "3.6.0"
    with pytest.raises(ValueError, match="datasets>=4"):
        read_pictures("owner/name", GREY)
    assert library.calls == []


@pytest.mark.parametrize("where", ["../name", "a/..", "a/b/c", "a b/c", "https://a/b", "-a/b"])
def test_what_is_no_name_is_not_asked_for(library, where, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError):
        read_pictures(where, GREY)
    assert library.calls == []


@pytest.mark.parametrize("name", ["mnist", "ylecun/mnist"])
@pytest.mark.parametrize("public", ["0", "1"])
def test_known_sets_need_no_library(name, public, monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", public)
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    table = {
        "image": [{"bytes": encoded(v)} for v in range(20)],
        "label": [v % 10 for v in range(20)],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "mnist" / "train-0.parquet")
    pictures = read_pictures(name, GREY)
    assert pictures.images[:, 0, 3, 3].tolist() == list(range(20))
    assert pictures.classes == tuple("0123456789") and pictures.labels.tolist() == [*range(10)] * 2
    assert read_pictures(name, (3, 4, 4)).images.shape == (20, 3, 4, 4)
    some = read_pictures(name, GREY, max_pictures=5)
    assert len(some.images) == 5 and some.images[:, 0, 0, 0].tolist() != list(range(5))
    assert torch.equal(read_pictures(name, GREY, max_pictures=5).images, some.images)
    with pytest.raises(ValueError, match=r"FLOWDEMO_DATA has no mnist/\*\*/test"):
        read_pictures(name, GREY, split="test")


def test_the_library_itself_gives_what_is_relied_on(monkeypatch, tmp_path):
    """The real `datasets`, with a table of this machine in the place of the Hub's."""
    datasets = pytest.importorskip("datasets")
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["even", "odd"])}
    content = {
        "image": [{"bytes": encoded(v), "path": None} for v in range(6)] + [{"bytes": b"x"}],
        "label": [0, 1, 0, 1, 0, 1, 0],
    }
    made = datasets.Dataset.from_dict(content, features=datasets.Features(kinds))
    made.to_parquet(str(tmp_path / "t.parquet"))
    load = datasets.load_dataset

    def local(path, name, **options):
        assert (path, name) == ("owner/name", None)
        return load("parquet", data_files={"train": str(tmp_path / "t.parquet")}, **options)

    monkeypatch.setattr(importlib.import_module("datasets"), "load_dataset", local)
    pictures = read_pictures("owner/name", GREY, max_broken=0.2)
    levels = pictures.images[:, 0, 0, 0]
    assert sorted(levels.tolist()) == list(range(6)) and len(pictures.broken) == 1
    assert torch.equal(levels.long() % 2, pictures.labels)
    assert pictures.classes == ("even", "odd")
    table = read_pictures(tmp_path / "t.parquet", GREY, max_broken=0.2)
    assert table.classes == ("even", "odd") and np.array_equal(table.labels, [0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match="owner/name cannot be read: Bad split: other"):
        read_pictures("owner/name", GREY, split="other")
