"""The app as a Space: exactly the files that it needs, and they start."""

import json
import os
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml
from packaging.requirements import Requirement

import flowdemo.ui.app
from flowdemo.cli import main
from flowdemo.hub import space
from flowdemo.hub.client import HubError, push
from tests.hub.fixtures import serving

REPO, ROOT = "ann/flow", space.ROOT
ALLOWED = """
title emoji colorFrom colorTo sdk sdk_version python_version app_file app_port base_path fullWidth
header short_description models datasets tags thumbnail pinned hf_oauth hf_oauth_scopes
hf_oauth_expiration_minutes hf_oauth_authorized_org disable_embedding startup_duration_timeout
suggested_hardware custom_headers preload_from_hub license
"""
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture(scope="module")
def parcel():
    with space.parcel("zero-a10g") as folder:
        yield folder


def test_a_parcel_holds_what_the_app_needs_and_nothing_else(parcel):
    files = set(space.sizes(parcel))
    package = {path for path in (ROOT / "flowdemo").rglob("*") if path.is_file()}
    needed = {str(path.relative_to(ROOT)) for path in package if "__pycache__" not in path.parts}
    own = {"app.py", "requirements.txt", "README.md", "LICENSE", "checkpoints/.gitkeep"}
    assert files == needed | own
    assert {Path(path).suffix for path in needed} >= {".json", ".txt", ".js", ".html", ".css"}
    assert sum(path.endswith("model.safetensors") for path in files) >= 24
    assert sum(space.sizes(parcel).values()) < 100_000_000


def test_caches_and_hidden_files_stay_at_home(tmp_path, monkeypatch):
    package = tmp_path / "flowdemo"
    for name in ("a.py", "__pycache__/a.pyc", "b.pyc", ".DS_Store", "deep/.git/x", "deep/c.css"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
    for name in ("app.py", "LICENSE", "requirements.txt", "README.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").touch()
    monkeypatch.setattr(space, "ROOT", tmp_path)
    with space.parcel() as folder:
        sent = {path for path in space.sizes(folder) if path.startswith("flowdemo/")}
        assert sent == {"flowdemo/a.py", "flowdemo/deep/c.css"}
        assert not (folder / "tests").exists()
    assert not folder.exists()
    monkeypatch.setattr(space, "ROOT", package)
    with pytest.raises(ValueError, match="works from a checkout"), space.parcel():
        pass


@pytest.mark.parametrize(
    ("hardware", "torch", "more"),
    [
        ("", ">=2.8,<=2.13.0", set()),
        ("cpu-basic", ">=2.8,<=2.13.0", set()),
        ("zero-a10g", ">=2.8,<=2.11.0", {"spaces", "diffusers"}),
        ("t4-small", ">=2.8,<=2.13.0", {"diffusers"}),
    ],
)
def test_requirements_are_those_of_the_hardware(hardware, torch, more):
    given = (ROOT / "requirements.txt").read_text()
    lines = space.requirements_for(hardware, given).splitlines()
    options = [line for line in lines if line.startswith("--")]
    is_cpu = hardware in ("", "cpu-basic")
    assert options == ([space.CPU_TORCH] if is_cpu else [])
    rest = (line.split("#")[0].strip() for line in lines if line not in options)
    wanted = {r.name: r for r in map(Requirement, filter(None, rest))}
    assert wanted["torch"].specifier == Requirement(f"torch{torch}").specifier
    here = {Requirement(line.split("#")[0]).name for line in given.splitlines() if line[0] != "#"}
    assert wanted.keys() == here | more and "torchdiffeq" in wanted


def test_the_front_matter_is_a_configuration_that_the_hub_takes(parcel):
    _, front, body = (parcel / "README.md").read_text().split("---\n", 2)
    config = yaml.safe_load(front)
    assert config.keys() <= set(ALLOWED.split()) and config["sdk"] == "gradio"
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split("\n") if line
    )
    assert config["sdk_version"] == pinned["gradio"]
    assert (parcel / config["app_file"]).is_file()
    assert {config["colorFrom"], config["colorTo"]} <= COLOURS
    assert len(config["short_description"]) <= 60 and body.strip()
    assert config["python_version"] in ("3.12.12", "3.10.13")  # what ZeroGPU has
    assert config["hf_oauth"] is True and config["hf_oauth_scopes"] == ["contribute-repos"]
    assert config["suggested_hardware"] == "zero-a10g"
    assert "suggested_hardware" not in space.readme((ROOT / "README.md").read_text(), "")


