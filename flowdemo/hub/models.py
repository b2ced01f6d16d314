"""All available models: shipped, trained here, cached, or on the Hub."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flowdemo import checkpoints
from flowdemo.checkpoints import cache as store
from flowdemo.checkpoints.cards import card
from flowdemo.config.checkpoint import ModelConfig, read_model_config
from flowdemo.data import DATASETS
from flowdemo.hub import catalogue, client
from flowdemo.hub.catalogue import Entry
from flowdemo.hub.client import Progress
from flowdemo.methods import METHODS
from flowdemo.model import Model
from flowdemo.settings import is_public, namespace

SHIPPED, TRAINED, CACHED, ON_THE_HUB = "shipped", "trained here", "cached", "on the Hub"
OFFERED: dict[str, ModelConfig] = {}  # what was found on the Hub: every tab offers it
NUMBERS = {
    "class_accuracy": "accuracy {:.1%}",
    "frechet_distance": "FD {:.3f}",
    "wasserstein_2": "W2 {:.3f}",
}


def place_of(name: str, folder: Path) -> str:
    """Where a checkpoint that is here came from, in words."""
    if folder.parent == checkpoints.SHIPPED:
        return SHIPPED
    if folder.parent == checkpoints.TRAINED:
        hides = (checkpoints.SHIPPED / name).is_dir()
        return TRAINED + (", hides the shipped one" if hides else "")
    return CACHED


def descriptions() -> list[dict[str, Any]]:
    """Every model that can be had: what it is, where it is, its licence, size and measured numbers."""
    rows = [described(name, folder) for name, folder in checkpoints.folders().items()]
    there = {row["name"] for row in rows}
    rows += [offered(entry) for entry in catalogue.entries().values() if entry.name not in there]
    return rows


def described(name: str, folder: Path) -> dict[str, Any]:
    """A checkpoint that is here; one that cannot be read says why."""
    row = {"name": name, "where": place_of(name, folder)}
    try:
        config = checkpoints.read_config(folder)
    except ValueError as error:
        return row | {"error": str(error).replace(str(folder), name)}
    weights, origin = folder / checkpoints.WEIGHTS, config.origin
    record = store.records().get(name, {})
    return row | {
        "data": config.data,
        "method": config.method,
        "license": config.license,
        "bytes": weights.stat().st_size if weights.is_file() else None,
        "repo": record.get("repo") or (origin.repo if origin else None),
        "revision": record.get("revision") or (origin.revision if origin else None),
        "offers": offers(config),
        "results": config.results,
    }


def offered(entry: Entry) -> dict[str, Any]:
    """A checkpoint of the catalogue that is not here."""
    return {
        "name": entry.name,
        "where": ON_THE_HUB,
        "data": entry.data,
        "method": entry.method,
        "license": entry.license,
        "bytes": entry.bytes,
        "repo": entry.repo,
        "revision": entry.revision,
        "offers": said(entry.guidance, entry.defaults.solver, entry.defaults.steps),
        "results": {},
    }


def offers(config: ModelConfig) -> str:
    """What a checkpoint can be asked for, in words."""
    return said(config.guidance, config.defaults.solver, config.defaults.steps)


def said(guidance: tuple[float, float], solver: str, steps: int) -> str:
    low, high = guidance
    weights = f"CFG weights {low:g} to {high:g}" if high > low else "no guidance"
    return f"{weights}, by default {steps} step(s) of {solver}"


def look(author: str | None) -> Iterator[Progress | list[dict[str, Any]]]:
    """Progress, then descriptions of the checkpoints in a namespace of the Hub that are not here."""
    if author is None:
        raise ValueError("name whose checkpoints to look for, or set FLOWDEMO_HUB_NAMESPACE")
    for event in client.find(author, token=False if is_public() else None):
        if isinstance(event, Progress):
            yield event
        else:
            here = checkpoints.folders()
            rows = [row for row in event["models"] if row["repo"] not in here]
            if not is_public() or author == namespace():
                OFFERED.update(readable(rows))
            yield [found(row) for row in rows]


def readable(rows: list[dict[str, Any]]) -> dict[str, ModelConfig]:
    """Name -> description of the repositories whose description can be read."""
    configs = {}
    for row in rows:
        with suppress(ValueError):
            config = read_model_config(row["config"] or "", row["repo"])
            checkpoints.check_config(config, row["repo"])
            configs[row["repo"]] = config
    return configs


def found(row: dict[str, Any]) -> dict[str, Any]:
    """A repository of the Hub as its tags describe it; its numbers are known once it is pulled."""
    tags = row["tags"] or []
    return {
        "name": row["repo"],
        "where": ON_THE_HUB + (", private" if row["private"] else ""),
        "data": next((name for name in DATASETS if name in tags), ""),
        "method": next((name for name in reversed(METHODS) if name in tags), ""),
        "license": row["license"],
        "bytes": None,
        "repo": row["repo"],
        "revision": row["revision"],
        "offers": "",
        "results": {},
    }


def best(row: dict[str, Any]) -> str:
    """The measured numbers of a description at the fewest evaluations, in words."""
    measured = row["results"].get("rows", [])
    if not measured:
        return ""
    first = measured[0]
    numbers = [words.format(first[key]) for key, words in NUMBERS.items() if first.get(key)]
    return f"NFE {first['nfe']}, w {first['guidance']:g}: {', '.join(numbers)}"


def delete(name: str) -> None:
    """Removes a model that was had from the Hub or trained here. ValueError for any other."""
    folder = checkpoints.folder_of(name)
    if folder.parent == checkpoints.SHIPPED:
        raise ValueError(f"{name} ships with FlowDemo and stays")
    if name in store.records():
        store.forget(name)
    else:
        shutil.rmtree(folder)


def verify(name: str) -> str:
    """Reads a checkpoint anew and says what was checked. ValueError says what is wrong with it."""
    folder = checkpoints.folder_of(name)
    model = checkpoints.load_folder(folder, name=name)
    digest = checkpoints.sha256_of(folder / checkpoints.WEIGHTS)
    known = model.config.sha256 is not None
    count = sum(parameter.numel() for parameter in model.net.parameters())
    return (
        f"{name}: {count:,} parameters, every name and shape as its config.json says; SHA-256 "
        f"{digest} " + ("is the one in its config.json" if known else "(none is written there)")
    )


@contextmanager
def parcel_of(model: Model, repo: str) -> Iterator[Path]:
    """A folder with what is pushed of a model that lies in no folder."""
    client.parse_repo(repo)
    with tempfile.TemporaryDirectory(prefix="flowdemo-push-") as made:
        draft = Path(made) / model.config.name
        checkpoints.save(model, draft)
        (draft / checkpoints.CARD).write_text(card(checkpoints.read_config(draft), repo))
        yield draft


@contextmanager
def parcel(name: str, repo: str) -> Iterator[Path]:
    """A folder with what is pushed of a model: weights, description, and its card there."""
    client.parse_repo(repo)
    folder = checkpoints.folder_of(name)
    config = checkpoints.load_folder(folder, name=name).config  # what is broken is not sent on
    if config.origin is not None:
        raise ValueError(f"{name} was trained by others ({config.origin.repo}): link to theirs")
    with tempfile.TemporaryDirectory(prefix="flowdemo-push-") as made:
        draft = Path(made) / name.replace("/", "--")
        draft.mkdir()
        for file in (checkpoints.CONFIG, checkpoints.WEIGHTS):
            shutil.copy(folder / file, draft / file)
        (draft / checkpoints.CARD).write_text(card(checkpoints.read_config(folder), repo))
        yield draft
