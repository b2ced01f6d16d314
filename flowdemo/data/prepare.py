"""Any picture as a network sees it: upright, cropped, resized, grey or colour."""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from flowdemo import settings
from flowdemo.data import DATASETS
from flowdemo.data.digits import to_digit

MAX_PIXELS, MAX_BYTES = 50_000_000, 64_000_000  # of one picture, decoded and encoded
# Not all that Pillow reads: some decoders start other programs, and fewer are easier to trust.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MODES = {1: "L", 3: "RGB"}
DRAFT = 1024  # a photo is decoded at the smallest of JPEG's scales that is no smaller than this
Prepare = Callable[[Image.Image], Tensor]


def opened(content: bytes) -> Image.Image:
    """The picture (the first, if they are many) of a file's content; nothing is decoded yet."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES // 1_000_000} MB")
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise ValueError(f"no picture of a known kind ({', '.join(FORMATS).lower()})") from None
    check_pixels(picture, MAX_PIXELS)
    picture.draft(None, (DRAFT, DRAFT))
    check_pixels(picture, settings.max_picture_pixels())
    return picture


def fit(picture: Image.Image, shape: tuple[int, int, int], background: str = "white") -> Tensor:
    """Pixels (c, h, w) uint8 of the middle of the picture, upright; c is 1 (grey) or 3 (colour).

    What is transparent becomes the background. One of the right size and kind stays as it is, bit for
    bit. ValueError for a picture of too many pixels or of a kind that has no 8-bit form.
    """
    channels, height, width = shape
    if channels not in MODES:
        raise ValueError(f"pictures have 1 or 3 channels, not {channels}")
    flat = eight_bits(picture)
    if flat.mode == "RGBA":
        flat = Image.alpha_composite(Image.new("RGBA", flat.size, background), flat)
    part = flat.convert(MODES[channels]).crop(middle(flat.size, (width, height)))
    if part.size != (width, height):
        how = Image.Resampling.LANCZOS if part.width > width else Image.Resampling.BICUBIC
        part = part.resize((width, height), how)
    pixels = torch.from_numpy(np.array(part)).reshape(height, width, channels)
    return pixels.permute(2, 0, 1).contiguous()


def middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of a size with the target's aspect ratio; both (width, height)."""
    (W, H), (w, h) = size, target
    wide, high = min(W, max(1, round(H * w / h))), min(H, max(1, round(W * h / w)))
    left, top = (W - wide) // 2, (H - high) // 2
    return left, top, left + wide, top + high


def eight_bits(picture: Image.Image) -> Image.Image:
    """The same picture, upright, as L, RGB, or RGBA if anything may be transparent."""
    check_pixels(picture, min(MAX_PIXELS, settings.max_picture_pixels()))
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # Pillow's own conversion clips at 255
        levels = np.asarray(picture).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("its grey levels have no known range: save it with 8 or 16 bits")
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def check_pixels(picture: Image.Image, most: int) -> None:
    """ValueError if decoding would take too much; only the header has been read so far."""
    if picture.width * picture.height > most:
        raise ValueError(f"{picture.width} x {picture.height} pixels are too many: make it smaller")


def as_digit(picture: Image.Image, shape: tuple[int, int, int]) -> Tensor:
    """`to_digit` as uint8 (1, 28, 28); ValueError for another shape."""
    if tuple(shape) != (1, 28, 28):
        raise ValueError(f"digits of MNIST are 1 x 28 x 28, not {' x '.join(map(str, shape))}")
    return (to_digit(eight_bits(picture)) * 255).round().to(torch.uint8)


# How drawings and uploads become like the pictures of a data set: a name of `DataSet.prepare`.
PREPARE = {"digit": as_digit, "fit": fit, "fit on black": partial(fit, background="black")}


def fit_for(data: str, shape: tuple[int, int, int]) -> Prepare:
    """What turns a drawn or uploaded picture into one of that data set, uint8 of that shape."""
    how = DATASETS[data].prepare if data in DATASETS else "fit"
    return partial(PREPARE[how], shape=tuple(shape))


def prepare_for(data: str, shape: tuple[int, int, int]) -> Prepare:
    """How pictures become like those of that data set; one of just that shape stays as it is."""

    def prepare(picture: Image.Image) -> Tensor:
        channels, height, width = shape
        is_ready = picture.size == (width, height) and len(picture.getbands()) == channels
        how = partial(fit, shape=shape) if is_ready else fit_for(data, shape)
        return how(picture)

    return prepare
