"""Records of models pulled from the Hub, stored beside the Hub's cache."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout
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
    return root() / kind / f"{quote(name, safe='')}.json"


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
    """The folder of converted checkpoints."""
    return root() / "converted"


def forget(name: str) -> None:
    """Removes a pulled repository from the cache, unless another name stands for the same commit."""
    record = records()[name]
    record_of(name).unlink()
    discard(Path(record["folder"]))


def discard(snapshot: Path) -> None:
    """Removes a commit from the cache, CACHE/models--NAME/snapshots/COMMIT, if no record names it."""
    if not any(Path(record["folder"]) == snapshot for record in records().values()):
        scan_cache_dir(snapshot.parents[2]).delete_revisions(snapshot.name).execute()


def drop(file: Path) -> None:
    """Removes one file of a commit, and its content."""
    file.resolve().unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def sweep_parts(repo: str) -> None:
    """Remove partial downloads: the client does not resume them."""
    cache, name = root().parent / "hub", f"models--{repo.replace('/', '--')}"
    for part in cache.glob(f"{name}/blobs/*.incomplete"):
        lock = cache / ".locks" / name / f"{part.name.split('.')[0]}.lock"
        with suppress(Timeout), FileLock(lock, timeout=0):  # held by whoever still writes the part
            part.unlink(missing_ok=True)


def taken() -> int:
    """Bytes of all that lies in the Hub's cache and here."""
    files = (file for file in root().parent.rglob("*") if not file.is_symlink())
    return sum(file.stat().st_size for file in files if file.is_file())
