"""Own pictures from every place: classes are found, what is broken is named, strangers harm nothing."""

import io
import math
import os

import numpy as np
import pytest
import torch
from PIL import Image

from flowdemo import settings
from flowdemo.data import fit as fit_module
from flowdemo.data import pictures as pictures_module
from flowdemo.data.classes import MAX_CLASSES, in_order
from flowdemo.data.fit import fit_for
from flowdemo.data.pictures import KINDS, Pictures, from_files, joined, read_pictures, reading
from tests.small_pictures import COLOUR, GREY, cells, encoded, hub_table, lay, levels, packed

CLASSES = {
    "10/a.png": encoded(1), "2/b.PNG": encoded(2), "2/deep/er/c.png": encoded(3),
    "cat/d.gif": encoded(4, "gif"), "cat/.hidden.png": b"x", ".git/e.png": b"x",
    "cat/Thumbs.db": b"x", "README.txt": b"x",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["folder", "zip", "wrapped zip", "windows zip"])
def test_folders_are_classes_in_their_natural_order(kind, tmp_path):
    if kind == "folder":
        where = lay(tmp_path / "mine", CLASSES)
    else:
        shape = {"zip": "{}", "wrapped zip": "mine/{}", "windows zip": "mine\\{}"}[kind]
        files = {shape.format(name): content for name, content in CLASSES.items()}
        if kind == "windows zip":
            files = {name.replace("/", "\\"): content for name, content in files.items()}
        where = packed(tmp_path / "mine.zip", files | {"__MACOSX/2/b.png": b"x"})
    pictures = read_pictures(where, GREY)
    assert pictures.classes == ("2", "10", "cat") and pictures.broken == ()
    assert levels(pictures) == [(1, "10"), (2, "2"), (3, "2"), (4, "cat")]
    assert pictures.images.shape == (4, 1, 8, 8) and pictures.images.dtype == torch.uint8
    assert pictures.labels.dtype == torch.int64


def test_numbers_sort_as_numbers():
    assert in_order(["10", "9", "a2", "a10", "B", "9"]) == ("9", "10", "a2", "a10", "B")
    with pytest.raises(ValueError, match="too many"):
        in_order(map(str, range(MAX_CLASSES + 1)))


def test_a_folder_or_archive_of_pictures_alone_is_one_class(tmp_path):
    files = {"a.png": encoded(1), "b.jpg": encoded(200, "jpeg")}
    for where in (lay(tmp_path / "cats", files), packed(tmp_path / "cats.zip", files)):
        assert read_pictures(where, COLOUR).classes == ("cats",)
        assert levels(read_pictures(where, COLOUR)) == [(1, "cats"), (200, "cats")]


def test_a_folder_of_splits_gives_the_one_that_is_asked_for(tmp_path):
    files = {"train/a/1.png": encoded(1), "train/b/2.png": encoded(2), "test/a/3.png": encoded(3)}
    for where in (lay(tmp_path / "mine", files), packed(tmp_path / "mine.zip", files)):
        assert levels(read_pictures(where, GREY)) == [(1, "a"), (2, "b")]
        assert levels(read_pictures(where, GREY, split="test")) == [(3, "a")]
        with pytest.raises(ValueError, match="no split 'val'; there are: test, train"):
            read_pictures(where, GREY, split="val")


def test_what_is_broken_is_named_and_skipped(tmp_path):
    files = {f"a/{k}.png": encoded(k) for k in range(20)}
    files |= {"a/text.png": b"no picture", "beside.png": encoded(0)}
    files |= {"a/cut.jpg": encoded(5, "jpeg", (300, 300))[:400]}
    pictures = read_pictures(lay(tmp_path, files), GREY, max_broken=0.2)
    assert len(pictures.images) == 20 and pictures.classes == ("a",)
    cut, text, beside = pictures.broken  # in the order of their names
    assert text.startswith("a/text.png: no picture of a known kind")
    assert beside == "beside.png: it has no class, or lies beside the folders of the classes"
    assert "damaged: image file is truncated" in cut
    with pytest.raises(ValueError, match=r"3 of 23 pictures cannot be used: .*a/text.png: no pic"):
        read_pictures(tmp_path, GREY, max_broken=0.1)


def test_at_most_a_few_broken_ones_are_named_and_on_one_line(tmp_path):
    files = [(f"{k}\n<b>.png", b"x") for k in range(30)]
    with pytest.raises(ValueError, match=r"^30 of 30 .*4 <b>\.png: [^;]* and 25 more$") as caught:
        from_files(files, "a", GREY)
    assert "\n" not in str(caught.value)


def test_nothing_at_all_says_so(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures in it"):
        read_pictures(tmp_path / "empty", GREY)
    with pytest.raises(ValueError, match=r"is no file, folder, .* mnist, fashion-mnist, cifar10"):
        read_pictures("elsewhere", GREY)
    (tmp_path / "a.tar").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"a\.tar is no folder, \.zip"):
        read_pictures(tmp_path / "a.tar", GREY)


def test_single_files_have_the_class_that_is_given(tmp_path):
    lay(tmp_path, {"a.png": encoded(1)})
    files = [tmp_path / "a.png", ("b.png", encoded(2)), ("c.png", encoded(3))]
    assert levels(from_files(files, "cat", GREY)) == [(1, "cat"), (2, "cat"), (3, "cat")]
    assert levels(from_files(files, ["b", " a ", "b"], GREY)) == [(1, "b"), (2, "a"), (3, "b")]
    digit = from_files(
        [("d.png", encoded(0))], "5", GREY, prepare=lambda p: torch.ones(GREY).byte()
    )
    assert (digit.images == 1).all()
    for labels, message in ((["a"], "as many labels"), ("", "1 to 60"), ("x" * 61, "1 to 60")):
        with pytest.raises(ValueError, match=message):
            from_files(files, labels, GREY)


