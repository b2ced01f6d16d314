"""The Hub: pull, push, and list a namespace. Long work is a generator of progress."""

import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flowdemo.checkpoints import cache
from flowdemo.config.options import REPO

# A folder of its own, so that no module of this package hides one that the worker imports.
WORKER = Path(__file__).with_name("worker")
REVISION = r"[A-Za-z0-9][\w./-]{0,99}"
PATTERNS = ["config.json", "model.safetensors", "README.md"]
SLOWEST = 100_000  # bytes a second that an upload is given time for
QUIET_SECONDS, TICK = 20.0, 1.0  # a transfer that stands still this long is given up
Token = str | bool | None  # None: this machine's own; False: none


class HubError(ValueError):
    """What the Hub did not do, in one sentence that says what to do."""


@dataclass(frozen=True)
class Progress:
    """Words, and the share that is done if that is known."""

    words: str
    share: float | None = None


def parse_repo(spec: str) -> tuple[str, str]:
    """NAME/MODEL[@REVISION] as repository and revision; ValueError for anything else."""
    repo, _, revision = spec.partition("@")
    revision = revision or "main"
    if not re.fullmatch(REPO, repo) or not re.fullmatch(REVISION, revision) or ".." in spec:
        raise ValueError(f"'{spec}' is no repository, such as 'name/model' or 'name/model@commit'")
    return repo, revision


def pull(
    spec: str,
    max_bytes: int,
    patterns: list[str] | None = None,
    token: Token = None,
    quiet: float = QUIET_SECONDS,
) -> Iterator[Progress | dict[str, Any]]:
    """Progress, then repo, revision (40 hex) and folder of the files, from the cache if they are there.

    `patterns` choose the files, the first two of which must exist. HubError says what went wrong.
    """
    repo, revision = parse_repo(spec)
    patterns = patterns or PATTERNS
    job = {"job": "pull", "repo": repo, "revision": revision, "patterns": patterns, "token": token}
    job |= {"max_bytes": max_bytes, "required": patterns[:2]}
    try:
        yield from ask(job, f"Asking the Hub for {spec}", quiet)
    finally:
        cache.sweep_parts(repo)


def push(
    folder: Path,
    repo: str,
    *,
    kind: str = "model",
    private: bool | None = None,
    hardware: str | None = None,
    message: str = "Upload by FlowDemo",
    token: Token = None,
    quiet: float = QUIET_SECONDS,
) -> Iterator[Progress | dict[str, Any]]:
    """Progress, then url, revision and whether anything changed: the same files make no commit.

    `kind` is "model" or "space"; `private` None leaves it as it is, or public if it is new.
    """
    check_target(repo)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    job = {"job": "push", "repo": repo, "folder": str(folder), "kind": kind, "private": private}
    job |= {"hardware": hardware, "message": message, "token": token}
    # The client does not say how far it is; a slow line needs its time.
    yield from ask(job, f"Sending {folder.name} to {repo}", quiet, quiet + size / SLOWEST)


def hardware_of(repo: str) -> Iterator[Progress | dict[str, Any]]:
    """Progress, then `hardware`: that of a Space, None if there is none."""
    check_target(repo)
    job = {"job": "present", "repo": repo, "token": None}
    yield from ask(job, f"Asking the Hub for {repo}", QUIET_SECONDS)


def check_target(repo: str) -> None:
    """ValueError unless this is where something can be sent: NAME/MODEL without a revision."""
    if parse_repo(repo)[1] != "main" or "@" in repo:
        raise ValueError(f"'{repo}' is nothing to send to: write name/model")


def sent(answer: dict[str, Any]) -> str:
    """What a push came to, in words."""
    if not answer["changed"]:
        return f"{answer['url']} holds exactly this already ({answer['revision']})"
    kind = "private" if answer["private"] else "public"
    return f"{answer['url']} ({kind}) is at {answer['revision']} now"


def find(author: str, most: int = 50, token: Token = None) -> Iterator[Progress | dict[str, Any]]:
    """Progress, then `models`: repo, revision, licence and tags of an author's checkpoints."""
    job = {"job": "find", "repo": author, "author": author, "most": most, "token": token}
    job |= {"tag": "flowdemo"}
    yield from ask(job, f"Asking the Hub for the checkpoints of {author}", QUIET_SECONDS)


def ask(
    job: dict[str, Any], words: str, quiet: float, later: float | None = None
) -> Iterator[Progress | dict[str, Any]]:
    """Runs a job of the worker: progress at least every second, then its answer.

    A worker that is silent for `quiet` seconds (`later`, once the Hub has answered) is ended, as it is
    when this iterator is closed.
    """
    yield Progress(f"{words} ...")
    with tempfile.TemporaryFile("w+") as complaints:
        process = started(job, complaints)
        try:
            yield from answers(process, words, quiet, later or quiet)
        except EOFError:
            complaints.seek(0)
            last = complaints.read().strip().split("\n")[-1]
            raise HubError(
                f"the Hub's client ended without an answer: {last or 'try again'}"
            ) from None
        finally:
            process.kill()
            process.wait()


def started(job: dict[str, Any], complaints: IO[str]) -> subprocess.Popen:
    """The worker with its job."""
    quietly = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    process = subprocess.Popen(
        [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=complaints, text=True, env=os.environ | quietly,
    )  # fmt: skip
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.close()
    return process


def answers(
    process: subprocess.Popen, words: str, quiet: float, later: float
) -> Iterator[Progress | dict[str, Any]]:
    """The events of a worker as progress, then its answer. HubError says what went wrong."""
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=read, args=(process.stdout, lines), daemon=True).start()
    heard, total = time.monotonic(), 0
    while True:
        try:
            line = lines.get(timeout=TICK)
        except queue.Empty:
            silent = time.monotonic() - heard
            if silent > quiet:
                raise HubError(
                    f"the Hub has been silent for {silent:.0f} seconds, so this was given up: "
                    "try again later"
                ) from None
            yield Progress(f"{words}: waiting for its answer, {silent:.0f} s ...")
            continue
        if not line:
            raise EOFError
        heard, event = time.monotonic(), json.loads(line)
        if "error" in event:
            raise HubError(event["error"])
        if "done" in event:
            yield event["done"]
            return
        if "found" in event:
            quiet, total = later, event["found"].get("bytes", 0)
        yield told(words, event.get("bytes", 0), total)


def read(stream: IO[str], lines: queue.Queue[str]) -> None:
    """Lines of a stream into a queue, at last an empty one."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put("")


def told(words: str, done: int, total: int) -> Progress:
    """How much of a transfer is done."""
    if not total:
        return Progress(f"{words} ...")
    return Progress(f"Downloading {done / 1e6:.1f} of {total / 1e6:.1f} MB", min(1.0, done / total))
