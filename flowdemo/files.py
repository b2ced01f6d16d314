"""Files and folders that are there whole or not at all."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

DRAFT, DRAFT_SECONDS = ".flowdemo-draft-", 3600


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a draft beside `path`, then renames it; a failure leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    # The suffix stays last: some writers choose the format by it.
    draft = path.with_name(f"{DRAFT}{os.getpid()}-{path.name}")
    try:
        write(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """The same for several files: `write` fills a draft folder, whose files then move into place."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder.parent))
    try:
        write(draft)
        for file in sorted(draft.iterdir()):
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes drafts of over an hour ago: those of killed processes."""
    for old in folder.glob(f"{DRAFT}*"):
        with suppress(OSError):  # another process may sweep too
            if time.time() - old.stat().st_mtime > DRAFT_SECONDS:
                shutil.rmtree(old) if old.is_dir() else old.unlink()


def save_tensors(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Writes a safetensors file. OSError where that fails, as for any other file."""
    try:
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{path.parent} cannot be written to: {error}; is the disk full?") from error
    path.chmod(0o644)