def test_an_empty_drawing_is_named():
    page = io.BytesIO()
    Image.new("RGBA", (50, 50)).save(page, "png")
    with pytest.raises(ValueError, match="page: nothing on the picture"):
        from_files(
            [("page", page.getvalue())], "3", (1, 28, 28), prepare=fit_for("mnist", (1, 28, 28))
        )


def test_strangers_read_no_files_of_this_machine(tmp_path, monkeypatch):
    lay(tmp_path, {"own/set/a.png": encoded(1)})
    hub_table(tmp_path / "t.parquet", cells(1), [0])
    monkeypatch.chdir(tmp_path)
    assert read_pictures("own/set", GREY).classes == ("set",)
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    said = set()
    for path in ("own/set", str(tmp_path), "own", os.curdir, "own/none", "/none", "none", "a\0b"):
        with pytest.raises(ValueError, match=r"here only mnist, .* are read") as caught:
            read_pictures(path, GREY)
        said.add(str(caught.value))
    assert len(said) == 1  # nobody learns what there is
    assert len(read_pictures(tmp_path / "own", GREY).images) == 1  # where an upload lies
    with pytest.raises(ValueError, match="parquet files are not read"):
        read_pictures(tmp_path / "t.parquet", GREY)
    with pytest.raises(ValueError, match="2001 files are too many: 2000"):
        from_files([("a.png", b"")] * 2001, "a", GREY)


def test_strangers_bring_pictures_of_few_pixels_or_photos_that_decode_small(monkeypatch):
    large, photo = encoded(3, size=(2100, 2000)), encoded(3, "jpeg", (4000, 3000))
    for content in (large, photo):
        assert len(from_files([("a", content)], "a", GREY).images) == 1
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    with pytest.raises(ValueError, match="a: 2100 x 2000 pixels are too many"):
        from_files([("a", large)], "a", GREY)
    assert len(from_files([("a", photo)], "a", GREY).images) == 1
    pixels = Image.fromarray(np.zeros((2000, 2100), np.uint8))  # of an array, not of a file
    with pytest.raises(ValueError, match="2100 x 2000 pixels are too many"):
        fit_module.fit(pixels, GREY)


def test_reading_ends_when_its_time_is_over(tmp_path, monkeypatch):
    assert settings.max_reading() == math.inf
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    assert settings.max_reading() == 20
    now = [0.0]
    monkeypatch.setattr(pictures_module.time, "monotonic", lambda: now[0])

    def slow(picture):
        now[0] += 6
        return torch.zeros(GREY).byte()

    files = {f"a/{k}.png": encoded(k) for k in range(5)}
    single = list(files.items())
    assert len(from_files(single[:4], "a", GREY, prepare=slow).images) == 4
    with pytest.raises(ValueError, match="too long after 4 pictures: give fewer"):
        from_files(single, "a", GREY, prepare=slow)
    with pytest.raises(ValueError, match="too long after 4 pictures"):
        read_pictures(packed(tmp_path / "a.zip", files), GREY, prepare=slow)
    *_, last = reading(tmp_path / "a.zip", GREY, prepare=slow, until=now[0] + 100)
    assert len(last.images) == 5


def test_reading_tells_how_far_it_is(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((250, 4, 4), np.uint8))
    *counts, last = reading(tmp_path / "a.npz", GREY)
    assert counts == [0, 100, 200] and isinstance(last, Pictures)


def test_sets_are_joined_by_the_names_of_their_classes():
    one = from_files([("2", encoded(2)), ("1", encoded(1))], ["owl", "cat"], GREY)
    two = from_files(
        [("3", encoded(3)), ("4", encoded(4)), ("5", b"")], ["10", "cat", "9"], GREY, 0.5
    )
    both = joined([one, two], classes=("dog", "cat"))
    assert both.classes == ("dog", "cat", "10", "owl")
    assert levels(both) == [(1, "cat"), (2, "owl"), (3, "10"), (4, "cat")]
    assert both.broken == two.broken != ()
    with pytest.raises(ValueError, match="one shape"):
        joined([one, from_files([("1", encoded(1))], "a", COLOUR)])


def test_fractions_are_rounded(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.full((1, 8, 8), 0.7 / 255))
    assert (read_pictures(tmp_path / "a.npz", GREY).images == 1).all()


def test_a_picture_that_pillow_takes_for_a_bomb_is_too_large(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"a\.png: over 50 million pixels are too many"):
        from_files([("a.png", encoded(1))], "a", GREY, max_broken=1.0)


def test_names_that_cannot_be_classes_are_not_taken(tmp_path):
    hub_table(tmp_path / "a.parquet", cells(1, 2), [0, 1], ["same", "same"])
    assert read_pictures(tmp_path / "a.parquet", GREY).classes == ("0", "1")
    names = [f"class {k}" for k in range(MAX_CLASSES + 1)]
    hub_table(tmp_path / "a.parquet", cells(1, 2), [0, 1], names)
    with pytest.raises(ValueError, match="1001 classes are too many"):
        read_pictures(tmp_path / "a.parquet", GREY)


def test_every_kind_has_a_name_that_people_know():
    assert set(KINDS) == {"folder", "parquet", "zip", "npz"}
