"""What the client asks, and what the Hub answers. There is one branch, `main`."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.repos import Files, Hub, Repo, entry, etag, is_lfs, sha256


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
        if self.user != owner:
            raise error(403, None, f"You don't have the rights to write to {owner}")

    def commit(self) -> tuple[str, Files]:
        """The hash and the files of the commit in the path."""
        repo, revision = self.repo(), self.parts.get("revision", "main")
        sha = repo.resolve(revision)
        if sha not in repo.commits:
            raise error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repo.commits[sha]


GITATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def resolve(request: Request) -> Response:
    """A file, or its size and hash alone."""
    repo, path = request.repo(), request.parts["path"]
    if repo.gated and repo.owner != request.user:
        status = 403 if request.user else 401
        raise error(status, "GatedRepo", f"Access to {repo.type} {repo.id} is restricted")
    sha, files = request.commit()
    if path not in files:
        raise error(404, "EntryNotFound", "Entry not found")
    tag = etag(path, files[path])
    headers = {"X-Repo-Commit": sha, "ETag": f'"{tag}"', "Accept-Ranges": "bytes"}
    return Response(200, files[path], headers)


def info(request: Request) -> Response:
    return ok(request.repo().describe(request.commit()[0], "blobs" in request.query))


def tree(request: Request) -> Response:
    return ok([entry(*file) for file in sorted(request.commit()[1].items())])


def list_repos(request: Request) -> Response:
    """The list leaves out what the Hub tells only if `full` asks for it."""
    query, found = request.query, []
    for repo in request.hub.repos.values():
        about = repo.describe()
        visible = not repo.private or repo.owner == request.user
        named = query.get("author", [repo.owner]) == [repo.owner]
        tagged = set(query.get("filter", [])) <= set(about["tags"])
        if repo.type == request.repo_type and visible and named and tagged:
            brief = {key: about[key] for key in ("id", "private", "tags")}
            found.append(about if "full" in query else brief)
    return ok(found[: int(query.get("limit", ["1000"])[0])])


def create(request: Request) -> Response:
    """A new repository with the one file that the Hub puts there."""
    hub, asked = request.hub, request.json
    owner = asked["organization"] or request.user or ""
    request.check_write(owner)
    key = asked.get("type", "model"), f"{owner}/{asked['name']}"
    if key in hub.repos:
        url = hub.url + hub.repos[key].path
        raise error(409, None, f"You already created this {key[0]} repo", url=url)
    repo = hub.repos[key] = Repo(key[1], key[0], sdk=asked.get("sdk"))
    repo.private = asked.get("visibility") == "private"
    repo.hardware = asked.get("hardware") or repo.hardware
    repo.commit({".gitattributes": GITATTRIBUTES})
    return ok({"url": hub.url + repo.path})


def hardware(request: Request) -> Response:
    """Another machine for a Space."""
    repo = request.writable()
    repo.hardware = request.json["flavor"]
    return ok(repo.runtime)


def preupload(request: Request) -> Response:
    """How each file is to be sent, and the hash of the one that is there already."""
    request.writable()
    present, out = request.commit()[1], []
    for file in request.json["files"]:
        path = file["path"]
        lfs = is_lfs(path, file["size"], b64decode(file["sample"]))
        out.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False})
        if path in present:
            out[-1]["oid"] = etag(path, present[path])
    return ok({"files": out})


def lfs_batch(request: Request) -> Response:
    """Where to send each object; one that is stored already has nowhere to go."""
    request.writable()
    objects = request.json["objects"]
    for item in objects:
        if item["oid"] not in request.hub.objects:
            item["actions"] = {"upload": {"href": f"{request.hub.url}/lfs/{item['oid']}"}}
    return ok({"transfer": "basic", "objects": objects})


def lfs_upload(request: Request) -> Response:
    request.hub.objects[sha256(request.body)] = request.body
    return Response(200)


def commit(request: Request) -> Response:
    repo, files = request.writable(), dict(request.commit()[1])
    for line in request.body.splitlines()[1:]:  # the first has the message
        item = json.loads(line)
        value, path = item["value"], item["value"]["path"]
        if item["key"] == "file":
            files[path] = b64decode(value["content"])
        elif item["key"] == "lfsFile":
            files[path] = request.hub.objects[value["oid"]]
        elif files.pop(path, None) is None:
            raise error(404, "EntryNotFound", "A file with this name doesn't exist")
    sha = repo.commit(files)
    return ok({"commitOid": sha, "commitUrl": f"{request.hub.url}{repo.path}/commit/{sha}"})


KIND = r"(?P<kind>models|datasets|spaces)"
NAME = r"(?P<repo>[^/]+/[^/]+)"
API = rf"/api/{KIND}/{NAME}"
PAGE = rf"/(?:(?P<kind>datasets|spaces)/)?{NAME}"
REVISION = r"(?P<revision>[^/]+)"

ROUTES = [
    ("GET|HEAD", rf"{PAGE}/resolve/{REVISION}/(?P<path>.+)", resolve),
    ("GET", rf"/api/{KIND}", list_repos),
    ("GET", rf"{API}(?:/revision/{REVISION})?", info),
    ("GET", rf"{API}/tree/{REVISION}", tree),
    ("POST", "/api/repos/create", create),
    ("POST", rf"{API}/hardware", hardware),
    ("POST", rf"{API}/preupload/main", preupload),
    ("POST", rf"{PAGE}\.git/info/lfs/objects/batch", lfs_batch),
    ("PUT", "/lfs/[0-9a-f]{64}", lfs_upload),
    ("POST", rf"{API}/commit/main", commit),
    ("POST", "/api/validate-yaml", lambda _: ok({"errors": [], "warnings": []})),
]


def answer(request: Request) -> Response:
    path = urlsplit(request.path).path
    if request.token and request.user is None:
        return error(401, None, "Invalid credentials in Authorization header")
    for methods, pattern, handler in ROUTES:
        match = re.fullmatch(pattern, path)
        if match and request.method in methods.split("|"):
            request.parts = {k: unquote(v) for k, v in match.groupdict().items() if v}
            try:
                return handler(request)
            except Response as response:
                return response
    return error(501, None, f"Not implemented: {request.method} {path}")
