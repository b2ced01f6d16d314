"""A Hub for a test: `hub` serves it, `offer` puts a converted model on it.

`serving` makes this process take the endpoint for the Hub.
"""

import hashlib
import io
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from flowdemo.checkpoints import CONFIG, WEIGHTS
from flowdemo.data import DATASETS
from flowdemo.hub import catalogue, download, models
from flowdemo.hub.catalogue import Entry
from flowdemo.hub.client import Progress
from flowdemo.model import Model
from flowdemo.nets.convert import ADAPTERS
from tests.conftest import make_model
from tests.golden import HEADS, state
from tests.hub.routes import Request, Response
from tests.hub.server import HubEndpoint

REPO, TOKEN = "ann/moons", "secret"
TOKENS = {TOKEN: "ann", "guest": "bob"}
LARGE = {CONFIG: b"{}", WEIGHTS: bytes(range(256)) * 8000}  # no checkpoint


class Listener(HubEndpoint):
    """It also keeps the token of each request but uploads, whose address is enough; "" is none."""

    def __init__(self) -> None:
        super().__init__(TOKENS)
        self.heard: list[str] = []

    def answer(self, request: Request) -> tuple[Response, object]:
        if not request.path.startswith("/lfs/"):
            self.heard.append(request.token)
        return super().answer(request)

    def clear(self) -> None:
        super().clear()
        self.heard.clear()

    @property
    def asked(self) -> set[str]:
        """The names of the files that were asked for."""
        paths = (path.split("?")[0] for _, path in self.requests if "/resolve/" in path)
        return {path.split("/resolve/")[1].split("/", 1)[1] for path in paths}


Spoil = Callable[[Listener], Any]


@contextmanager
def serving(home: Path) -> Iterator[Listener]:
    """A Hub where ann's token is this machine's, with an empty cache."""
    with pytest.MonkeyPatch.context() as patch, Listener() as endpoint:
        patch.setenv("HF_ENDPOINT", endpoint.url)
        patch.setenv("HF_HOME", str(home))
        patch.setenv("HF_HUB_OFFLINE", "0")
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        patch.setenv("HF_TOKEN", TOKEN)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield endpoint


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    with serving(tmp_path_factory.mktemp("home")) as endpoint:
        yield endpoint


def files_of(model: Model | None = None, repo: str = REPO, **more: bytes) -> dict[str, bytes]:
    """What is pushed of a model (of some points), and `more`."""
    with models.parcel_of(model or make_model(), repo) as folder:
        return {file.name: file.read_bytes() for file in folder.iterdir()} | more


def fetched(name: str) -> list[Progress]:
    """The progress of having a model."""
    return list(download.fetch(name))


def pulled(spec: str) -> list[Progress]:
    """The progress of an explicit pull."""
    return list(download.fetch_checkpoint(spec))


def with_config(**changes: Any) -> dict[str, bytes]:
    """Files of a model with another config.json."""
    files = files_of()
    return files | {CONFIG: json.dumps(json.loads(files[CONFIG]) | changes).encode()}


def content(files: dict[str, bytes]) -> Spoil:
    """Puts other files there."""
    return lambda hub: hub.add(REPO, files)


def environment(**variables: str) -> Spoil:
    """Another environment of the process that asks, until the test is over."""
    return lambda hub: [os.environ.__setitem__(*item) for item in variables.items()]


