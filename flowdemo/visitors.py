"""Checkpoints that visitors of a public page made: each for whoever knows its name, for an hour."""

import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

KEEP_SECONDS, MAX_KEPT, LONGEST = 3600, 40, 40  # LONGEST: characters of a name that are kept
SECRET = r"[a-z0-9][a-z0-9._-]{0,39}-[0-9a-f]{20}"


def secret_name(root: Path, name: str) -> str:
    """The name with an end that cannot be guessed; makes room for one more folder in `root`."""
    folders = sorted(root.glob("*"), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[: max(0, len(folders) + 1 - MAX_KEPT)]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in folders:
        if not is_fresh(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return f"{name[:LONGEST]}-{secrets.token_hex(10)}"


def find(root: Path, name: str) -> Path | None:
    """The folder of that exact name, if it is not too old."""
    if not re.fullmatch(SECRET, name):
        return None
    return root / name if is_fresh(root / name) else None


def is_fresh(folder: Path) -> bool:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime < KEEP_SECONDS
    return False