def deploy(*options):
    """The code that the command ends with."""
    with pytest.raises(SystemExit) as ended:
        main.main(["deploy", REPO, *options])
    return ended.value.code


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """A Hub whose Space was deployed twice and changed by hand in between, and the first files."""
    with serving(tmp_path_factory.mktemp("home")) as endpoint:
        assert deploy("--hardware", "zero-a10g", "--private") == 0
        first = endpoint.files(REPO, repo_type="space")
        endpoint.add(REPO, first | {"old.py": b"1"}, "space", hardware="cpu-basic")
        assert deploy("--hardware", "zero-a10g") == 0
        yield endpoint, first


def test_deploy_makes_a_space_of_exactly_the_parcel(deployed, parcel):
    endpoint, first = deployed
    made = endpoint.repo(REPO, "space")
    assert (made.sdk, made.hardware, made.private) == ("gradio", "zero-a10g", True)
    files = {path: (parcel / path).read_bytes() for path in space.sizes(parcel)}
    assert {path: first[path] for path in files} == files
    assert first.keys() - files.keys() <= {".gitattributes"}


def test_what_does_not_belong_to_a_space_is_removed_and_the_hubs_own_file_stays(deployed):
    endpoint, first = deployed
    now = endpoint.files(REPO, repo_type="space")
    assert "old.py" not in now and now == first


def test_a_deployment_of_the_same_makes_no_commit_and_says_so(deployed, capsys):
    endpoint, _ = deployed
    before = endpoint.commits(REPO, "space")
    assert deploy("--hardware", "zero-a10g") == 0
    assert endpoint.commits(REPO, "space") == before
    assert f"{endpoint.url}/spaces/{REPO} holds exactly this already" in capsys.readouterr().out


def test_a_dry_run_lists_the_files_and_their_size_and_asks_nothing(hub, capsys, parcel):
    assert deploy("--dry-run", "--hardware", "zero-a10g") == 0
    out = capsys.readouterr().out
    sizes = space.sizes(parcel)
    assert hub.requests == [] and all(path in out for path in sizes)
    assert f"{sum(sizes.values()):,}  bytes in {len(sizes)} files would go to {REPO}" in out


def test_a_space_of_somebody_else_is_refused(hub, tmp_path):
    (tmp_path / "app.py").touch()
    with pytest.raises(HubError, match="this token may not do that to 'bob/flow'"):
        list(push(tmp_path, "bob/flow", kind="space"))
    assert not hub.repos


@pytest.fixture(scope="module")
def page(parcel, tmp_path_factory):
    """The configuration of the page that the parcel serves as a public Space at PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"SPACE_ID": REPO, "PORT": str(port), "HF_HUB_OFFLINE": "1"}
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "FLOWDEMO_PUBLIC")}
    log = (tmp_path_factory.mktemp("app") / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-B", "app.py"], cwd=parcel, env=env | own, stdout=log, stderr=log
    )
    try:
        yield answer_of(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.kill()
        process.wait()


def answer_of(url, process, log, seconds=120):
    """Status of the page, and its configuration."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(url) as start, urlopen(f"{url}/config") as config:
                return start.status, json.load(config)
        except URLError:
            time.sleep(0.2)
    log.seek(0)
    raise AssertionError(log.read())


def test_the_app_starts_from_the_parcel_as_a_public_space(page):
    status, config = page
    assert status == 200
    shown = {part["props"].get("elem_id"): part["props"] for part in config["components"]}
    assert "m-duplicate" in shown and shown["m-delete"]["visible"] is False


@pytest.mark.parametrize(
    ("arguments", "variable", "port"),
    [([], None, None), ([], "7999", 7999), (["--port", "8001"], "7999", 8001)],
)
def test_the_port_is_that_of_the_command_line_or_of_port(monkeypatch, arguments, variable, port):
    asked = []
    monkeypatch.setattr(flowdemo.ui.app, "launch", lambda *given, **_: asked.append(given))
    monkeypatch.setattr(sys, "argv", ["app.py", *arguments])
    monkeypatch.delenv("PORT", raising=False)
    if variable:
        monkeypatch.setenv("PORT", variable)
    runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    assert asked == [(None, port)]
