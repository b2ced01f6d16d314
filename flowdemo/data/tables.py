"""Pictures out of parquet tables in the schema of the Hub's data sets, and only the rows wanted."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flowdemo import settings
from flowdemo.data.archives import Choose, Entry, Source
from flowdemo.data.class_names import SPLITS
from flowdemo.data.images import IMAGE_COLUMNS, LABEL_COLUMNS, Table, column_of


def tables(path: Path, split: str, choose: Choose) -> Source:
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
    some = choose(sum(table.count for table in opened))
    labelled = any(column_of(table.columns, LABEL_COLUMNS) for table in opened)
    return Source(rows_of(opened, some), opened[0].classes, None if labelled else path.stem)


def rows_of(tables: list[Table], some: Sequence[int]) -> Iterator[Entry]:
    """Some rows of tables that are numbered on, by ascending numbers."""
    begin = 0
    for table in tables:
        end = begin + table.count
        here = some[bisect_left(some, begin) : bisect_left(some, end)]
        yield from rows_in(table, [k - begin for k in here])
        begin = end


def rows_in(table: Table, some: Sequence[int]) -> Iterator[Entry]:
    """Some rows of a table; without a column of labels they have none."""
    image = column_of(table.columns, IMAGE_COLUMNS)
    if image is None:
        raise ValueError(f"{table.file.name} has no column {' or '.join(IMAGE_COLUMNS)}")
    label = column_of(table.columns, LABEL_COLUMNS)
    rows = table.rows([image, label] if label else [image], some)
    for k, row in zip(some, rows, strict=False):
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
