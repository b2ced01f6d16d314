"""Models for the tabs: choices, loading, and download of missing ones."""

import html
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache, partial
from importlib.util import find_spec
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flowdemo import checkpoints
from flowdemo.config.checkpoint import ModelConfig
from flowdemo.data import DATASETS
from flowdemo.hub import catalogue, download, models
from flowdemo.hub.client import Progress
from flowdemo.model import LARGE, Model
from flowdemo.settings import is_lent, is_public, max_entry, max_evaluations
from flowdemo.ui.shared import visitor
from flowdemo.ui.shared.work import Stopped, Wanted

CHEAP = 300_000_000  # operations of a network for which the limits are made
OPERATIONS: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


@lru_cache(maxsize=8)
def small_of(name: str, revision: tuple) -> Model:
    """A loaded model, shared and never changed; `revision` makes a new file a new entry."""
    return checkpoints.load(name)


@lru_cache(maxsize=1)
def large_of(name: str, revision: tuple) -> Model:
    """The same for one that fills the memory, on this machine's own GPU if it has one."""
    is_own = torch.cuda.is_available() and not is_lent()
    return checkpoints.load(name, torch.device("cuda" if is_own else "cpu"))


def moved_to(model: Model, device: torch.device) -> Model:
    """The same model on another device, and its decoder with it."""
    decoder = model.decoder and partial(checkpoints.decoder_of, model.config.decoder, device)
    return replace(model, net=model.net.to(device), decoder=decoder)


def load(name: str) -> Model:
    """The model of that name as it is on disk now; ValueError if it is not here."""
    folder = checkpoints.find(name)
    if folder is None and (name in catalogue.entries() or "/" in name):
        raise ValueError(f"{name} is not here yet: pull it in the Models tab")
    weights = folder / checkpoints.WEIGHTS if folder else None
    there = weights.stat() if weights is not None and weights.is_file() else None
    revision = (str(folder), there.st_mtime_ns if there else None)
    is_large = there is not None and there.st_size > 2 * LARGE
    return large_of(name, revision) if is_large else small_of(name, revision)


def known(name: str) -> Model:
    """The model, or one without a network where it is still to be had from the Hub."""
    elsewhere = catalogue.configs() | models.OFFERED
    if name not in elsewhere or checkpoints.find(name):
        return load(name)
    return Model(elsewhere[name].model_copy(update={"name": name}), None)


def configs() -> dict[str, ModelConfig]:
    """Name -> description of every model that can be chosen, those that are here first.

    A visitor's own are there for that visitor alone.
    """
    here = checkpoints.configs()
    for name in visitor.names():
        with suppress(ValueError):
            here[name] = checkpoints.read_config(checkpoints.folder_of(name))
    elsewhere = {name: catalogue.configs()[name] for name in offered()} | models.OFFERED
    return here | {name: config for name, config in elsewhere.items() if name not in here}


def offered() -> list[str]:
    """Catalogue entries that this app offers; a public app leaves out large ones."""
    if not is_public():
        return list(catalogue.entries())
    latent = find_spec("diffusers") is not None
    return [
        name
        for name, entry in catalogue.entries().items()
        if entry.bytes <= max_entry() and (latent or not entry.config.get("decoder"))
    ]


def by_data() -> dict[str, dict[str, list[str]]]:
    """Data set -> method -> names of its models that generate; unreadable folders are left out."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, config in configs().items():
        if config.only_inverts:
            continue
        found.setdefault(config.data, {}).setdefault(config.method, []).append(name)
    order = {name: i for i, name in enumerate(DATASETS)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], 99)))


def models_of(data: str) -> dict[str, ModelConfig]:
    """The readable checkpoints of a data set."""
    return {name: config for name, config in configs().items() if config.data == data}


def example_of(data: str) -> ModelConfig:
    """The description of some model of a data set: its classes, and the shape of its samples."""
    found = models_of(data)
    if not found:
        raise ValueError(f"there is no model of '{data}' here any more")
    return next(iter(found.values()))


def label_of(name: str) -> str:
    """Display name of a model, with the download size if it is not local; visitors' secrets are cut."""
    if name in visitor.names():
        return f"{visitor.plain(name)} (yours)"
    if checkpoints.find(name):
        return name
    entry = catalogue.entries().get(name)
    return f"{name} \u2193" + (f" {entry.bytes / 1e6:.0f} MB" if entry else "")


def fetching(names: Iterable[str], wanted: Wanted) -> Iterator[str]:
    """Has those models from the Hub that are not here: progress in words; `Stopped` if not wanted."""
    for name in dict.fromkeys(names):
        with closing(download.fetch(name)) as progress:
            for state in progress:
                if not wanted():
                    raise Stopped
                yield bar(state)


def bar(state: Progress) -> str:
    """Progress as HTML: words, and how much is done where that is known."""
    words = html.escape(state.words)
    if state.share is None:
        return words
    return f'{words}<progress class="fd-progress" max="1" value="{state.share:.3f}"></progress>'


def budget(model: Model) -> int:
    """Network evaluations that a run may take; a costlier network may take fewer on the CPU."""
    most = max_evaluations(model.kind)
    if not model.is_image or model.device.type == "cuda" or model.source == "shipped":
        return most  # the limits are made for what ships
    return max(1, round(most * min(1.0, CHEAP / operations_of(model))))


def operations_of(model: Model) -> int:
    """Floating-point operations of one evaluation of one sample."""
    if model.net not in OPERATIONS:
        x, t = torch.zeros(1, *model.config.shape, device=model.device), torch.zeros(1)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model.velocity(x, t.to(x))
        OPERATIONS[model.net] = counter.get_total_flops()
    return OPERATIONS[model.net]
