"""Samples as files: PNG, GIF or WebP, NPZ. Chosen by the ending; nothing half-written stays."""

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from flowdemo.files import write_file
from flowdemo.sampling.run import Samples

TILE, GAP, CANVAS, FRAMES = 128, 1, 480, 60
# Okabe and Ito's palette: told apart by colour-blind people too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#555555")


def export(samples: Samples, path: Path, trajectory: bool = False) -> None:
    """Writes `samples` to `path`; ValueError for an ending that is none of ENDINGS."""
    if path.suffix not in ENDINGS:
        raise ValueError(
            f"cannot write '{path.name}': the ending must be one of {', '.join(ENDINGS)}"
        )
    if path.suffix == ".npz":  # the one kind that holds the trajectory or not
        write_file(path, lambda draft: np.savez_compressed(draft, **arrays(samples, trajectory)))
    else:
        write_file(path, lambda draft: PICTURES[path.suffix](samples, draft))


def arrays(samples: Samples, trajectory: bool) -> dict[str, np.ndarray]:
    """`images` uint8 (n, h, w[, c]) or `points` (n, 2), `labels`; `times`, `trajectory` if asked."""
    made = {"labels": samples.labels.numpy()}
    if samples.images is not None:
        made["images"] = to_bytes(samples.images)
    else:
        made["points"] = samples.points.numpy()
    if trajectory:
        states = samples.trajectory.states
        if samples.images is not None:
            states = states.squeeze(2) if states.shape[2] == 1 else states.movedim(2, -1)
        made |= {"times": samples.trajectory.times.numpy(), "trajectory": states.numpy()}
    return made


def to_bytes(pixels: Tensor) -> np.ndarray:
    """Pixels in [0, 1] (n, c, h, w) as uint8 (n, h, w) or, in colour, (n, h, w, c)."""
    levels = (pixels.clamp(0, 1) * 255).round().byte()
    return (levels.squeeze(1) if levels.shape[1] == 1 else levels.movedim(1, -1)).numpy()


def image_grid(pixels: Tensor, columns: int | None = None, scale: int | None = None) -> Image.Image:
    """Pixels (n, c, h, w) as one picture, each pixel a square of `scale`: larger for small images."""
    tiles = to_bytes(pixels)
    n, height, width = tiles.shape[:3]
    scale = scale or max(1, TILE // height)
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, *tiles.shape[3:]))
    for i, tile in enumerate(tiles):
        y, x = i // columns * (height + GAP), i % columns * (width + GAP)
        sheet[y : y + height, x : x + width] = tile
    picture = Image.fromarray(sheet.astype(np.uint8))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def scatter(
    points: Tensor, labels: Tensor, extent: float, background: str = "#ffffffff"
) -> Image.Image:
    """Points (n, 2) within [-extent, extent]^2 as a picture, a colour a label."""
    picture = Image.new("RGBA", (CANVAS, CANVAS), background)
    draw = ImageDraw.Draw(picture)
    for (x, y), label in zip(points.tolist(), labels.tolist(), strict=True):
        column, row = (1 + x / extent) * CANVAS / 2, (1 - y / extent) * CANVAS / 2
        colour = COLOURS[label % len(COLOURS)]
        draw.ellipse((column - 2, row - 2, column + 2, row + 2), fill=colour)
    return picture


def frame(samples: Samples, k: int) -> Image.Image:
    """The k-th state of the trajectory as a picture."""
    states = samples.film
    if samples.images is not None:
        return image_grid(states[k])
    return scatter(states[k], samples.labels, 1.1 * states.abs().max().item())


def write_png(samples: Samples, path: Path) -> None:
    picture = frame(samples, -1) if samples.images is None else image_grid(samples.images)
    picture.save(path, format="PNG")


def write_animation(samples: Samples, path: Path) -> None:
    """At most 60 frames from noise to data, the last one held."""
    states = len(samples.trajectory.states)
    chosen = np.unique(np.linspace(0, states - 1, min(states, FRAMES)).round().astype(int))
    pictures = [frame(samples, int(k)) for k in chosen]
    durations = [max(40, 2000 // len(pictures))] * (len(pictures) - 1) + [1500]
    options = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
    if path.suffix == ".webp":
        options["lossless"] = True
    pictures[0].save(path, **options)


PICTURES = {".png": write_png, ".gif": write_animation, ".webp": write_animation}
ENDINGS = (*PICTURES, ".npz")


def export_all(samples: Samples, folder: Path, stem: str) -> list[str]:
    """One file of every kind and the settings as JSON; their paths."""
    stem = stem.replace("/", "--")  # of a repository
    settings = folder / f"{stem}.json"
    cost = {"nfe": samples.nfe, "seconds": samples.seconds}
    write_file(
        settings, lambda path: path.write_text(json.dumps(samples.settings | cost, indent=1))
    )
    files = [folder / f"{stem}{suffix}" for suffix in ENDINGS]
    for file in files:
        export(samples, file, trajectory=True)
    return [str(file) for file in [*files, settings]]
