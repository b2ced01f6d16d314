"""Files and folders that are there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a draft beside `path`, then renames it; a failure leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers choose the format by it.
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    try:
        write(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """The same for several files: `write` fills a draft folder, whose files then move into place."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    try:
        write(draft)
        for file in sorted(draft.iterdir()):
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def save_tensors(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Writes a safetensors file. OSError where that fails, as for any other file."""
    try:
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{path.parent} cannot be written to: {error}; is the disk full?") from error
    path.chmod(0o644)
