"""Pictures as a network sees them: the middle, upright, opaque, of 8 bits, otherwise unchanged."""

import io
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from flowdemo.data import prepare as module
from flowdemo.data.digits import to_digit
from flowdemo.data.prepare import fit, fit_for, opened


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def saved(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_a_picture_of_the_right_size_and_kind_stays_bit_for_bit():
    grey, colour = noise(28, 28), noise(20, 32, 3)
    seen = fit(Image.fromarray(grey), (1, 28, 28))
    assert seen.dtype == torch.uint8 and torch.equal(seen, torch.from_numpy(grey)[None])
    seen = fit(Image.fromarray(colour), (3, 20, 32))
    assert torch.equal(seen, torch.from_numpy(colour).permute(2, 0, 1)) and seen.is_contiguous()


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((28, 40), slice(None), slice(6, 34)),  # wide
        ((44, 28), slice(8, 36), slice(None)),  # high
        ((28, 31), slice(None), slice(1, 29)),
    ],
)
def test_a_crop_without_a_change_of_size_is_the_middle_itself(size, rows, columns):
    pixels = noise(*size)
    seen = fit(Image.fromarray(pixels), (1, 28, 28))
    assert torch.equal(seen[0], torch.from_numpy(pixels[rows, columns]))


def test_a_wide_picture_keeps_its_middle_when_it_shrinks():
    pixels = np.zeros((100, 300), np.uint8)
    pixels[:, 100:200] = 200
    assert (fit(Image.fromarray(pixels), (1, 20, 20)) == 200).all()
    assert (fit(Image.fromarray(pixels), (1, 10, 30))[0, :, 12:18] >= 199).all()


@pytest.mark.parametrize("size", [(500, 300), (7, 5), (64, 64), (1, 1), (3000, 2)])
def test_one_colour_stays_one_colour(size):
    seen = fit(Image.new("RGB", size, (10, 200, 77)), (3, 32, 32))
    assert torch.equal(seen, torch.tensor([10, 200, 77]).byte()[:, None, None].expand(3, 32, 32))


def test_sixteen_bits_become_eight_by_their_share_of_the_range():
    levels = np.array([[0, 200, 128 * 257, 65535]], np.uint16)
    sixteen = opened(saved(Image.fromarray(levels), "png"))
    assert sixteen.mode.startswith("I")
    assert fit(sixteen, (1, 1, 4)).flatten().tolist() == [0, 1, 128, 255]
    assert fit(Image.fromarray(levels.astype(np.int32)), (1, 1, 4))[0, 0, 3] == 255


def test_a_rotated_photo_is_upright():
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20] = 255  # light above
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to see it"
    photo = Image.fromarray(pixels).rotate(90)  # as the camera has stored it
    seen = fit(opened(saved(photo, "png", exif=exif)), (1, 40, 40))
    assert (seen[0, :20] == 255).all() and (seen[0, 20:] == 0).all()


def test_what_is_transparent_becomes_the_background():
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 4, 8))
    seen = fit(picture, (3, 8, 8))
    assert seen[:, 0, 0].tolist() == [0, 0, 255] and seen[:, 0, 7].tolist() == [255, 255, 255]
    assert fit(picture, (3, 8, 8), "black")[:, 0, 7].tolist() == [0, 0, 0]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([0, 0, 0, 9, 9, 9])
    content = saved(palette, "png", transparency=0)
    assert fit(opened(content), (1, 1, 2)).flatten().tolist() == [255, 9]


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("1", 1, (255, 255, 255)), ("L", 90, (90, 90, 90)), ("LA", (90, 255), (90, 90, 90)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)), ("RGBA", (1, 2, 3, 255), (1, 2, 3)),
        ("P", 0, (0, 0, 0)),
    ],
)  # fmt: skip
def test_every_mode_is_understood(mode, colour, seen):
    pixels = fit(Image.new(mode, (9, 9), colour), (3, 4, 4))
    assert pixels[:, 1, 1].tolist() == list(seen)
    assert fit(Image.new(mode, (9, 9), colour), (1, 4, 4)).shape == (1, 4, 4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_every_kind_of_file_is_opened(kind):
    content = saved(Image.new("RGB", (40, 30), (200, 30, 60)), kind)
    seen = fit(opened(content), (3, 8, 8)).float()
    assert (seen - torch.tensor([200.0, 30, 60])[:, None, None]).abs().max() < 6


def test_only_some_kinds_of_files_are_opened():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    for content in (eps, b"", b"hello", saved(Image.new("L", (4, 4)), "pcx")):
        with pytest.raises(ValueError, match="no picture of a known kind"):
            opened(content)


def test_a_large_photo_is_decoded_small():
    content = saved(Image.new("RGB", (4200, 4100), (200, 30, 60)), "jpeg")
    assert opened(content).size == (1050, 1025)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 10_000)
    content = saved(Image.new("1", (200, 51)), "png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    for call in (partial(opened, content), partial(fit, Image.new("1", (200, 51)), (1, 8, 8))):
        with pytest.raises(ValueError, match="200 x 51 pixels are too many"):
            call()
    assert opened(b"P5 2 2 255 \x00\x01\x02\x03").size == (2, 2)


def test_what_has_no_eight_bits_is_refused():
    with pytest.raises(ValueError, match="no known range"):
        fit(Image.new("F", (4, 4)), (1, 4, 4))
    with pytest.raises(ValueError, match="1 or 3 channels"):
        fit(Image.new("L", (4, 4)), (2, 4, 4))


def test_drawings_become_what_the_data_set_is_like():
    page = Image.new("RGBA", (300, 200))
    ImageDraw.Draw(page).line([(100, 40), (180, 160)], fill=(0, 0, 0, 255), width=15)
    digit = fit_for("mnist", (1, 28, 28))(page)
    assert digit.dtype == torch.uint8
    torch.testing.assert_close(digit.float() / 255, to_digit(page), atol=0.5 / 255, rtol=0)
    assert fit_for("fashion-mnist", (1, 28, 28))(page)[0, 0, 0] == 0
    assert torch.equal(fit_for("cifar10", (3, 32, 32))(page), fit(page, (3, 32, 32)))
    with pytest.raises(ValueError, match="1 x 28 x 28, not 3 x 28 x 28"):
        fit_for("mnist", (3, 28, 28))(page)
