"""A process that talks to the Hub: one job as JSON on standard input, events as JSON lines out.

It is a process of its own since a transfer that hangs can only be ended with its process, and it is
run as a script so that it starts without torch.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelInfo, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import filter_repo_objects, httpx
from sentences import sentence  # beside this file, which is run as a script
from tqdm import tqdm

CHUNK, EVERY, ANSWER_SECONDS, MAX_CONFIG = 256 * 1024, 0.2, 10, 1_000_000
Job = dict[str, Any]


def emit(**event: Any) -> None:
    """One event for the parent."""
    print(json.dumps(event), flush=True)


class Bytes(tqdm):
    """Counts the bytes that `snapshot_download` writes, and tells the parent now and then."""

    def __init__(self, *args: Any, **options: Any):
        options.pop("name", None)
        self.counts = str(options.get("desc", "")).startswith("Reconstruct")
        self.done, self.told = int(options.get("initial") or 0), 0.0
        super().__init__(*args, **options | {"disable": True})

    def update(self, n: float | None = 1) -> None:
        self.done += int(n or 0)
        if self.counts and time.monotonic() - self.told > EVERY:
            self.told = time.monotonic()
            emit(bytes=self.done)


def pull(job: Job) -> Iterator[dict[str, Any]]:
    """Downloads the files of a repository that match; a commit that is cached needs no request."""
    if (folder := cached(job)) is not None:
        yield {"done": {"repo": job["repo"], "revision": job["revision"], "folder": folder}}
        return
    info = HfApi(token=job["token"]).model_info(
        job["repo"], revision=job["revision"], files_metadata=True, timeout=ANSWER_SECONDS
    )
    files = chosen(info, job)
    found = {"repo": info.id, "revision": info.sha, "bytes": sum(f.size or 0 for f in files)}
    yield {"found": found}
    folder = downloaded(info, job)
    for file in files:
        if file.lfs is not None:
            check(Path(folder) / file.rfilename, file.lfs.sha256)
    yield {"bytes": found["bytes"]}
    yield {"done": found | {"folder": folder}}


def downloaded(info: ModelInfo, job: Job) -> str:
    """The folder of the files. The client goes on after a cut by itself, but not after a reset."""
    again = 2
    while True:
        try:
            return snapshot_download(
                info.id, revision=info.sha, allow_patterns=job["patterns"], token=job["token"],
                tqdm_class=Bytes,
            )  # fmt: skip
        except httpx.NetworkError:
            if not again:
                raise
            again -= 1
        time.sleep(0.5)


def cached(job: Job) -> str | None:
    """The folder of a pinned commit that is here; who has no token must ask the Hub for it."""
    if len(job["revision"]) != 40 or job["token"] is False:
        return None
    where = {"revision": job["revision"], "allow_patterns": job["patterns"]}
    try:
        folder = snapshot_download(job["repo"], local_files_only=True, **where)
    except LocalEntryNotFoundError:
        return None  # not here, or not all of it
    return folder if all((Path(folder) / name).is_file() for name in job["required"]) else None


def chosen(info: ModelInfo, job: Job) -> list[RepoSibling]:
    """The files to download; ValueError if one is missing or they are too large."""
    names = [file.rfilename for file in info.siblings]
    wanted = set(filter_repo_objects(names, allow_patterns=job["patterns"]))
    files = [file for file in info.siblings if file.rfilename in wanted]
    if missing := [name for name in job["required"] if name not in wanted]:
        raise ValueError(f"'{job['repo']}' holds no {missing[0]}: it is not what is read here")
    total, most = sum(file.size or 0 for file in files), job["max_bytes"]
    if total > most:
        raise ValueError(
            f"'{job['repo']}' would take {total / 1e6:.1f} MB, more than the {most / 1e6:.1f} MB "
            "that are allowed here"
        )
    return files


def check(file: Path, sha256: str) -> None:
    """ValueError, and the file is gone, if its content has another hash: the client checks sizes."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(2**20):
            digest.update(piece)
    if digest.hexdigest() != sha256:
        file.resolve().unlink()
        file.unlink(missing_ok=True)
        raise ValueError(f"{file.name} arrived damaged and was thrown away: try again")


