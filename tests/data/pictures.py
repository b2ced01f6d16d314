"""Small pictures of one level each, laid in folders, archives and tables."""

import io
import json
import zipfile
from pathlib import Path

import pyarrow
from PIL import Image
from pyarrow import parquet

from flowdemo.data.pictures import Pictures

GREY, COLOUR = (1, 8, 8), (3, 8, 8)


def encoded(level, kind="png", size=(8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, level).save(file, kind)
    return file.getvalue()


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def levels(pictures: Pictures) -> list[tuple[int, str]]:
    """The grey level and the class of each."""
    names = [pictures.classes[k] for k in pictures.labels]
    return sorted(zip(pictures.images[:, 0, 0, 0].tolist(), names, strict=True))


def hub_table(path, pictures, labels, names=None, image="image", label="label"):
    table = pyarrow.table({image: pictures} | ({label: labels} if labels else {}))
    if names:
        features = {image: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": names}}
        meta = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(meta)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def cells(*values):
    return [{"bytes": encoded(value), "path": f"{value}.png"} for value in values]
