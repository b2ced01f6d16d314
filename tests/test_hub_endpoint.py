"""The local Hub endpoint answers the real client as the Hub does, and fails as it is told to."""

import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.hub import HubEndpoint, run

WEIGHTS = bytes(range(256)) * 1000
FILES = {"model.safetensors": WEIGHTS, "sub/config.json": b'{"a": 1}\n'}
DOWNLOAD = "hf_hub_download('ann/flow', 'model.safetensors')"
CLIENT = """
import json
from huggingface_hub import HfApi, hf_hub_download, snapshot_download

def value(expression):
    try:
        return eval(expression)
    except Exception as error:
        return type(error).__name__

api = HfApi()
print(json.dumps([value(expression) for expression in {}]))
"""


@pytest.fixture
def hub():
    with HubEndpoint({"secret": "ann", "guest": "bob"}) as endpoint:
        endpoint.add("ann/flow", FILES)
        yield endpoint


@pytest.fixture
def call(hub, tmp_path):
    """The values of expressions with the client's functions, in a process of its own.

    Of an expression that raises an exception the value is the exception's name.
    """

    def call(*expressions, token=None, **env):
        done = run(hub, CLIENT.format(list(expressions)), tmp_path / "home", token, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return str(folder)


def read(folder):
    files = (file for file in Path(folder).rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_what_is_uploaded_comes_back_and_is_not_uploaded_twice(hub, call, tmp_path):
    files = FILES | {"model.safetensors": WEIGHTS[::-1]}
    folder = write(tmp_path / "here", files)
    create = "api.create_repo('ann/new', private=True).repo_id"
    upload = f"api.upload_folder(repo_id='ann/new', folder_path={folder!r}).oid"
    load = "snapshot_download('ann/new')"
    name, first, copy, second = call(create, upload, load, upload, token="secret")
    assert name == "ann/new" and hub.repo("ann/new").private
    assert first == second and hub.commits("ann/new")[1:] == [first]
    back = read(copy)
    assert back.pop(".gitattributes") and back == files
    assert [method for method, _ in hub.requests].count("PUT") == 1
    assert sum("/commit/" in path for _, path in hub.requests) == 1


def test_a_pinned_commit_is_asked_for_once(hub, call):
    old = hub.commits("ann/flow")[0]
    hub.add("ann/flow", {"model.safetensors": b"newer"})
    load = f"snapshot_download('ann/flow', revision={old!r})"
    assert read(*call(load)) == FILES
    hub.clear()
    assert read(*call(load)) == FILES
    assert hub.requests == []


def test_a_download_goes_on_where_the_connection_was_cut(hub, call):
    # The client keeps what it has in steps of 10 MiB, and begins again with what came after.
    large = WEIGHTS * 50
    hub.add("ann/flow", {"model.safetensors": large})
    hub.cut(r"model\.safetensors", after=11_000_000)
    assert Path(*call(DOWNLOAD)).read_bytes() == large
    [(path, asked)] = hub.ranges
    assert asked == f"bytes={10 * 2**20}-"
    # It would also take the whole file again.
    with urlopen(Request(hub.url + path, headers={"Range": asked})) as answer:
        assert (answer.status, answer.read()) == (206, large[10 * 2**20 :])


def test_faults_of_a_body_reach_the_client(hub, call):
    hub.truncate(r"model\.safetensors", by=10, times=1)
    hub.stall(r"model\.safetensors", 60, after=1000, times=1)
    hub.corrupt(r"model\.safetensors", at=2000)
    broken, file = call(DOWNLOAD, DOWNLOAD, HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert broken == "OSError"
    # One fault happens to a request, the first that matches: the stall, then the other byte.
    changed = WEIGHTS[:2000] + bytes([WEIGHTS[2000] ^ 0xFF]) + WEIGHTS[2001:]
    assert Path(file).read_bytes() == changed


def test_the_client_meets_the_hubs_errors(hub, call):
    hub.add("ann/hidden", FILES, private=True)
    hub.add("ann/gated", FILES, gated="auto")
    expected = {
        "snapshot_download('ann/none')": "RepositoryNotFoundError",
        "snapshot_download('ann/hidden', token='guest')": "RepositoryNotFoundError",
        "snapshot_download('ann/gated', token='guest')": "GatedRepoError",
        "snapshot_download('ann/flow', revision='v9')": "RevisionNotFoundError",
        "hf_hub_download('ann/flow', 'none')": "RemoteEntryNotFoundError",
        "api.create_repo('ann/new', token='guest')": "HfHubHTTPError",
    }
    assert call(*expected) == list(expected.values())


def test_the_owner_sees_what_is_private_and_gated(hub, call):
    hub.add("ann/flow", FILES, private=True, gated="auto")
    assert read(*call("snapshot_download('ann/flow')", token="secret")) == FILES


def test_a_failing_hub_is_an_error_at_once_or_after_retries(hub, call):
    fault = hub.fail("/api/models/", 503)
    name = "api.model_info('ann/flow').id"
    errors = call(name, "snapshot_download('ann/flow')")
    assert errors == ["HfHubHTTPError", "LocalEntryNotFoundError"]
    hub.heal(fault)
    hub.fail("/resolve/", 503, times=1, method="HEAD")
    healed, file = call(name, DOWNLOAD)
    assert healed == "ann/flow" and Path(file).read_bytes() == WEIGHTS


def test_a_renamed_repository_is_found_by_its_old_name(hub, call):
    hub.rename("ann/flow", "ann/stream")
    content = "path_or_fileobj=b'x', path_in_repo='x', token='secret'"
    folder, file, name, commit = call(
        "snapshot_download('ann/flow')",
        DOWNLOAD,
        "api.model_info('ann/flow').id",
        f"api.upload_file(repo_id='ann/flow', {content}).oid",
    )
    assert read(folder) == FILES and Path(file).read_bytes() == WEIGHTS
    assert name == "ann/stream" and commit == hub.commits("ann/stream")[-1]


def test_a_space_is_made_and_its_files_replaced(hub, call, tmp_path):
    space = "'ann/demo', repo_type='space'"
    make = f"api.create_repo({space}, space_sdk='gradio', space_hardware='h').repo_id"
    call(make, "len(api.add_space_variable('ann/demo', 'A', '1'))", token="secret")
    repo = hub.repo("ann/demo", "space")
    assert (repo.sdk, repo.hardware, repo.variables) == ("gradio", "h", {"A": "1"})
    hub.add("ann/demo", {"app.py": b"old", "old/gone.py": b""}, repo_type="space")
    folder = write(tmp_path / "here", {"app.py": b"new", "data.npz": b"PK\0"})
    upload = f"api.upload_folder(repo_id={space}, folder_path={folder!r}, delete_patterns='*').oid"
    hardware = "api.request_space_hardware('ann/demo', 'cpu').hardware"
    assert call(upload, hardware, token="secret") == [hub.commits("ann/demo", "space")[-1], "cpu"]
    assert hub.files("ann/demo", repo_type="space") == read(folder)


def test_models_are_listed_by_owner_and_tag(hub, call):
    hub.add("ann/tagged", {"README.md": b"---\nlibrary_name: flows\ntags:\n- toy\n---\n"})
    hub.add("bob/tagged", {}, tags=("toy",))
    hub.add("ann/hidden", {}, private=True, tags=("toy",))
    public, own, full = call(
        "sorted(m.id for m in api.list_models(author='ann', filter='toy'))",
        "sorted(m.id for m in api.list_models(author='ann', filter='toy', token='secret'))",
        "[(m.sha, m.tags) for m in api.list_models(filter='flows', full=True)]",
    )
    assert (public, own) == (["ann/tagged"], ["ann/hidden", "ann/tagged"])
    assert full == [[hub.commits("ann/tagged")[0], ["toy", "flows"]]]
