"""One's own pictures: from wherever they come to what a network trains on."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from flowdemo import settings
from flowdemo.data.archives import Choose, Entry, Source, archive, arrays, chosen, content, folder
from flowdemo.data.class_names import check_classes, class_name, in_order, printable
from flowdemo.data.hub_sets import KNOWN, is_hub_id, known, on_hub
from flowdemo.data.prepare import MAX_PIXELS, Prepare, fit, opened
from flowdemo.data.tables import tables

Shape = tuple[int, int, int]
NAMED = 5  # broken files that an error names
TICK = 100  # pictures between two signs of life
KINDS: dict[str, Callable[[Path, str, Choose], Source]] = {
    "folder": folder,
    "parquet": tables,
    "zip": archive,
    "npz": arrays,
}


@dataclass(frozen=True)
class Pictures:
    """Images (n, c, h, w) uint8, labels (n,) int64 of classes, and "name: why" of what was skipped."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    broken: tuple[str, ...] = ()


def read_pictures(
    where: str | Path,
    shape: Shape,
    split: str = "train",
    max_broken: float = 0.1,
    max_pictures: int | None = None,
    prepare: Prepare | None = None,
    alone: str | None = None,
) -> Pictures:
    """All pictures of a place, cropped and resized to the shape (c, h, w), or as `prepare` does it.

    A Path is a folder of image folders, parquet, a .zip of image folders, or an .npz of arrays. A str
    is a data set by name ("mnist", "owner/name", "owner/name:config"), else a path; on a public page
    only one that this package knows. Classes are those that the data names, in its order, else those
    that were found, sorted, numbers as numbers; pictures without any are of the class `alone`, by
    default the name of the place. Of more than `max_pictures` a random part is read, always the same.
    ValueError says what to do, also if a place has more than `settings` allows (of a data set by name
    no more than that are read), or over the share `max_broken` is broken, or nothing is left.
    """
    *_, last = reading(where, shape, split, max_broken, max_pictures, prepare, alone=alone)
    return last


def reading(
    where: str | Path,
    shape: Shape,
    split: str = "train",
    max_broken: float = 0.1,
    max_pictures: int | None = None,
    prepare: Prepare | None = None,
    until: float | None = None,
    alone: str | None = None,
) -> Iterator[int | Pictures]:
    """`read_pictures` as a generator: yields the number read so far, then the pictures.

    It ends in ValueError at the time `until` of `time.monotonic`, by default `deadline()` once it is
    known what there is: a data set by name may have to be downloaded first.
    """
    yield 0
    limit = settings.max_pictures(shape)
    most = limit if max_pictures is None else min(max_pictures, limit)
    source = source_of(where, split, most, limit)
    until = deadline() if until is None else until
    check_classes(source.classes or ())
    if source.alone is not None:
        source = replace(source, alone=class_name((alone or "").strip() or source.alone))
    yield from collect(source, prepare or partial(fit, shape=shape), max_broken, until)


def source_of(where: str | Path, split: str, most: int, limit: int) -> Source:
    """The source at a path or name. ValueError if its format is unknown or it exceeds the limit."""
    named = ", ".join(name for name in KNOWN if "/" not in name)
    if isinstance(where, str):
        path = Path(where)
        if where in KNOWN:
            return known(where, split, most)
        if settings.is_public():
            # The same words whether or not there is such a file; and a stranger's data set may name
            # files elsewhere, or unpack to any size.
            raise ValueError(f"here only {named} are read: upload pictures instead")
        if is_hub_id(where) and not path.exists():
            return on_hub(where, split, most)
        where = path
    if not where.exists():
        raise ValueError(f"'{where}' is no file, folder, data set of the Hub, nor one of: {named}")
    return KINDS[kind_of(where)](where, split, partial(chosen, most=most, limit=limit))


def kind_of(path: Path) -> str:
    """Which of KINDS a folder or file is; ValueError for another file."""
    if path.is_dir():
        return "parquet" if next(path.rglob("*.parquet"), None) else "folder"
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise ValueError(f"{path.name} is no folder, .zip, .npz or .parquet file of pictures")
    return kind


