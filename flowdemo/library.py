"""Having a model: from here, or from the Hub, checked and if need be converted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from flowdemo import catalogue, checkpoints, hub, store
from flowdemo.adapters import ADAPTERS
from flowdemo.catalogue import Entry
from flowdemo.config import Origin
from flowdemo.decoder import DECODERS, require_diffusers
from flowdemo.hub import HubError, Progress
from flowdemo.model import Model
from flowdemo.nets import build_net
from flowdemo.settings import is_public, max_download, max_store

PICKLE_TORCH = (2, 10)  # older ones read more than tensors from a hostile file (CVE-2026-24747)


def load(name: str, device: torch.device | None = None) -> Model:
    """The model of that name, had from the Hub first if it is not here. ValueError says why not."""
    for _ in fetch(name):
        pass
    return checkpoints.load(name, device)


def is_here(name: str) -> bool:
    """Whether it can be loaded without the Hub."""
    return name in checkpoints.folders() and all(map(decoder_folder, decoders_of(name)))


def decoders_of(name: str) -> list[str]:
    """The decoder that a model which is here needs, if any."""
    config = checkpoints.read_config(checkpoints.folders()[name])
    return [config.decoder] if config.decoder else []


def fetch(name: str) -> Iterator[Progress]:
    """Has a model from the Hub if it is not here; nothing is asked or said for one that is.

    A string is a known name or a repository id, never a folder. ValueError if it is neither, or says
    what went wrong.
    """
    if name not in checkpoints.folders():
        if name in catalogue.entries():
            yield from fetch_entry(catalogue.entries()[name])
        elif "/" in name:
            yield from fetch_checkpoint(name)
        else:
            checkpoints.folder_of(name)  # says what there is
    for decoder in decoders_of(name):
        if decoder_folder(decoder) is None:
            yield from fetch_decoder(decoder)


def decoder_folder(name: str) -> Path | None:
    """Where a decoder lies, or None."""
    record = store.records("decoders").get(name)
    return Path(record["folder"]) if record else None


def fetch_decoder(name: str) -> Iterator[Progress]:
    """Pulls a decoder and checks that it is the one that is meant."""
    require_diffusers()
    decoder, answer = DECODERS[name], {}
    spec, files = f"{decoder.repo}@{decoder.revision}", ["config.json", decoder.file]
    for event in hub.pull(spec, 2 * decoder.bytes, files, token=token_for_strangers()):
        if isinstance(event, Progress):
            yield event
        else:
            answer = event
    if checkpoints.sha256_of(Path(answer["folder"]) / decoder.file) != decoder.sha256:
        raise HubError(f"{decoder.file} of {decoder.repo} is not the file that is known")
    store.remember(name, answer, "decoders")


def fetch_checkpoint(spec: str) -> Iterator[Progress]:
    """Pulls a repository in FlowDemo's format and notes it, if it is one."""
    answer: dict[str, Any] = {}
    for event in hub.pull(spec, max_download(), token=token_for_strangers()):
        if isinstance(event, Progress):
            yield event
        else:
            answer = event
    folder = Path(answer["folder"])
    yield Progress("Checking what arrived ...")
    checkpoints.load_folder(folder, name=spec)
    check_room(folder)
    store.remember(spec, answer)


def token_for_strangers() -> hub.Token:
    """Strangers must not read what only the owner of this machine may."""
    return False if is_public() else None


def check_room(folder: Path) -> None:
    """ValueError if strangers have pulled as much as they may."""
    folders = {Path(record["folder"]) for record in store.records().values()} | {folder}
    taken = sum(file.stat().st_size for each in folders for file in each.rglob("*"))
    if taken > max_store():
        raise HubError("this app already keeps as much from the Hub as it may; run your own copy")


def fetch_entry(entry: Entry) -> Iterator[Progress]:
    """Pulls a file of the catalogue, checks it, and converts it once into a checkpoint."""
    if entry.config.get("decoder"):
        require_diffusers()
    require_torch()
    answer: dict[str, Any] = {}
    limit = min(max_download(), 2 * entry.bytes)
    for event in hub.pull(entry.spec, limit, [entry.file], token=token_for_strangers()):
        if isinstance(event, Progress):
            yield event
        else:
            answer = event
    yield Progress(f"Converting {entry.file} ...")
    convert(entry, Path(answer["folder"]) / entry.file, answer["revision"])


def require_torch() -> None:
    """ValueError where this torch is too old to read a pickle safely."""
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < PICKLE_TORCH:
        raise ValueError(
            f"this checkpoint is a pickle, which torch reads safely from 2.10 on; this is "
            f"{torch.__version__}"
        )


def convert(entry: Entry, file: Path, revision: str) -> None:
    """Writes the checkpoint of an entry's file, float32 as it is there. ValueError if it is another."""
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
    checkpoints.save(Model(config, net), store.converted() / entry.name, torch.float32)
