"""Of many pictures a part is read and nothing else, and too many are refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from flowdemo import settings
from flowdemo.data import hub_sets
from flowdemo.data import pictures as pictures_module
from flowdemo.data.pictures import read_pictures, reading
from tests.small_pictures import GREY, cells, encoded, hub_table, lay, levels, packed


def test_more_than_are_allowed_are_refused(tmp_path, monkeypatch):
    files = {f"a/{k}.png": encoded(k) for k in range(4)}
    np.savez(tmp_path / "mine.npz", images=np.zeros((4, 8, 8), np.uint8))
    hub_table(tmp_path / "mine.parquet", cells(*range(4)), [0] * 4)
    lay(tmp_path / "mine", files), packed(tmp_path / "mine.zip", files)
    for name in ("mine", "mine.zip", "mine.npz", "mine.parquet"):
        monkeypatch.setattr(settings, "max_pictures", lambda shape: 4)
        assert len(read_pictures(tmp_path / name, GREY).images) == 4
        monkeypatch.setattr(settings, "max_pictures", lambda shape: 3)
        for most in (None, 2, 5):  # whatever somebody wants of it
            with pytest.raises(ValueError, match="4 pictures are too many here: give 3"):
                read_pictures(tmp_path / name, GREY, max_pictures=most)


def test_of_more_than_are_wanted_a_random_part_is_read_always_the_same(tmp_path):
    values = range(60)
    files = {f"{k // 30}/{k:02}.png": encoded(k) for k in values}  # sorted by class, as many sets
    labels = [k // 30 for k in values]
    lay(tmp_path / "mine", files), packed(tmp_path / "mine.zip", files)
    pixels = np.stack([np.full((8, 8), k, np.uint8) for k in values])
    np.savez(tmp_path / "mine.npz", images=pixels, labels=np.array(labels))
    for k in range(3):  # three files are numbered on
        some = slice(20 * k, 20 * k + 20)
        hub_table(tmp_path / "tables" / f"{k}.parquet", cells(*values[some]), labels[some])
    parts = [
        levels(read_pictures(tmp_path / name, GREY, max_pictures=20))
        for name in ("mine", "mine.zip", "mine.npz", "tables")
    ]
    assert len(set(parts[0])) == 20 and parts.count(parts[0]) == 4
    assert all(name == str(level // 30) for level, name in parts[0])
    assert 5 <= sum(name == "0" for _, name in parts[0]) <= 15
    assert len(read_pictures(tmp_path / "mine", GREY, max_pictures=60).images) == 60


def many_digits(folder, n):
    """A table of n digits in the place of the Hub's."""
    values = range(n)
    rows = cells(*(k % 256 for k in values))
    hub_table(folder / "mnist" / "train-0.parquet", rows, [k % 10 for k in values])


def test_only_the_pictures_that_are_wanted_are_decoded(monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    many_digits(tmp_path, 700)
    decoded, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **how: decoded.append(1) or real(*a, **how))
    pictures = read_pictures("mnist", GREY, max_pictures=10)
    assert len(pictures.images) == len(decoded) == 10
    some = torch.randperm(700, generator=torch.Generator().manual_seed(0))[:10].sort().values
    assert torch.equal(pictures.images[:, 0, 0, 0].long(), some % 256)
    assert torch.equal(pictures.labels, some % 10)
    monkeypatch.setattr(settings, "max_pictures", lambda shape: 3)
    assert len(read_pictures("mnist", GREY, max_pictures=10).images) == 3


def test_the_time_for_reading_begins_once_a_known_set_is_here(monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    monkeypatch.setenv("FLOWDEMO_DATA", str(tmp_path))
    many_digits(tmp_path, 30)
    now, real = [0.0], hub_sets.parquet_files
    monkeypatch.setattr(pictures_module.time, "monotonic", lambda: now[0])

    def slow(*asked):
        now[0] += 100  # a download
        return real(*asked)

    monkeypatch.setattr(hub_sets, "parquet_files", slow)
    states = reading("mnist", GREY)
    assert next(states) == 0 and now == [0.0]  # a sign of life before it
    assert len(next(states).images) == 30