def from_files(
    files: list[Path | tuple[str, bytes]],
    labels: list[str] | str,
    shape: Shape,
    max_broken: float = 0.1,
    prepare: Prepare | None = None,
    until: float | None = None,
) -> Pictures:
    """Single files, or their names and contents, with the name of the class of each or of all."""
    *_, last = reading_files(files, labels, shape, max_broken, prepare, until)
    return last


def reading_files(
    files: list[Path | tuple[str, bytes]],
    labels: list[str] | str,
    shape: Shape,
    max_broken: float = 0.1,
    prepare: Prepare | None = None,
    until: float | None = None,
) -> Iterator[int | Pictures]:
    """`from_files` with signs of life, as `reading` has them."""
    each = [labels] * len(files) if isinstance(labels, str) else labels
    if len(each) != len(files):
        raise ValueError(f"{len(files)} files need as many labels, not {len(each)}")
    if len(files) > settings.max_pictures(shape):
        raise ValueError(f"{len(files)} files are too many: {settings.max_pictures(shape)} at most")
    for label in each:
        class_name(label)
    source = Source(map(entry_of, files, each))
    until = deadline() if until is None else until
    yield from collect(source, prepare or partial(fit, shape=shape), max_broken, until)


def entry_of(file: Path | tuple[str, bytes], label: str) -> Entry:
    if isinstance(file, Path):
        return Entry(file.name, label, partial(content, file))
    return Entry(file[0], label, lambda: file[1])


def deadline() -> float:
    """When reading that begins now must be done, by `time.monotonic`."""
    return time.monotonic() + settings.max_reading()


def collect(
    source: Source, prepare: Prepare, max_broken: float, until: float
) -> Iterator[int | Pictures]:
    """Reads a source: how many were looked at, every TICK of them, then the pictures."""
    images, names, broken = [], [], []
    for k, entry in enumerate(source.entries):
        if k and k % TICK == 0:
            yield k
        if time.monotonic() > until:
            raise ValueError(
                f"reading took too long after {k} pictures: give fewer or smaller ones"
            )
        try:
            name = source.alone or class_name(entry.label, source.classes)
            images.append(prepare(as_picture(entry.read())))
            names.append(name)
        except Exception as error:  # damaged pictures raise nearly anything within their decoders
            broken.append(f"{printable(entry.name)}: {why(error)}")
    check_broken(len(images), broken, max_broken)
    classes = source.classes or in_order(names)
    number = {name: k for k, name in enumerate(classes)}
    labels = torch.tensor([number[name] for name in names])
    yield Pictures(torch.stack(images), labels, classes, tuple(broken))


def as_picture(read: bytes | Image.Image) -> Image.Image:
    return opened(read) if isinstance(read, bytes) else read


def check_broken(kept: int, broken: list[str], max_broken: float) -> None:
    """ValueError that names the first ones if too many were skipped, or nothing is left."""
    seen = kept + len(broken)
    if seen == 0:
        raise ValueError("there are no pictures in it")
    if kept == 0 or len(broken) > max_broken * seen:
        more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        first = "; ".join(broken[:NAMED])
        raise ValueError(f"{len(broken)} of {seen} pictures cannot be used: {first}{more}")


def why(error: Exception) -> str:
    """What is wrong with a picture, in one line."""
    if isinstance(error, Image.DecompressionBombError):
        return f"over {MAX_PIXELS // 1_000_000} million pixels are too many: make it smaller"
    words = printable(str(error)) or type(error).__name__
    return words if type(error) is ValueError else f"damaged: {words}"


def joined(sets: Iterable[Pictures], classes: tuple[str, ...] = ()) -> Pictures:
    """Sets of the same shape as one, their classes matched by name.

    First come the given names, those that a network has, whether or not there are pictures of them;
    then the others. ValueError if the shapes differ or there is no set.
    """
    sets = list(sets)
    if len({one.images.shape[1:] for one in sets}) != 1:
        raise ValueError("pictures of one shape are needed to join them")
    found = in_order(name for one in sets for name in one.classes)
    everything = (*classes, *(name for name in found if name not in classes))
    number = {name: k for k, name in enumerate(everything)}
    moved = [torch.tensor([number[name] for name in one.classes])[one.labels] for one in sets]
    return replace(
        sets[0],
        images=torch.cat([one.images for one in sets]),
        labels=torch.cat(moved),
        classes=everything,
        broken=tuple(line for one in sets for line in one.broken),
    )
