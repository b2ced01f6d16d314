"""Image files: every shard is read, colour stays in order, and what is missing is named."""

import io

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from flowdemo.data.images import Table, load_images


def encoded(pixels: np.ndarray) -> dict[str, bytes]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return {"bytes": file.getvalue()}


def write(path, pictures, labels, column="image"):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {column: [encoded(picture) for picture in pictures], "label": labels}
    parquet.write_table(pyarrow.table(table), path)


def test_all_shards_of_a_split_are_read_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    pictures = [np.full((4, 4), value, np.uint8) for value in range(5)]
    folder = tmp_path / "mnist" / "data"
    write(folder / "train-00001-of-00002.parquet", pictures[3:], [3, 4])
    write(folder / "train-00000-of-00002.parquet", pictures[:3], [0, 1, 2])
    write(folder / "test-00000-of-00001.parquet", pictures[:1], [9])
    images, labels = load_images("mnist", "train")
    assert images.shape == (5, 1, 4, 4) and labels.tolist() == [0, 1, 2, 3, 4]
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert load_images("mnist", "test")[1].tolist() == [9]


def test_some_rows_of_a_table_are_those_of_their_numbers(tmp_path):
    write(tmp_path / "t.parquet", [np.zeros((1, 1), np.uint8)] * 600, list(range(600)))
    table = Table(tmp_path / "t.parquet")
    for some in ([], [0], [599], [3, 255, 256, 257, 511, 512], range(600), None):
        labels = [row["label"] for row in table.rows(["label"], some)]
        assert labels == list(range(600) if some is None else some)


def test_colour_channels_come_first(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[..., 1] = 200
    write(tmp_path / "colour" / "train-0.parquet", [picture], [1], column="img")
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
