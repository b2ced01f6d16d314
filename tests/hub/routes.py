"""What the Hub answers to which request. There is one branch, `main`."""

import json
import re
from base64 import b64decode
from urllib.parse import unquote, urlsplit

from tests.hub.messages import Request, Response, error, ok
from tests.hub.repos import Repo, entry, etag, is_lfs, sha256

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


def named_repo(request: Request) -> tuple[str, str]:
    """The type and the full name in the body of a request to create or delete."""
    asked = request.json
    owner = asked["organization"] or request.user or ""
    request.check_write(owner)
    return asked.get("type", "model"), f"{owner}/{asked['name']}"


def create(request: Request) -> Response:
    """A new repository with the one file that the Hub puts there."""
    hub, key, asked = request.hub, named_repo(request), request.json
    if key in hub.repos:
        url = hub.url + hub.repos[key].path
        raise error(409, None, f"You already created this {key[0]} repo", url=url)
    repo = hub.repos[key] = Repo(key[1], key[0], sdk=asked.get("sdk"))
    repo.private = asked.get("visibility") == "private"
    repo.hardware = asked.get("hardware") or repo.hardware
    repo.commit({".gitattributes": GITATTRIBUTES})
    return ok({"url": hub.url + repo.path})


def delete(request: Request) -> Response:
    if request.hub.repos.pop(named_repo(request), None) is None:
        raise error(404, "RepoNotFound", "Repository not found")
    return ok({})


def hardware(request: Request) -> Response:
    """Another machine for a Space."""
    repo = request.writable()
    repo.hardware = request.json["flavor"]
    return ok(repo.runtime)


def variables(request: Request) -> Response:
    """One more variable for a Space."""
    known = request.writable().variables
    known[request.json["key"]] = request.json["value"]
    return ok({key: {"value": value} for key, value in known.items()})


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
    ("DELETE", "/api/repos/delete", delete),
    ("POST", rf"{API}/hardware", hardware),
    ("POST", rf"{API}/variables", variables),
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