def push(job: Job) -> Iterator[dict[str, Any]]:
    """Makes one commit of a folder, and none if nothing changed; a Space loses its other files."""
    api, kind = HfApi(token=job["token"]), job["kind"]
    space = {"space_sdk": "gradio", "space_hardware": job["hardware"]} if kind == "space" else {}
    url = api.create_repo(
        job["repo"], repo_type=kind, private=job["private"], exist_ok=True, **space
    )
    repo = url.repo_id
    there = api.repo_info(repo, repo_type=kind, timeout=ANSWER_SECONDS)
    if job["private"] not in (None, there.private):
        is_so, wanted = ("private", "public") if there.private else ("public", "private")
        raise ValueError(f"'{repo}' is there and {is_so}, not {wanted}: choose another name")
    before = there.sha
    yield {"found": {"repo": repo, "revision": before}}
    commit = api.upload_folder(
        repo_id=repo, repo_type=kind, folder_path=job["folder"], commit_message=job["message"],
        delete_patterns="*" if kind == "space" else None,
    )  # fmt: skip
    if job["hardware"] and job["hardware"] != hardware_of(there):
        api.request_space_hardware(repo, job["hardware"])
    after = api.repo_info(repo, repo_type=kind, timeout=ANSWER_SECONDS)
    changed = after.sha != before
    yield {
        "done": {
            "repo": repo, "revision": after.sha, "changed": changed, "private": after.private,
            "url": str(url), "commit": str(commit.commit_url) if changed else "",
        }
    }  # fmt: skip


def hardware_of(info: Any) -> str | None:
    """What a Space runs on, if that is known."""
    return info.runtime.hardware if getattr(info, "runtime", None) else None


def present(job: Job) -> Iterator[dict[str, Any]]:
    """The hardware of a Space that exists."""
    api = HfApi(token=job["token"])
    try:
        info = api.space_info(job["repo"], timeout=ANSWER_SECONDS)
    except RepositoryNotFoundError:
        info = None
    yield {"done": {"hardware": hardware_of(info)}}


def find(job: Job) -> Iterator[dict[str, Any]]:
    """The checkpoints of this format in somebody's namespace."""
    api, rows = HfApi(token=job["token"]), []
    for model in api.list_models(
        author=job["author"], filter=job["tag"], limit=job["most"], full=True
    ):
        licenses = [tag[8:] for tag in model.tags or [] if tag.startswith("license:")]
        rows.append(
            {
                "repo": model.id,
                "revision": model.sha,
                "private": model.private,
                "license": licenses[0] if licenses else None,
                "tags": model.tags,
                "config": config_text(model.id, model.sha, job["token"]),
            }
        )
    yield {"done": {"models": rows}}


def config_text(repo: str, revision: str, token: Any) -> str | None:
    """The description of a checkpoint, without its weights; None if it is missing or too large."""
    asked = {"revision": revision, "token": token}
    try:
        if hf_hub_download(repo, "config.json", dry_run=True, **asked).file_size > MAX_CONFIG:
            return None
        file = hf_hub_download(repo, "config.json", **asked)
    except (HfHubHTTPError, EntryNotFoundError, DryRunError):
        return None
    return Path(file).read_text(errors="replace")


JOBS: dict[str, Callable[[Job], Iterator[dict[str, Any]]]] = {
    "pull": pull,
    "push": push,
    "find": find,
    "present": present,
}


def main() -> None:
    job = json.loads(sys.stdin.readline())
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK  # else there is no progress in 10 MB
    try:
        for event in JOBS[job["job"]](job):
            emit(**event)
    except Exception as error:  # the client raises many kinds; the parent says each in one line
        emit(error=sentence(error, job.get("repo", "")), kind=type(error).__name__)


if __name__ == "__main__":
    main()
