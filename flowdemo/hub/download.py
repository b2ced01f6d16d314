"""Resolve a name to a local checkpoint: download, verify, convert."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import torch

from flowdemo import checkpoints
from flowdemo.checkpoints import cache
from flowdemo.config.checkpoint import Origin
from flowdemo.hub import catalogue, client
from flowdemo.hub.catalogue import Entry
from flowdemo.hub.client import HubError, Progress
from flowdemo.model import Model
from flowdemo.nets import build_net
from flowdemo.nets.convert import ADAPTERS
from flowdemo.nets.decoder import DECODERS, require_diffusers
from flowdemo.settings import is_public, max_download, max_entry, max_store

MIN_ROOM = 10_000_000  # bytes
PICKLE_TORCH = (2, 10)  # older ones read more than tensors from a hostile file (CVE-2026-24747)


def load(name: str, device: torch.device | None = None) -> Model:
    """Load a model by name, after a download from the Hub if needed. ValueError says what failed."""
    for _ in fetch(name):
        pass
    return checkpoints.load(name, device)


def decoders_of(name: str) -> list[str]:
    """The decoder that a model which is here needs, if any."""
    config = checkpoints.read_config(checkpoints.folder_of(name))
    return [config.decoder] if config.decoder else []


def fetch(name: str, again: bool = False) -> Iterator[Progress]:
    """Download a model from the Hub unless it is local; yields progress. Local models need no request.

    A string is a known name or a repository id, never a folder. `again` asks the Hub for a repository
    that is here, too: a branch may have moved on. ValueError says what went wrong.
    """
    is_here = name in checkpoints.folders()
    if "/" in name and (again or not is_here):
        yield from fetch_checkpoint(name)
    elif not is_here and name in catalogue.entries():
        yield from fetch_entry(catalogue.entries()[name])
    for decoder in decoders_of(name):
        if decoder not in cache.records("decoders"):
            yield from fetch_decoder(decoder)


def had(
    spec: str, max_bytes: int, patterns: list[str] | None = None
) -> Generator[Progress, None, dict[str, Any]]:
    """Pull files of a repository: yields progress, returns the worker's answer.

    In public mode no token is used, and the cache limit holds.
    """
    token = None
    if is_public():
        token, room = False, max_store() - cache.taken()
        max_bytes = min(max_bytes, room)
        if room < MIN_ROOM:
            raise HubError("this app keeps as much from the Hub as it may; run a copy of your own")
    for event in client.pull(spec, max_bytes, patterns, token=token):
        if isinstance(event, Progress):
            yield event
        else:
            answer = event
    return answer


def fetch_checkpoint(spec: str) -> Iterator[Progress]:
    """Pull a repository in FlowDemo's format and record it; anything else is deleted."""
    answer = yield from had(spec, max_download())
    folder = Path(answer["folder"])
    yield Progress("Checking what arrived ...")
    try:
        checkpoints.load_folder(folder, name=spec)
    except ValueError as error:
        cache.discard(folder)
        raise HubError(str(error).replace(str(folder), spec)) from error
    before = cache.records().get(spec)
    cache.remember(spec, answer)
    if before and before["folder"] != str(folder):  # the branch has moved on
        cache.discard(Path(before["folder"]))


def fetch_decoder(name: str) -> Iterator[Progress]:
    """Pulls a decoder and checks that it is the one that is meant."""
    require_diffusers()
    decoder = DECODERS[name]
    spec, files = f"{decoder.repo}@{decoder.revision}", ["config.json", decoder.file]
    answer = yield from had(spec, 2 * decoder.bytes, files)
    file = Path(answer["folder"]) / decoder.file
    if checkpoints.sha256_of(file) != decoder.sha256:
        cache.drop(file)
        raise HubError(f"{decoder.file} of {decoder.repo} is not the file that is known")
    cache.remember(name, answer, "decoders")


def fetch_entry(entry: Entry) -> Iterator[Progress]:
    """Pull a file of the catalogue, verify it, convert it once, and delete the original."""
    if entry.config.get("decoder"):
        require_diffusers()
    require_torch()
    answer = yield from had(entry.spec, min(max_entry(), 2 * entry.bytes), [entry.file])
    file = Path(answer["folder"]) / entry.file
    yield Progress(f"Converting {entry.file} ...")
    try:
        convert(entry, file, answer["revision"])
    finally:
        cache.drop(file)


def require_torch() -> None:
    """ValueError where this torch is too old to read a pickle safely."""
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < PICKLE_TORCH:
        raise ValueError(
            f"this checkpoint is a pickle, which torch reads safely from 2.10 on; this is "
            f"{torch.__version__}"
        )


def convert(entry: Entry, file: Path, revision: str) -> None:
    """Write the converted checkpoint in the file's float32. ValueError if the file does not match."""
    digest = checkpoints.sha256_of(file)
    if entry.sha256 not in (None, digest):
        raise HubError(f"{file.name} of {entry.repo} is not the file that the catalogue knows")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch errors alike
        raise HubError(f"{file.name} of {entry.repo} cannot be read as weights") from error
    sizes, weights = ADAPTERS[entry.adapter](state, entry.net["heads"])
    if not sizes.items() <= entry.net.items():
        raise HubError(f"{file.name} of {entry.repo} holds a network of other sizes, {sizes}")
    config = entry.config_of(
        Origin(repo=entry.repo, file=entry.file, revision=revision, sha256=digest)
    )
    net = build_net(config.net, config.shape, len(config.classes))
    net.load_state_dict(weights)
    checkpoints.save(Model(config, net), cache.converted() / entry.name, torch.float32)
