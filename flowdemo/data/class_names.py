"""Class names: from labels or folders, and their order."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

SPLITS = {"train", "test", "validation", "valid", "val"}
MAX_CLASSES, MAX_NAME = 1000, 60
RESERVED = ("all", "any")


def natural(name: str) -> tuple[list[str | int], str]:
    """Sorts "2" before "10"."""
    parts = re.split(r"([0-9]+)", name.casefold())  # text and digits in turn
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], name


def class_name(label: Any, names: tuple[str, ...] | None = None) -> str:
    """What a label is called: a name itself, or a number, of one of the names if they are given."""
    if isinstance(label, str):
        name = "".join(c if c.isprintable() else " " for c in label).strip()
        if not 0 < len(name) <= MAX_NAME:
            raise ValueError(f"a class has a name of 1 to {MAX_NAME} characters")
        if name in RESERVED:
            raise ValueError(
                f"a class cannot be called '{name}': that asks for no class of its own"
            )
        return name
    if label is None:
        raise ValueError("it has no class, or lies beside the folders of the classes")
    if not isinstance(label, int):
        raise ValueError("its label is neither a number nor a name")
    if names is None:
        return str(int(label))
    if not 0 <= label < len(names):
        raise ValueError(f"its label {label} is none of the {len(names)} classes")
    return names[label]


def printable(text: str) -> str:
    """At most 100 characters of what a stranger wrote, on one line."""
    line = "".join(c if c.isprintable() else " " for c in text).strip()
    return line if len(line) <= 100 else f"{line[:60]} ... {line[-35:]}"


def in_order(found: Iterable[str]) -> tuple[str, ...]:
    """The names, each once, numbers as numbers; ValueError if they are too many to be classes."""
    names = tuple(sorted(set(found), key=natural))
    check_classes(names)
    return names


def check_classes(names: tuple[str, ...]) -> None:
    if len(names) > MAX_CLASSES:
        raise ValueError(f"{len(names)} classes are too many: {MAX_CLASSES} at most")


def in_classes(
    files: list[PurePosixPath], split: str, place: str
) -> Iterator[tuple[PurePosixPath, str | None]]:
    """Files of a tree and their classes: the first folder, below one of splits if there are those.

    Without any folder no file has a class, nor has one that lies beside folders. `place` is the name
    of the tree in the ValueError for a split that is not there.
    """
    if splits := splits_of(files):
        if split not in splits:
            raise ValueError(f"{place} has no split '{split}'; there are: {', '.join(splits)}")
        files, first = [file for file in files if file.parts[0] == split], 1
    else:
        first = 0
    for file in files:
        yield file, file.parts[first] if len(file.parts) > first + 1 else None


def splits_of(files: list[PurePosixPath]) -> list[str]:
    """The splits of a tree `split/class/file`; none if its first folders are something else."""
    first = {file.parts[0] for file in files}
    deep = any(len(file.parts) > 2 for file in files)
    return sorted(first) if deep and first <= SPLITS else []
