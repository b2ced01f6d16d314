"""Own pictures from folders, archives and files: classes are found, damage is named, limits hold."""

import io
import math
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from flowdemo import settings
from flowdemo.data import archives, hub_sets
from flowdemo.data import pictures as pictures_module
from flowdemo.data import prepare as fit_module
from flowdemo.data.class_names import MAX_CLASSES, in_order
from flowdemo.data.pictures import Pictures, from_files, joined, read_pictures, reading
from flowdemo.data.prepare import fit_for
from tests.data.pictures import COLOUR, GREY, cells, encoded, hub_table, lay, levels, packed

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


def test_an_archive_cannot_lead_out_of_itself(tmp_path):
    files = {f"a/{k}.png": encoded(k) for k in range(20)}
    where = packed(tmp_path / "z.zip", files | {"../../b/x.png": encoded(1), "/etc/y.png": b"x"})
    before = sorted(tmp_path.parent.rglob("*"))
    pictures = read_pictures(where, GREY)
    assert len(pictures.images) == 20 and sorted(tmp_path.parent.rglob("*")) == before
    assert "../../b/x.png: its name leads out of the archive" in pictures.broken
    where = packed(tmp_path / "y.zip", {"/etc/y.png": encoded(1), "a/x.png": encoded(2)})
    assert levels(read_pictures(where, GREY)) == [(1, "etc"), (2, "a")]


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    bomb = packed(tmp_path / "bomb.zip", {f"a/{k}.png": bytes(40_000_000) for k in range(8)})
    assert bomb.stat().st_size < 1_000_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match="more than 300 MB unpacked"):
        read_pictures(bomb, GREY)


def test_a_member_that_is_too_large_is_read_no_further(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    monkeypatch.setattr(fit_module, "MAX_BYTES", 1000)
    files = {"a/small.png": encoded(1), "a/large.png": encoded(1) + bytes(2000)}
    for where in (lay(tmp_path / "mine", files), packed(tmp_path / "mine.zip", files)):
        (line,) = read_pictures(where, GREY, max_broken=0.5).broken
        assert line.startswith("a/large.png: larger than")


def test_an_archive_that_is_none_says_so(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    (tmp_path / "a.npz").write_bytes(b"no archive")
    for name in ("a.zip", "a.npz"):
        with pytest.raises(ValueError, match="is no archive"):
            read_pictures(tmp_path / name, GREY)
    packed(tmp_path / "b.zip", {"a/1.png": encoded(1)})
    content = bytearray((tmp_path / "b.zip").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # the sign of a password
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(ValueError, match="encrypted or packed unusually"):
        read_pictures(tmp_path / "b.zip", GREY)


def test_damage_anywhere_in_an_archive_ends_in_one_clear_line(tmp_path):
    files = {f"a/{k}.png": encoded(k) for k in range(3)}
    whole = packed(tmp_path / "z.zip", files).read_bytes()
    np.savez(tmp_path / "z.npz", images=np.zeros((3, 8, 8), np.uint8))
    arrays = (tmp_path / "z.npz").read_bytes()
    draw, kept = np.random.default_rng(0), 0
    for k in range(400):
        content = bytearray((whole, arrays)[k % 2])
        content[draw.integers(len(content))] = draw.integers(256)
        file = tmp_path / ("d.zip", "d.npz")[k % 2]
        file.write_bytes(content)
        try:
            kept += len(read_pictures(file, GREY, max_broken=0.9).images) > 0
        except ValueError as error:
            assert "\n" not in str(error)
    assert 0 < kept < 400


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
