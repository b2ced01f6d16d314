"""What was had from the Hub and where it lies: beside the Hub's own cache, and shared like it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import scan_cache_dir

from flowdemo.files import write_file


def root() -> Path:
    """The folder of this file's records and of converted checkpoints."""
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(home).expanduser() / "flowdemo"


def remember(name: str, answer: dict[str, Any], kind: str = "pulled") -> None:
    """Notes a pulled repository under the name that was asked for."""
    content = json.dumps({"name": name} | answer, indent=1)
    write_file(record_of(name, kind), lambda path: path.write_text(content + "\n"))


def record_of(name: str, kind: str = "pulled") -> Path:
    return root() / kind / f"{name.replace('/', '--')}.json"


def records(kind: str = "pulled") -> dict[str, dict[str, Any]]:
    """Name -> repo, revision and folder of every pulled repository that is still there."""
    found = {}
    for file in sorted((root() / kind).glob("*.json")):
        try:
            record = json.loads(file.read_text())
            if Path(record["folder"]).is_dir():
                found[record["name"]] = record
        except (ValueError, KeyError, TypeError, OSError):
            continue  # not a record, or one that is being written or removed
    return found


def converted() -> Path:
    """The folder of the checkpoints that were made of files by others."""
    return root() / "converted"


def forget(name: str) -> None:
    """Removes a pulled repository from the cache, unless another name stands for the same commit."""
    record = records()[name]
    record_of(name).unlink()
    if any(other["revision"] == record["revision"] for other in records().values()):
        return
    scan_cache_dir(cache_of(Path(record["folder"]))).delete_revisions(record["revision"]).execute()


def cache_of(snapshot: Path) -> Path:
    """The cache that holds a snapshot: CACHE/models--NAME/snapshots/REVISION."""
    return snapshot.parents[2]


def forget_converted(name: str) -> None:
    """Removes a converted checkpoint."""
    shutil.rmtree(converted() / name)
