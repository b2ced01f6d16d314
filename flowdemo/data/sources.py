"""Where pictures with labels come from on this machine: folders, archives, tables, arrays.

A source lists its pictures without reading them; `pictures.py` reads one after the other.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from flowdemo import settings
from flowdemo.data.classes import SPLITS, in_classes
from flowdemo.data.fit import MAX_BYTES
from flowdemo.data.images import IMAGE_COLUMNS, LABEL_COLUMNS, Table, column_of

SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".avif", ".heic", ".heif",
}  # fmt: skip  # the last three are said to be unreadable rather than overlooked
# What the readers of archives raise besides what they say they do.
STRANGE = (
    NotImplementedError, EOFError, OverflowError, MemoryError, LookupError, TypeError, SyntaxError,
    struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One picture: its name for messages, the name or number of its class, and how to read it."""

    name: str
    label: Any
    read: Callable[[], bytes | Image.Image]


@dataclass(frozen=True)
class Source:
    """Pictures, and the names of the classes if their labels are numbers of these.

    `alone` is given if they have no classes: then it is the one class of all, whatever their labels.
    """

    entries: Iterable[Entry]
    classes: tuple[str, ...] | None = None
    alone: str | None = None


def folder(path: Path, split: str, most: int) -> Source:
    """Folders of pictures, one per class; a folder of pictures alone is one class."""
    below = (PurePosixPath(file.relative_to(path).as_posix()) for file in path.rglob("*"))
    files = [name for name in below if is_wanted(name) and (path / name).is_file()]
    check_count(len(files), most)
    place = path.resolve().name
    labelled = list(in_classes(sorted(files), split, place))
    entries = [Entry(str(f), label, partial(content, path / f)) for f, label in labelled]
    return Source(entries, alone=alone_at(place, labelled))


def alone_at(place: str, labelled: list[tuple[PurePosixPath, str | None]]) -> str | None:
    """The name of the place for the class of files of which none has a class."""
    return None if any(label is not None for _, label in labelled) else place


def content(file: Path) -> bytes:
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES // 1_000_000} MB")
    return file.read_bytes()


def archive(path: Path, split: str, most: int) -> Source:
    """The same from a zip file, whose members are read one by one and never written anywhere."""
    members = {}
    for info in members_of(path):
        name = PurePosixPath(info.filename.replace("\\", "/").lstrip("/"))  # \\ by old programs
        if is_wanted(name) and not info.is_dir():
            members[name] = info
    check_count(len(members), most)
    outer = {name.parts[0] for name in members}
    if len(outer) == 1 and min(len(name.parts) for name in members) > 2:
        # People zip a folder that holds the classes.
        members = {name.relative_to(*outer): info for name, info in members.items()}
    labelled = list(in_classes(sorted(members), split, path.stem))
    entries = unzipped(path, [(members[name], label) for name, label in labelled])
    return Source(entries, alone=alone_at(path.stem, labelled))


def unzipped(path: Path, labelled: list[tuple[zipfile.ZipInfo, str | None]]) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as file:
        for info, label in labelled:
            yield Entry(info.filename, label, partial(member, file, info))


def member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """At most a byte more than a picture may have, whatever the archive says its size is."""
    if ".." in PurePosixPath(info.filename.replace("\\", "/")).parts:
        raise ValueError("its name leads out of the archive")
    with file.open(info) as stream:
        return stream.read(MAX_BYTES + 1)


def members_of(path: Path) -> list[zipfile.ZipInfo]:
    """What an archive holds; ValueError unless that is little enough and plainly packed."""
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, *STRANGE) as error:
        raise ValueError(f"{path.name} is no archive that can be read: {error}") from error
    if sum(info.file_size for info in members) > settings.max_unpacked():
        most = settings.max_unpacked() // 1_000_000
        raise ValueError(f"{path.name} holds more than {most} MB unpacked; give less")
    plain = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if any(info.flag_bits & 1 or info.compress_type not in plain for info in members):
        raise ValueError(f"{path.name} is encrypted or packed unusually; make a plain zip file")
    return members


def tables(path: Path, split: str, most: int) -> Source:
    """Parquet in the schema of the Hub's data sets: that split's files, all if none is of a split."""
    if settings.is_public():  # a small table may unpack to any size
        raise ValueError("here parquet files are not read: give pictures or a zip file of them")
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    splits = {file.name.split("-")[0].split(".")[0] for file in files} & SPLITS
    if path.is_dir() and splits:
        files = [file for file in files if re.match(rf"{re.escape(split)}\b", file.name)]
    if not files:
        raise ValueError(
            f"{path.name} has no split '{split}'; there are: {', '.join(sorted(splits))}"
        )
    opened = [Table(file) for file in files]
    check_count(sum(table.count for table in opened), most)
    labelled = any(column_of(table.columns, LABEL_COLUMNS) for table in opened)
    entries = (entry for table in opened for entry in rows_of(table))
    return Source(entries, opened[0].classes, None if labelled else path.stem)


def rows_of(table: Table) -> Iterator[Entry]:
    """The rows of a table; without a column of labels they have none."""
    image = column_of(table.columns, IMAGE_COLUMNS)
    if image is None:
        raise ValueError(f"{table.file.name} has no column {' or '.join(IMAGE_COLUMNS)}")
    label = column_of(table.columns, LABEL_COLUMNS)
    for k, row in enumerate(table.rows([image, label] if label else [image])):
        yield Entry(
            f"{table.file.name} row {k}",
            row[label] if label else None,
            partial(cell_bytes, row[image]),
        )


def cell_bytes(cell: Any) -> bytes:
    """The encoded picture in a cell. A path in it is not followed: it would name a file of ours."""
    found = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(found, bytes):
        raise ValueError("it holds no picture")
    return found


def arrays(path: Path, split: str, most: int) -> Source:
    """An .npz file: `images` and, unless they are of one class, `labels`."""
    members_of(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            images = file["images"]
            alone = None if "labels" in file else path.stem
            labels = np.zeros(len(images), int) if alone else file["labels"]
    except (zipfile.BadZipFile, OSError, ValueError, *STRANGE) as error:
        raise ValueError(f"{path.name} is not understood: {error}") from error
    images = channels_last(images)
    if labels.shape != (len(images),):
        raise ValueError(f"{path.name} has {len(images)} images but labels {labels.shape}")
    check_count(len(images), most)
    entries = (
        Entry(f"{path.name} [{k}]", label, partial(Image.fromarray, image))
        for k, (image, label) in enumerate(zip(images, labels.tolist(), strict=True))
    )
    return Source(entries, alone=alone)


def channels_last(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w) or (n, h, w, c) of uint8, from these or (n, c, h, w), uint8 or in [0, 1]."""
    if images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.shape[1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (3, 4)):
        raise ValueError(f"images are (n, h, w), (n, h, w, c) or (n, c, h, w), not {images.shape}")
    if images.dtype.kind == "f":
        if not ((images >= 0) & (images <= 1)).all():
            raise ValueError(
                "images of fractions lie in [0, 1]; divide by the largest or use uint8"
            )
        return np.rint(images * 255.0).astype(np.uint8)
    if images.dtype != np.uint8:
        raise ValueError(f"images are of uint8 or fractions in [0, 1], not {images.dtype}")
    return np.ascontiguousarray(images)


def is_wanted(path: PurePosixPath) -> bool:
    """Whether a file of that name is a picture and not hidden, nor one of macOS's doubles."""
    hidden = any(part == "__MACOSX" or (part[0] == "." and part != "..") for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def check_count(count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"{count} pictures are too many here: give {most} at most")