DEEP = b"[" * 100_000
# Which repository is asked for, what is wrong with it, and what is said.
FAULTS: dict[str, tuple[str, Spoil, str]] = {
    "missing": ("ann/none", lambda hub: None, "there is no 'ann/none' on the Hub, or it is private"),
    "private": ("bob/moons", lambda hub: hub.add("bob/moons", LARGE, private=True), "it is private"),
    "gated": ("bob/moons", lambda hub: hub.add("bob/moons", LARGE, gated="auto"), "ask for access"),
    "branch": (f"{REPO}@v9", lambda hub: None, f"'{REPO}' has no such revision"),
    "commit": (f"{REPO}@{'a' * 40}", lambda hub: None, "has no such revision"),
    "500": (REPO, lambda hub: hub.fail("/api/models/", 500), r"with an error \(500\): try again"),
    "503": (REPO, lambda hub: hub.fail("/api/models/", 503), r"with an error \(503\): try again"),
    "429": (REPO, lambda hub: hub.fail("/api/models/", 429), "too many requests from here"),
    "503 on a file": (REPO, lambda hub: hub.fail("/resolve/", 503), "silent for|error .503"),
    "a page instead": (
        REPO, lambda hub: hub.fault("/api/models/", edit=lambda body: b"<html>"), "the Hub "
    ),
    "reset": (REPO, lambda hub: hub.cut(WEIGHTS, 1000, reset=True, times=9), "broke off"),
    "cut short": (REPO, lambda hub: hub.truncate(WEIGHTS, by=10), "broke off before its end"),
    "damaged": (REPO, lambda hub: hub.corrupt(WEIGHTS), "arrived damaged and was thrown away"),
    "stalled": (REPO, lambda hub: hub.stall(WEIGHTS, 60, after=1000), r"silent for \d seconds"),
    "no config": (REPO, content({WEIGHTS: b"1"}), f"'{REPO}' holds no config.json: it is not"),
    "no weights": (REPO, content({CONFIG: b"1"}), f"'{REPO}' holds no model.safetensors"),
    "no JSON": (REPO, content(LARGE | {CONFIG: DEEP}), "is no description of a checkpoint"),
    "hostile": (REPO, content(with_config(shape=[2**40])), "config.json: shape.0: Input should"),
    "huge": (REPO, content(with_config(net={"kind": "mlp", "width": 10**9})), "net.mlp.width: "),
    "no tensors": (REPO, content(files_of() | {WEIGHTS: b"\x80\x02."}), "not a safetensors file"),
    "other weights": (
        REPO, content(with_config(net={"kind": "mlp", "width": 64})), "does not fit its config.json"
    ),
    "unreachable": (REPO, environment(HF_ENDPOINT="http://127.0.0.1:9"), "cannot be reached: is"),
    "offline": (REPO, environment(HF_HUB_OFFLINE="1"), "this machine is offline"),
}  # fmt: skip


LATENT = {"shape": [4, 8, 8], "decoder": "sd-vae-ft-mse"}
# As the catalogue describes them, but small.
KINDS: dict[str, dict[str, Any]] = {
    "yarr": {"data": "mnist", "config": {"shape": [1, 32, 32], "crop": 2}},
    "sit": {"config": LATENT | {"mean": [0] * 4, "std": [1 / 0.18215] * 4, "guided_channels": 3}},
    "imf": {
        "method": "meanflow",
        "defaults": {"solver": "average", "steps": 1, "guidance": 4},
        "config": LATENT | {"mean": [0.9, -0.3, 0.2, 0.4], "std": [4.9, 5.3, 3.9, 4.0]},
    },
}


def saved(content: Any) -> bytes:
    """What `torch.save` makes of it."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def entry_of(kind: str, content: bytes, **changes: Any) -> Entry:
    """An entry of the catalogue for a file with the golden weights of a kind."""
    sizes, _ = ADAPTERS[kind](state(kind), HEADS[kind])
    own = {"interval": [0.36, 0.64]} if kind == "imf" else {}
    fields = {
        "name": f"small-{kind}", "title": "Small", "repo": f"eve/{kind}", "file": f"flow/{kind}.pt",
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "license": "mit",
        "adapter": kind, "net": sizes | own, "guidance": (1, 6), "data": "imagenet256",
        "method": "flow-matching", "defaults": {"solver": "euler", "steps": 4, "guidance": 2},
    }  # fmt: skip
    return Entry(**fields | KINDS[kind] | changes)


Offer = Callable[..., str]


@pytest.fixture
def offer(hub: Listener, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Puts a file on the Hub, and an entry for it in the catalogue; returns the entry's name."""

    def offer(kind: str, content: bytes | None = None, **changes: Any) -> str:
        content = saved(OrderedDict(state(kind))) if content is None else content
        entry = entry_of(kind, content, **changes)
        hub.add(entry.repo, {entry.file: content, "other.pt": b"1"})
        monkeypatch.setattr(catalogue, "entries", lambda: {entry.name: entry})
        return entry.name

    small = replace(DATASETS["imagenet256"], shape=(3, 64, 64))
    monkeypatch.setitem(DATASETS, "imagenet256", small)
    return offer
