"""A comparison as files: a picture of all rows, its numbers as JSON or CSV."""

import csv
import json
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from flowdemo.evaluation.compare import Row
from flowdemo.files import write_file
from flowdemo.output.images import image_grid, scatter
from flowdemo.sampling.run import Samples

CAPTION = 14  # pixels


def caption(row: Row) -> str:
    """A row in words: what it is, what it cost, how good it is."""
    parts = [str(row.request), f"NFE {row.samples.nfe:g}"]
    if row.accuracy is not None:
        parts.append(f"{row.accuracy:.0%} right")
    return "   ".join(parts)


def sheet(rows: list[Row]) -> Image.Image:
    """The samples of all rows in one picture, each under its caption."""
    font = ImageFont.load_default(CAPTION)
    extent = 1.1 * max(row.samples.trajectory.states[-1].abs().max().item() for row in rows)
    pictures = [strip(row.samples, extent) for row in rows]
    width = max(
        *(picture.width for picture in pictures),
        *(math.ceil(font.getlength(caption(row))) for row in rows),
    )
    height = sum(picture.height + 2 * CAPTION for picture in pictures)
    page = Image.new("RGB", (width, height), "white")
    draw, y = ImageDraw.Draw(page), 0
    for row, picture in zip(rows, pictures, strict=True):
        draw.text((0, y + CAPTION // 3), caption(row), "black", font)
        page.paste(picture, (0, y + CAPTION * 3 // 2))
        y += picture.height + 2 * CAPTION
    return page


def strip(samples: Samples, extent: float) -> Image.Image:
    """The final samples in one line: image beside image, or one scatter."""
    if samples.images is None:
        return scatter(samples.points, samples.labels, extent).convert("RGB")
    return image_grid(samples.images, columns=len(samples.images)).convert("RGB")


def write_table(rows: list[Row], path: Path) -> None:
    """The numbers of the rows as CSV with a header."""
    with path.open("w", newline="") as file:
        table = [row.numbers() for row in rows]
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def as_json(rows: list[Row]) -> dict[str, object]:
    """What all rows share, and the numbers of each."""
    asked = rows[0].samples.settings
    shared = {key: asked[key] for key in ("n", "label", "seed")}
    return shared | {"rows": [row.numbers() for row in rows]}


def write_json(rows: list[Row], path: Path) -> None:
    path.write_text(json.dumps(as_json(rows), indent=1) + "\n")


def write_png(rows: list[Row], path: Path) -> None:
    sheet(rows).save(path, format="PNG")


WRITERS = {".png": write_png, ".json": write_json, ".csv": write_table}


def export(rows: list[Row], path: Path) -> None:
    """Writes a comparison to `path`; ValueError for an ending that is none of WRITERS."""
    if path.suffix not in WRITERS:
        raise ValueError(f"cannot write '{path.name}': end it in {', '.join(WRITERS)}")
    write_file(path, lambda draft: WRITERS[path.suffix](rows, draft))


def export_all(rows: list[Row], folder: Path, stem: str = "comparison") -> list[str]:
    """One file of every kind; their paths."""
    files = [folder / f"{stem}{suffix}" for suffix in WRITERS]
    for file in files:
        export(rows, file)
    return [str(file) for file in files]
