"""Where pictures with labels come from on this machine: folders, archives, arrays.

A source lists its pictures without reading them; `pictures.py` reads one after the other.
"""

import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image

from flowdemo import settings
from flowdemo.core.noise import generator
from flowdemo.data.class_names import in_classes
from flowdemo.data.prepare import MAX_BYTES

Choose = Callable[[int], Sequence[int]]  # of so many pictures, the numbers of those that are read
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


def folder(path: Path, split: str, choose: Choose) -> Source:
    """Folders of pictures, one per class; a folder of pictures alone is one class."""
    below = (PurePosixPath(file.relative_to(path).as_posix()) for file in path.rglob("*"))
    files = [name for name in below if is_wanted(name) and (path / name).is_file()]
    place = path.resolve().name
    labelled = list(in_classes(sorted(files), split, place))
    some = [labelled[k] for k in choose(len(labelled))]
    entries = [Entry(str(f), label, partial(content, path / f)) for f, label in some]
    return Source(entries, alone=alone_at(place, labelled))


def alone_at(place: str, labelled: list[tuple[PurePosixPath, str | None]]) -> str | None:
    """The name of the place for the class of files of which none has a class."""
    return None if any(label is not None for _, label in labelled) else place


def content(file: Path) -> bytes:
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES // 1_000_000} MB")
    return file.read_bytes()


def archive(path: Path, split: str, choose: Choose) -> Source:
    """The same from a zip file, whose members are read one by one and never written anywhere."""
    members = {}
    for info in members_of(path):
        name = PurePosixPath(info.filename.replace("\\", "/").lstrip("/"))  # \\ by old programs
        if is_wanted(name) and not info.is_dir():
            members[name] = info
    outer = {name.parts[0] for name in members}
    if len(outer) == 1 and min(len(name.parts) for name in members) > 2:
        # People zip a folder that holds the classes.
        members = {name.relative_to(*outer): info for name, info in members.items()}
    labelled = list(in_classes(sorted(members), split, path.stem))
    some = [labelled[k] for k in choose(len(labelled))]
    entries = unzipped(path, [(members[name], label) for name, label in some])
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


def arrays(path: Path, split: str, choose: Choose) -> Source:
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
    entries = (
        Entry(f"{path.name} [{k}]", labels[k].item(), partial(Image.fromarray, images[k]))
        for k in choose(len(images))
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


def chosen(count: int, most: int, limit: float = math.inf) -> Sequence[int]:
    """Which of so many pictures are read, ascending: all, or a random part of `most`, always the same.

    ValueError if there are more than the limit.
    """
    if count > limit:
        raise ValueError(f"{count} pictures are too many here: give {limit} at most")
    if count <= most:
        return range(count)
    return torch.randperm(count, generator=generator(0))[:most].sort().values.tolist()
