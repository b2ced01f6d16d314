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
    """The name with an end that cannot be guessed; ValueError if there is no room in `root`."""
    make_room(root)
    return f"{name[:LONGEST]}-{secrets.token_hex(10)}"


def make_room(root: Path) -> None:
    """Removes what is too old; ValueError if `root` is full of what is not, which nobody may evict."""
    for folder in root.glob("*"):
        if not is_fresh(folder):
            shutil.rmtree(folder, ignore_errors=True)
    if len(list(root.glob("*"))) >= MAX_KEPT:
        raise ValueError(
            f"this page keeps {MAX_KEPT} results of visitors, each for an hour, and has no room for "
            "one more now: try again later"
        )


def find(root: Path, name: str) -> Path | None:
    """The folder of that exact name, if it is not too old."""
    if not re.fullmatch(SECRET, name):
        return None
    return root / name if is_fresh(root / name) else None


def is_fresh(folder: Path) -> bool:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime < KEEP_SECONDS
    return False
