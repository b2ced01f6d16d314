"""Archives of pictures that others made: what is damaged, too large or hostile harms nothing."""

import zipfile

import numpy as np
import pytest

from flowdemo.data import fit as fit_module
from flowdemo.data.pictures import read_pictures
from tests.small_pictures import GREY, encoded, lay, levels, packed


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
    monkeypatch.setattr("flowdemo.data.sources.MAX_BYTES", 1000)
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
