"""Image data sets as parquet files in the schema of the Hub's data sets of the same name."""

import io
import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import torch
from huggingface_hub import snapshot_download
from PIL import Image
from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile
from torch import Tensor

IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img"), ("label", "labels", "fine_label")
ROWS = 256  # that are in memory at a time


def load_images(name: str, split: str, hub_id: str | None = None) -> tuple[Tensor, Tensor]:
    """Images (n, channels, height, width) uint8 and labels (n,) int64 of "train" or "test".

    Read from the folder that FLOWDEMO_DATA names, else from the Hub's data set of that id
    through its cache.
    """
    pixels, labels = [], []
    for file in parquet_files(name, split, hub_id):
        table = Table(file)
        image = column_of(table.columns, IMAGE_COLUMNS)
        for row in table.rows([image, "label"]):
            pixels.append(decode(row[image]["bytes"]))
            labels.append(row["label"])
    return torch.from_numpy(np.stack(pixels)), torch.tensor(labels)


class Table:
    """A parquet file: its columns, how many rows, the names of its classes, and the rows in turn.

    ValueError if it is none.
    """

    def __init__(self, file: Path):
        self.file = file
        try:
            with ParquetFile(file) as opened:
                schema, self.count = opened.schema_arrow, opened.metadata.num_rows
        except (ArrowException, OSError) as error:
            raise ValueError(f"{file.name} is no parquet file that can be read") from error
        self.columns = tuple(schema.names)
        self.classes = names_of_classes((schema.metadata or {}).get(b"huggingface"), self.columns)

    def rows(
        self, columns: list[str], some: Sequence[int] | None = None
    ) -> Iterator[dict[str, Any]]:
        """One dictionary a row, a few of them in memory; of `some` numbers, ascending, or of all."""
        some, begin = range(self.count) if some is None else some, 0
        try:
            with ParquetFile(self.file) as opened:
                for batch in opened.iter_batches(ROWS, columns=columns):
                    end = begin + len(batch)
                    here = some[bisect_left(some, begin) : bisect_left(some, end)]
                    rows = pyarrow.array([k - begin for k in here], "int64")
                    yield from batch.take(rows).to_pylist()
                    begin = end
        except (ArrowException, OSError) as error:
            raise ValueError(f"{self.file.name} is damaged: {error}") from error


def column_of(columns: Iterable[str], wanted: tuple[str, ...]) -> str | None:
    """The first of the wanted names that is there."""
    return next((name for name in wanted if name in columns), None)


def names_of_classes(metadata: bytes | None, columns: Iterable[str]) -> tuple[str, ...] | None:
    """What the data set calls its labels 0, 1, ..., if the file says so as the Hub's files do."""
    try:
        feature = json.loads(metadata)["info"]["features"][column_of(columns, LABEL_COLUMNS)]
        names = tuple(feature["names"])
    except (TypeError, KeyError, ValueError):
        return None
    distinct = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return names if names and distinct else None


def decode(content: bytes) -> np.ndarray:
    """An encoded picture as uint8 (channels, height, width)."""
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def parquet_files(name: str, split: str, hub_id: str | None) -> list[Path]:
    """The files of that split, downloaded if need be; FileNotFoundError says what to do."""
    folder = os.environ.get("FLOWDEMO_DATA")
    if folder:
        found = sorted((Path(folder) / name).rglob(f"{split}-*.parquet"))
        if found:
            return found
        raise FileNotFoundError(f"FLOWDEMO_DATA has no {name}/**/{split}-*.parquet")
    return download(hub_id, split)


def download(hub_id: str | None, split: str) -> list[Path]:
    """The parquet files of the Hub's data set."""
    if hub_id is None:
        raise FileNotFoundError("this data set is not on the Hub in a form that can be read here")
    pattern = f"*{split}-*.parquet"
    try:
        root = snapshot_download(hub_id, repo_type="dataset", allow_patterns=[pattern])
    except Exception as error:  # the hub client raises many kinds; each means the same here
        raise FileNotFoundError(
            f"the data set {hub_id} could not be had from the Hub ({type(error).__name__}); "
            "connect, or set FLOWDEMO_DATA to a folder with its parquet files"
        ) from error
    return sorted(Path(root).rglob(f"{split}-*.parquet"))
