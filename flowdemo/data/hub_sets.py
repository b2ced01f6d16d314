"""Data sets by name: those that this package knows, and any other of the Hub through `datasets`."""

import importlib
import re
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import fsspec

from flowdemo.config.options import REPO
from flowdemo.data import DATASETS
from flowdemo.data.archives import Entry, Source, chosen
from flowdemo.data.images import IMAGE_COLUMNS, LABEL_COLUMNS, Table, column_of, parquet_files
from flowdemo.data.prepare import MAX_BYTES
from flowdemo.data.tables import cell_bytes, rows_of

KNOWN = {name: name for name, info in DATASETS.items() if info.is_image}
KNOWN |= {DATASETS[name].hub_id: name for name in KNOWN if DATASETS[name].hub_id}
SHUFFLED = 256  # rows that are drawn from at a time: many sets are sorted by class


def known(name: str, split: str, most: int) -> Source:
    """One of this package's data sets; if it is larger than `most`, a random part, always the same."""
    info = DATASETS[KNOWN[name]]
    try:
        opened = [Table(file) for file in parquet_files(KNOWN[name], split, info.hub_id)]
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error
    some = chosen(sum(table.count for table in opened), most)
    return Source(rows_of(opened, some), info.classes)


def on_hub(where: str, split: str, most: int) -> Source:
    """A data set OWNER/NAME[:CONFIG] of the Hub, its rows read as they come.

    Of more than `most` rows the first ones of a shuffled order. ValueError if `datasets` is missing, or
    the Hub does not give it.
    """
    repo, _, config = where.partition(":")
    library = library_or_error(where)
    try:
        rows = library.load_dataset(repo, config or None, split=split, streaming=True)
        features = rows.features or {}
        image = column_of(features, IMAGE_COLUMNS) or first_image(library, features)
        label = column_of(features, LABEL_COLUMNS)
        rows = rows.select_columns([image, label] if label else [image])
        if isinstance(features[image], library.Image):
            rows = rows.cast_column(image, library.Image(decode=False))
        rows = rows.shuffle(seed=0, buffer_size=SHUFFLED).take(most)
    except Exception as error:  # the library raises many kinds; each means the same here
        raise ValueError(f"the data set {where} cannot be read: {first_line(error)}") from error
    names = getattr(features[label], "names", None) if label else None
    found = entries(rows, image, label, where, partial(row_bytes, repo=repo))
    return Source(found, tuple(names) if names else None, None if label else repo.split("/")[1])


def library_or_error(where: str) -> ModuleType:
    """The package `datasets`, of a version that runs no code of a data set."""
    try:
        library = importlib.import_module("datasets")
    except ImportError:
        raise ValueError(f"to read {where} from the Hub: pip install datasets") from None
    if int(library.__version__.split(".")[0]) < 4:
        raise ValueError(f"to read {where} from the Hub: pip install -U 'datasets>=4'")
    return library


def first_image(library: ModuleType, features: dict[str, Any]) -> str:
    """The column of pictures, whatever it is called."""
    for name, feature in features.items():
        if isinstance(feature, library.Image):
            return name
    raise ValueError(f"no column of pictures among: {', '.join(features) or 'none'}")


def entries(rows: Any, image: str, label: str | None, where: str, read: Any) -> Iterator[Entry]:
    """The rows of a stream; without a column of labels they have none."""
    try:
        for k, row in enumerate(rows):
            named = row[label] if label else None
            yield Entry(f"{where} row {k}", named, partial(read, row[image]))
    except Exception as error:  # as above, in the middle of it
        raise ValueError(f"the data set {where} broke off: {first_line(error)}") from error


def row_bytes(cell: Any, repo: str) -> bytes:
    """The encoded picture in a cell, or in a file of the same repository that the cell names.

    Any other path is refused: `datasets` would open files of this machine and addresses of its network.
    """
    path = cell.get("path") if isinstance(cell, dict) and not cell.get("bytes") else None
    inside = rf"(zip://[^:]*::)?hf://datasets/{re.escape(repo)}@[^:]+"
    if not isinstance(path, str) or not re.fullmatch(inside, path):
        return cell_bytes(cell)
    with fsspec.open(path, "rb") as stream:
        return stream.read(MAX_BYTES + 1)


def first_line(error: Exception) -> str:
    return f"{(str(error).strip() or type(error).__name__).splitlines()[0][:200]}"


def is_hub_id(where: str) -> bool:
    """Whether this is OWNER/NAME or OWNER/NAME:CONFIG."""
    return re.fullmatch(rf"{REPO}(:[\w.-]+)?", where) is not None
