"""Repositories: their commits, and what the Hub tells about them."""

import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LFS_ABOVE = 10_000_000
Files = Mapping[str, bytes]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_lfs(path: str, size: int, sample: bytes) -> bool:
    """Whether the Hub keeps this file outside git. An empty file never is."""
    return size > 0 and (path.endswith(".safetensors") or size > LFS_ABOVE or b"\0" in sample[:512])


def etag(path: str, content: bytes) -> str:
    """The SHA-256 of an LFS file, the git name of another."""
    if is_lfs(path, len(content), content):
        return sha256(content)
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as the Hub lists it, under the names of `tree` and those of `blobs=true`."""
    size, oid = len(content), etag(path, content)
    out = {"type": "file", "path": path, "rfilename": path, "size": size, "oid": oid, "blobId": oid}
    if is_lfs(path, size, content):
        out["lfs"] = {"oid": oid, "sha256": oid, "size": size, "pointerSize": 0}
    return out


def card_tags(card: bytes) -> list[str]:
    """The tags of a README's header: its list of tags and its library's name."""
    header = re.match(r"---\n(.*?)\n---", card.decode(), re.DOTALL)
    text = header[1] + "\n" if header else ""
    block = re.search(r"^tags:\n((?:\s*- .*\n)+)", text, re.MULTILINE)
    tags = [line.strip(" -'\"") for line in block[1].splitlines()] if block else []
    return tags + re.findall(r"^library_name: *(\S+)", text, re.MULTILINE)


@dataclass
class Repo:
    """A repository: the files of every commit, newest last."""

    id: str
    type: str
    private: bool = False
    gated: bool | str = False
    tags: tuple[str, ...] = ()
    sdk: str | None = None
    hardware: str = "cpu-basic"
    commits: dict[str, Files] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    @property
    def path(self) -> str:
        return f"/{self.id}" if self.type == "model" else f"/{self.type}s/{self.id}"

    @property
    def runtime(self) -> dict[str, Any]:
        hardware = {"current": self.hardware, "requested": self.hardware}
        return {"stage": "RUNNING", "hardware": hardware}

    def commit(self, files: Files) -> str:
        """A new head with exactly these files."""
        tree = sorted((path, sha256(content)) for path, content in files.items())
        sha = hashlib.sha1(repr((self.type, self.id, *self.commits, tree)).encode()).hexdigest()
        self.commits[sha] = dict(files)
        return sha

    def resolve(self, revision: str) -> str:
        """The hash that a branch (only main) or a hash means."""
        return list(self.commits)[-1] if revision == "main" else revision

    def describe(self, revision: str = "main", blobs: bool = False) -> dict[str, Any]:
        """Everything that the Hub tells about it."""
        sha = self.resolve(revision)
        files = self.commits[sha]
        tags = [*self.tags, *card_tags(files.get("README.md", b""))]
        out = {"id": self.id, "sha": sha, "author": self.owner, "tags": tags}
        out |= {"private": self.private, "gated": self.gated}
        out["siblings"] = [entry(*f) if blobs else {"rfilename": f[0]} for f in files.items()]
        return out | ({"sdk": self.sdk, "runtime": self.runtime} if self.type == "space" else {})


class Hub:
    """All repositories; `tokens` are those of users, who write below their own names."""

    url = ""

    def __init__(self, tokens: Mapping[str, str]):
        self.tokens = dict(tokens)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}  # the content of LFS files
        self.moved: dict[tuple[str, str], str] = {}  # (type, old name) -> new name
        self.lock = threading.RLock()

    def add(self, repo_id: str, files: Files, repo_type: str = "model", **about: Any) -> str:
        """A commit with exactly these files; `about` is private, gated, tags, hardware."""
        with self.lock:
            repo = self.repos.setdefault((repo_type, repo_id), Repo(repo_id, repo_type))
            for name, value in about.items():
                setattr(repo, name, value)
            self.objects |= {sha256(c): c for path, c in files.items() if is_lfs(path, len(c), c)}
            return repo.commit(files)

    def repo(self, repo_id: str, repo_type: str = "model") -> Repo:
        return self.repos[repo_type, repo_id]

    def files(self, repo_id: str, repo_type: str = "model") -> Files:
        """Those of the newest commit."""
        return dict(list(self.repo(repo_id, repo_type).commits.values())[-1])

    def commits(self, repo_id: str, repo_type: str = "model") -> list[str]:
        """The hash of every commit, oldest first."""
        return list(self.repo(repo_id, repo_type).commits)

    def rename(self, old: str, new: str) -> None:
        """From now on the old name leads to the new one."""
        with self.lock:
            repo = self.repos["model", new] = self.repos.pop(("model", old))
            repo.id = new
            self.moved["model", old] = new
