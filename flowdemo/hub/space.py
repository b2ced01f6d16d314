"""The app as a Hugging Face Space: exactly the files that it needs there."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import SpaceHardware

ROOT = Path(__file__).parent.parent.parent
CPU_TORCH = "--extra-index-url https://download.pytorch.org/whl/cpu"  # a tenth of the size
ZERO_TORCH = "torch>=2.8,<=2.11.0"  # what ZeroGPU supports
OPTIONAL = {"zero": ["spaces", "diffusers"], "cpu": [], "gpu": ["diffusers"]}
LEFT_OUT = ("__pycache__", "*.pyc", ".*")


@contextmanager
def parcel(hardware: str = "") -> Iterator[Path]:
    """A folder with the files of the Space, while the context lasts. ValueError outside a checkout."""
    if hardware and hardware not in list(SpaceHardware):
        raise ValueError(f"'{hardware}' is none of {', '.join(SpaceHardware)}")
    if not (ROOT / "app.py").is_file():
        raise ValueError(
            "deploy works from a checkout of FlowDemo: app.py is not beside the package"
        )
    with tempfile.TemporaryDirectory(prefix="flowdemo-space-") as name:
        folder = Path(name) / "FlowDemo"
        ignore = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(ROOT / "flowdemo", folder / "flowdemo", ignore=ignore)
        for file in ("app.py", "LICENSE"):
            shutil.copy(ROOT / file, folder / file)
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / ".gitkeep").touch()
        requirements = (ROOT / "requirements.txt").read_text()
        (folder / "requirements.txt").write_text(requirements_for(hardware, requirements))
        (folder / "README.md").write_text(readme((ROOT / "README.md").read_text(), hardware))
        yield folder


def kind_of(hardware: str) -> str:
    """ "zero", "cpu" or "gpu": what a flavour of hardware asks of the packages."""
    if hardware.startswith("zero"):
        return "zero"
    return "cpu" if not hardware or hardware.startswith("cpu") else "gpu"


def requirements_for(hardware: str, text: str) -> str:
    """requirements.txt with the torch that the hardware supports, and what is optional elsewhere."""
    kind = kind_of(hardware)
    lines = text.rstrip("\n").split("\n")
    if kind == "zero":
        lines = [ZERO_TORCH if re.match(r"torch[<>=]", line) else line for line in lines]
    if kind == "cpu":
        lines = [CPU_TORCH, *lines]
    return "\n".join([*lines, *OPTIONAL[kind]]) + "\n"


def readme(text: str, hardware: str) -> str:
    """The Space's configuration, and what it shows."""
    front = text.split("---\n")[1]
    if hardware:
        front += f"suggested_hardware: {hardware}\n"
    return (
        f"---\n{front}---\n\n# FlowDemo\n\nFlow matching, reflow and MeanFlow side by side: from "
        "noise to data in many steps, in few, or in one.\n"
    )


def sizes(folder: Path) -> dict[str, int]:
    """Path -> bytes of the files in a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.stat().st_size for file in files}
