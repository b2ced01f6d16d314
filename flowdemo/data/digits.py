"""A drawn or uploaded picture as a digit of the kind that the networks have seen."""

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

SIZE, INNER = 28, 20
MAX_PIXELS = 25_000_000


def to_digit(picture: Image.Image) -> Tensor:
    """Pixels (1, 28, 28) in [0, 1], light on dark; ValueError if nothing is drawn.

    Prepared like MNIST (LeCun et al. 1998, section III.A): the strokes fit a box of 20 x 20, whose
    centre of mass lies in the middle of 28 x 28.
    """
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError("the picture is too large; 1000 x 1000 pixels are plenty")
    grey = light_on_dark(picture)
    box = Image.fromarray((grey > 64).astype(np.uint8) * 255).getbbox()
    if box is None:
        raise ValueError("nothing on the picture: draw a digit, light or dark")
    strokes = Image.fromarray(grey).crop(box)
    scale = INNER / max(strokes.size)
    size = [max(1, round(side * scale)) for side in strokes.size]
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    small = np.asarray(strokes.resize(size, how))
    page = np.zeros((SIZE, SIZE), np.float32)
    top, left = (SIZE - small.shape[0]) // 2, (SIZE - small.shape[1]) // 2
    page[top : top + small.shape[0], left : left + small.shape[1]] = small / 255
    return torch.from_numpy(centred(page))[None]


def light_on_dark(picture: Image.Image) -> np.ndarray:
    """Grey levels (h, w) uint8, stretched to the whole range, the background dark."""
    if "A" in picture.getbands():  # what is transparent is background: of the other brightness
        strokes = picture.convert("RGBA")
        dark = np.asarray(strokes.convert("L"))[np.asarray(strokes.getchannel("A")) > 127]
        behind = "black" if dark.size and dark.mean() > 127 else "white"
        page = Image.new("RGBA", strokes.size, behind)
        picture = Image.alpha_composite(page, strokes)
    grey = picture.convert("L")
    border = np.concatenate(
        [np.asarray(grey)[[0, -1]].ravel(), np.asarray(grey)[:, [0, -1]].ravel()]
    )
    if np.median(border) > 127:
        grey = ImageOps.invert(grey)
    low, high = grey.getextrema()
    return np.asarray(ImageOps.autocontrast(grey)) * np.uint8(high > low)  # one colour: nothing


def centred(page: np.ndarray) -> np.ndarray:
    """The page rolled so that its centre of mass is its middle, as far as nothing falls off."""
    for axis in (0, 1):
        mass = page.sum(1 - axis)
        used = np.flatnonzero(mass)
        wanted = round((SIZE - 1) / 2 - float((mass * np.arange(SIZE)).sum() / mass.sum()))
        page = np.roll(page, int(np.clip(wanted, -used[0], SIZE - 1 - used[-1])), axis)
    return page
