"""What the client asks and what the Hub sends back."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.hub.repos import Files, Hub, Repo


@dataclass(eq=False)
class Response(Exception):
    """What is sent back; it can be raised, too."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def part(self, asked: str) -> "Response":
        """The rest of a file, if that is what a Range header asks for."""
        match = re.fullmatch(r"bytes=(\d+)-", asked)
        if not match or "Accept-Ranges" not in self.headers:
            return self
        size, start = len(self.body), int(match[1])
        if start >= size:
            return Response(416, headers={"Content-Range": f"bytes */{size}"})
        about = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
        return Response(206, self.body[start:], self.headers | about)


def ok(value: object) -> Response:
    return Response(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def error(status: int, code: str | None, message: str, **body: str) -> Response:
    """An answer that the client turns into an exception."""
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return Response(status, json.dumps({"error": message} | body).encode(), headers)


class Request:
    """What came in, and whom its token belongs to; the route adds the parts of its path."""

    def __init__(self, hub: Hub, method: str, path: str, headers: Mapping[str, str], body: bytes):
        self.hub, self.method, self.path, self.body = hub, method, path, body
        self.query = parse_qs(urlsplit(path).query)
        self.token = headers.get("Authorization", "").removeprefix("Bearer ")
        self.user = hub.tokens.get(self.token)
        self.range = headers.get("Range", "")
        self.parts: dict[str, str] = {}

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def repo_type(self) -> str:
        return self.parts.get("kind", "models")[:-1]

    def repo(self) -> Repo:
        """The repository in the path, if this user may know about it."""
        name = self.parts["repo"]
        found = self.hub.repos.get((self.repo_type, name))
        new = self.hub.moved.get((self.repo_type, name))
        if found is None and new:
            raise Response(307, headers={"Location": self.path.replace(f"/{name}", f"/{new}", 1)})
        if found is None or (found.private and found.owner != self.user):
            # Without a token the Hub does not tell a missing repository from a private one.
            raise error(404 if self.user else 401, "RepoNotFound", "Repository not found")
        return found

    def writable(self) -> Repo:
        """The repository in the path, if this user may change it."""
        repo = self.repo()
        self.check_write(repo.owner)
        return repo

    def check_write(self, owner: str) -> None:
        if self.user is None:
            raise error(401, None, "Invalid username or password.")
        if self.user != owner or self.token in self.hub.read_only:
            raise error(403, None, f"You don't have the rights to write to {owner}")

    def commit(self) -> tuple[str, Files]:
        """The hash and the files of the commit in the path."""
        repo, revision = self.repo(), self.parts.get("revision", "main")
        sha = repo.resolve(revision)
        if sha not in repo.commits:
            raise error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repo.commits[sha]
