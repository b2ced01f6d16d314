"""What is kept of an answer: exact facts, numbers that hold on other machines, and digests.

A digest is the SHA-256 of exact values; it only holds on the machine that made it.
"""

import csv
import hashlib
import html
import json
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

CLOCK = ("seconds", "hours", "ms", "time", "per sample")  # values that differ from run to run
COMMON = 8  # along at most so many samples every door measures the straightness
ROWS = 4  # samples whose numbers are kept
# What others may measure a little differently, by the name of the column.
INEXACT = ("straightness", "rmse", "RMSE to reference", "velocity error", "curvature", "loss")
INEXACT += ("wasserstein_2", "floor_wasserstein_2", "sliced_wasserstein_2", "energy_distance")


@dataclass
class Answer:
    """An answer of a door; `decided` holds what today's doors answer differently from each other."""

    facts: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    decided: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, other: "Answer") -> None:
        """Puts the parts of another answer under a name."""
        for kind, content in vars(other).items():
            if content:
                getattr(self, kind)[name] = content

    def as_dict(self) -> dict[str, Any]:
        """The parts that are not empty, as plain JSON."""
        content = {kind: part for kind, part in vars(self).items() if part}
        return json.loads(json.dumps(content))


def machine() -> str:
    """What bit-equal samples depend on: processor, instruction set, torch and its threads."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    name = re.search(r"model name\s*: (.*)", text)
    return ", ".join(
        [
            name.group(1) if name else platform.processor() or platform.machine(),
            torch.backends.cpu.get_cpu_capability(),
            f"torch {torch.__version__}",
            f"{torch.get_num_threads()} thread(s)",
        ]
    )


def digest(content: Any) -> str:
    """The first half of the SHA-256 of a tensor, an array, bytes or a text."""
    if isinstance(content, Tensor):
        content = content.detach().cpu().contiguous().numpy()
    if isinstance(content, np.ndarray):
        content = np.ascontiguousarray(content).tobytes()
    if isinstance(content, str):
        content = content.encode()
    return hashlib.sha256(content).hexdigest()[:32]


def rounded(values: Tensor) -> list[float]:
    return [round(value, 3) for value in values.double().flatten().tolist()]


def of_samples(samples: Any, settings: dict[str, Any]) -> Answer:
    """The answer that lies in `Samples`."""
    made = samples.points if samples.images is None else samples.images
    path = samples.trajectory
    answer = Answer(
        {
            "kind": "points" if samples.images is None else "images",
            "shape": list(made.shape),
            "dtypes": [str(part.dtype) for part in (made, samples.labels, path.states, path.times)],
            "labels": samples.labels.tolist(),
            "settings": settings,
        },
        values_of(made),
        {"x_1": digest(made), "states": digest(path.states), "x_0": digest(samples.x_0)},
    )
    exact = settings["tolerance"] is None
    (answer.facts if exact else answer.numbers)["nfe"] = samples.nfe
    (answer.facts if exact else answer.numbers)["steps"] = len(path.times) - 1
    answer.numbers["times"] = rounded(path.times[[0, 1, -1]])
    return answer


def values_of(made: Tensor) -> dict[str, Any]:
    """Numbers of the first samples: the points, or mean and spread of each image."""
    if made.dim() == 2:
        return {"points": [rounded(point) for point in made[:ROWS]]}
    flat = made[:ROWS].double().flatten(1)
    return {"means": rounded(flat.mean(1)), "spreads": rounded(flat.std(1))}


def of_row(row: dict[str, Any], n: int) -> Answer:
    """A row of numbers by name, of n samples; times are left out, but not their names."""
    answer = Answer({"keys": list(row)})
    adaptive = row.get("tolerance") not in (None, "", "None")
    for key, value in row.items():
        if key in CLOCK or key.split(" (")[0] in CLOCK:
            continue
        number = as_number(value)
        if key == "straightness" and number is not None and n > COMMON:
            answer.decided[key] = number
        elif number is not None and is_inexact(key, adaptive):
            answer.numbers[key] = number
        else:
            answer.facts[key] = value
    return answer


def is_inexact(key: str, adaptive: bool) -> bool:
    """Whether other machines may find a slightly different number under this name."""
    return key in INEXACT or key.startswith("W2") or (adaptive and key in ("nfe", "NFE"))


def as_number(value: Any) -> float | None:
    """A number, also one in a text; None for another text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def of_file(path: Path, n: int) -> Answer:
    """What a file holds."""
    return FILES[path.suffix](path, n)


def of_picture(path: Path, n: int) -> Answer:
    """Size and number of frames; the pixels as a digest."""
    with Image.open(path) as picture:
        frames = [np.array(frame.convert("RGBA")) for frame in ImageSequence.Iterator(picture)]
        return Answer(
            {"size": list(picture.size), "frames": len(frames)},
            digests={"pixels": digest(np.stack(frames))},
        )


def of_arrays(path: Path, n: int) -> Answer:
    """The arrays of an .npz by name."""
    answer = Answer()
    with np.load(path) as arrays:
        for name in arrays.files:
            array = arrays[name]
            answer.facts[name] = [str(array.dtype), *array.shape]
            answer.digests[name] = digest(array)
        answer.facts["labels"].append(arrays["labels"].tolist())
    return answer


def of_json(path: Path, n: int) -> Answer:
    """Numbers of a run, or of the rows of a comparison."""
    content = json.loads(path.read_text())
    answer = of_row({key: value for key, value in content.items() if key != "rows"}, n)
    answer.facts["keys"] = list(content)
    for i, row in enumerate(content.get("rows", [])):
        if isinstance(row, dict):
            answer.add(f"row {i}", of_row(row, n))
    return answer


def of_table(path: Path, n: int) -> Answer:
    """The rows of a CSV file."""
    answer = Answer({"header": path.read_text().splitlines()[0]})
    with path.open(newline="") as file:
        for i, row in enumerate(csv.DictReader(file)):
            answer.add(f"row {i}", of_row(row, n))
    return answer


def of_bytes(path: Path, n: int) -> Answer:
    return Answer(digests={"bytes": digest(path.read_bytes())})


FILES = {".npz": of_arrays, ".json": of_json, ".csv": of_table}
FILES |= dict.fromkeys((".png", ".gif", ".webp"), of_picture)
FILES |= {".safetensors": of_bytes, ".md": lambda path, n: Answer({"is text": True})}


def of_link(text: str) -> dict[str, str] | str:
    """The query of the link in a piece of HTML."""
    found = re.search(r'href="([^"]*)"', text or "")
    if not found:
        return text
    return dict(parse_qsl(urlsplit(html.unescape(found.group(1))).query, keep_blank_values=True))


def of_list(text: str, n: int) -> Answer:
    """The numbers of a run from the HTML of a definition list."""
    cells = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", text)
    return of_row(dict(cells), n)


def of_html_table(text: str, n: int) -> Answer:
    """The rows of an HTML table."""
    answer = Answer()
    answer.facts["header"] = titles = re.findall(r'<th scope="col">(.*?)</th>', text)
    lines = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', text)
    real = [re.sub(r", two real draws [\d.]+", "", title) for title in titles]
    answer.facts["header"] = real
    for i, (name, cells) in enumerate(lines):
        row = dict(zip(real, [name, *re.findall(r"<td>(.*?)</td>", cells)], strict=True))
        row |= {"tolerance": "given"} if "tolerance" in name else {}
        answer.add(f"row {i}", of_row(row, n))
    return answer
