"""Image data sets as parquet files in the schema of the Hub's data sets of the same name."""

import io
import os
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from PIL import Image
from pyarrow import concat_tables
from pyarrow.parquet import read_table
from torch import Tensor


def load_images(name: str, split: str, hub_id: str | None = None) -> tuple[Tensor, Tensor]:
    """Images (n, channels, height, width) uint8 and labels (n,) int64 of "train" or "test".

    Read from the folder that FLOWDEMO_DATA names, else from the Hub's data set of that id
    through its cache.
    """
    table = concat_tables(read_table(file) for file in parquet_files(name, split, hub_id))
    image_column = next(column for column in ("image", "img") if column in table.column_names)
    pixels = [decode(cell["bytes"]) for cell in table[image_column].to_pylist()]
    images = torch.from_numpy(np.stack(pixels))
    return images, torch.tensor(table["label"].to_pylist())


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
