"""Pictures out of tables and arrays: their classes, their layouts, and what is refused."""

import io

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from flowdemo.data.images import Table, load_images
from flowdemo.data.pictures import read_pictures
from tests.data.pictures import COLOUR, GREY, cells, encoded, hub_table, lay, levels


def test_tables_have_the_classes_that_they_name(tmp_path):
    names = ["cat", "ant", "bee"]
    hub_table(tmp_path / "data" / "train-1.parquet", cells(3), [0], names, "img", "fine_label")
    hub_table(
        tmp_path / "data" / "train-0.parquet", cells(1, 2), [2, 0], names, "img", "fine_label"
    )
    hub_table(tmp_path / "data" / "test-0.parquet", cells(9), [1], names, "img", "fine_label")
    pictures = read_pictures(tmp_path, GREY)
    assert pictures.classes == ("cat", "ant", "bee") and pictures.labels.tolist() == [2, 0, 0]
    assert pictures.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert levels(read_pictures(tmp_path, GREY, split="test")) == [(9, "ant")]
    one = read_pictures(tmp_path / "data" / "test-0.parquet", GREY)
    assert levels(one) == [(9, "ant")]
    with pytest.raises(ValueError, match="no split 'validation'; there are: test, train"):
        read_pictures(tmp_path, GREY, split="validation")


def test_tables_without_names_have_the_labels_that_occur(tmp_path):
    hub_table(tmp_path / "a.parquet", [encoded(v) for v in (1, 2, 3)], [10, 9, 10], label="labels")
    assert levels(read_pictures(tmp_path / "a.parquet", GREY)) == [(1, "10"), (2, "9"), (3, "10")]
    assert read_pictures(tmp_path, GREY).classes == ("9", "10")
    hub_table(tmp_path / "birds.parquet", cells(1, 2), None)
    assert levels(read_pictures(tmp_path / "birds.parquet", GREY)) == [(1, "birds"), (2, "birds")]
    assert read_pictures(tmp_path / "birds.parquet", GREY, alone="owl").classes == ("owl",)
    hub_table(tmp_path / "c.parquet", cells(1, 2), ["b", "a"])
    assert levels(read_pictures(tmp_path / "c.parquet", GREY)) == [(1, "b"), (2, "a")]


def test_a_path_in_a_table_is_not_followed(tmp_path):
    lay(tmp_path, {"secret.png": encoded(7)})
    rows = [*cells(1), {"bytes": None, "path": str(tmp_path / "secret.png")}]
    hub_table(tmp_path / "t.parquet", rows, [0, 5], ["a", "b"])
    with pytest.raises(ValueError, match="row 1: its label 5 is none of the 2 classes"):
        read_pictures(tmp_path / "t.parquet", GREY)
    hub_table(tmp_path / "t.parquet", cells(1, 2), [0, -1], ["a", "b"])  # -1: not told
    with pytest.raises(ValueError, match="row 1: its label -1 is none of"):
        read_pictures(tmp_path / "t.parquet", GREY)
    hub_table(tmp_path / "t.parquet", rows, [0, 1], ["a", "b"])
    pictures = read_pictures(tmp_path / "t.parquet", GREY, max_broken=0.5)
    assert pictures.broken == ("t.parquet row 1: it holds no picture",)


def test_a_table_without_pictures_or_that_is_none_says_so(tmp_path):
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="no column image or img"):
        read_pictures(tmp_path / "t.parquet", GREY)
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(ValueError, match="is no parquet file"):
        read_pictures(tmp_path / "t.parquet", GREY)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ((5, 8, 8), GREY), ((5, 8, 8, 1), GREY), ((5, 1, 8, 8), GREY), ((5, 8, 8, 3), COLOUR),
        ((5, 3, 8, 8), COLOUR),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_arrays_of_every_layout_are_the_same_pictures(layout, shape, kind, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, layout, dtype=np.uint8)
    stored = pixels if kind == "uint8" else (pixels / 255).astype(kind)
    np.savez(tmp_path / "a.npz", images=stored, labels=np.array([3, 20, 3, 1, 1]))
    pictures = read_pictures(tmp_path / "a.npz", shape)
    first = pixels.transpose(0, 3, 1, 2) if layout[-1] in (1, 3) else pixels
    assert torch.equal(pictures.images, torch.from_numpy(first.copy()).reshape(5, *shape))
    assert pictures.classes == ("1", "3", "20") and pictures.labels.tolist() == [1, 2, 1, 0, 0]


def test_arrays_may_have_names_or_no_labels(tmp_path):
    images = np.zeros((2, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.array(["b", "a"]))
    assert read_pictures(tmp_path / "a.npz", GREY).labels.tolist() == [1, 0]
    np.savez(tmp_path / "dots.npz", images=images)
    assert read_pictures(tmp_path / "dots.npz", GREY).classes == ("dots",)
    assert read_pictures(tmp_path / "dots.npz", GREY, alone=" owl").classes == ("owl",)
    assert read_pictures(tmp_path / "a.npz", GREY, alone="owl").classes == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": np.zeros((2, 4, 4)) + 2}, "divide by the largest"),
        ({"images": np.full((2, 4, 4), np.nan)}, "divide by the largest"),
        ({"images": np.zeros((2, 4, 4), np.int32)}, "not int32"),
        ({"images": np.zeros((2, 4), np.uint8)}, r"not \(2, 4\)"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(3, int)}, "2 images but"),
        ({"pixels": np.zeros(3)}, "images"),
        ({"images": np.array([print, None], dtype=object)}, "allow_pickle=False"),
    ],
)
def test_other_arrays_are_refused(content, message, tmp_path):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(ValueError, match=message):
        read_pictures(tmp_path / "a.npz", GREY)


def test_all_shards_of_a_split_are_read_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    folder = tmp_path / "mnist" / "data"
    hub_table(folder / "train-00001-of-00002.parquet", cells(3, 4), [3, 4])
    hub_table(folder / "train-00000-of-00002.parquet", cells(0, 1, 2), [0, 1, 2])
    hub_table(folder / "test-00000-of-00001.parquet", cells(0), [9])
    images, labels = load_images("mnist", "train")
    assert images.shape == (5, *GREY) and labels.tolist() == [0, 1, 2, 3, 4]
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert load_images("mnist", "test")[1].tolist() == [9]


def test_some_rows_of_a_table_are_those_of_their_numbers(tmp_path):
    hub_table(tmp_path / "t.parquet", cells(*[0] * 600), list(range(600)))
    table = Table(tmp_path / "t.parquet")
    for some in ([], [0], [599], [3, 255, 256, 257, 511, 512], range(600), None):
        labels = [row["label"] for row in table.rows(["label"], some)]
        assert labels == list(range(600) if some is None else some)


def test_colour_channels_come_first(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (0, 200, 0)).save(file, "png")
    hub_table(
        tmp_path / "colour" / "train-0.parquet", [{"bytes": file.getvalue()}], [1], image="img"
    )
    images, _ = load_images("colour", "train")
    assert images.shape == (1, 3, 2, 3) and (images[0, 1] == 200).all()
    assert (images[0, [0, 2]] == 0).all()


def test_missing_images_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no mnist/"):
        load_images("mnist", "train")
    monkeypatch.delenv("FLOWDEMO_DATA")  # and the tests have no network
    with pytest.raises(FileNotFoundError, match="set FLOWDEMO_DATA"):
        load_images("mnist", "train", "ylecun/mnist")
    with pytest.raises(FileNotFoundError, match="not on the Hub"):
        load_images("imagenet256", "train")
