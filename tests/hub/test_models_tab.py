"""The shelf: where models are, what is shown of them, and who sends what by which token."""

import json
from pathlib import Path

import gradio as gr
import pytest
import torch

import flowdemo
from flowdemo import checkpoints
from flowdemo.checkpoints import CONFIG, WEIGHTS, cache
from flowdemo.hub import models as inventory
from flowdemo.hub.client import Progress
from flowdemo.ui.lab.workspace import Workspace
from flowdemo.ui.models import events as shelf_events
from flowdemo.ui.models import listing as shelf
from flowdemo.ui.shared import models
from flowdemo.ui.shared.models import bar, fetching, label_of
from flowdemo.ui.shared.work import Stopped, Switch
from tests.conftest import make_model
from tests.hub.fixtures import REPO, TOKEN, fetched, files_of, pulled

YARR, MARKUP = "mnist-flow-matching-yarr", "<img src=x onerror=alert(1)>"


def yes():
    return True


def no():
    return False


def row_of(name):
    return next(row for row in inventory.descriptions() if row["name"] == name)


def test_a_description_says_where_a_model_is(hub, trained):
    sha = hub.add(REPO, files_of())
    fetched(REPO)
    checkpoints.save(make_model(), trained / "mine")
    checkpoints.save(make_model(), trained / "moons-reflow")
    where = {name: row_of(name)["where"] for name in ("moons-meanflow", "mine", REPO, YARR)}
    assert list(where.values()) == ["shipped", "trained here", "cached", "on the Hub"]
    assert row_of("moons-reflow")["where"] == "trained here, hides the shipped one"
    assert (row_of(REPO)["repo"], row_of(REPO)["revision"]) == (REPO, sha)
    assert row_of(REPO)["bytes"] == len(hub.files(REPO)[WEIGHTS])
    assert (row_of(YARR)["license"], row_of(YARR)["repo"]) == ("unlicense", "benjamin-paine/yarr")


def test_a_converted_model_is_cached_and_names_its_file(hub, offer):
    name = offer("yarr")
    assert row_of(name)["where"] == "on the Hub" and "\u2193" in label_of(name)
    fetched(name)
    row = row_of(name)
    assert (row["where"], row["repo"], label_of(name)) == ("cached", "eve/yarr", name)
    assert row["revision"] == hub.commits("eve/yarr")[-1]
    inventory.delete(name)
    assert row_of(name)["where"] == "on the Hub"


def test_looking_finds_the_checkpoints_of_a_namespace_that_are_not_here(hub):
    hub.add(REPO, files_of())
    rings = files_of(make_model("rings", "meanflow"), "ann/rings")
    hub.add("ann/rings", rings, private=True, tags=("license:mit",))
    hub.add("ann/other", {"a.txt": b"1"})
    hub.add("bob/moons", files_of())
    fetched(REPO)
    *progress, found = shelf.looking(" ann ", yes)
    assert all(isinstance(state, Progress) for state in progress)
    (row,) = found
    shown = [row[key] for key in ("name", "where", "data", "method", "license")]
    assert shown == ["ann/rings", "on the Hub, private", "rings", "meanflow", "mit"]
    assert "ann/rings" in shelf.table(shelf.rows(found))
    with pytest.raises(ValueError, match="set FLOWDEMO_HUB_NAMESPACE"):
        list(shelf.looking(" ", yes))


def test_what_was_found_is_offered_by_every_tab_but_not_what_is_too_large(hub, monkeypatch):
    monkeypatch.setattr(inventory, "OFFERED", {})
    hub.add("ann/rings", files_of(make_model("rings", "meanflow"), "ann/rings"))
    huge = {"config.json": b" " * 1_200_000}
    hub.add("ann/huge", huge, tags=("flowdemo",))
    *_, found = shelf.looking("ann", yes)
    assert {row["name"] for row in found} == {"ann/rings", "ann/huge"}
    assert "ann/rings" in models.by_data()["rings"]["meanflow"]
    assert models.label_of("ann/rings") == "ann/rings \u2193"
    assert models.known("ann/rings").name == "ann/rings"
    assert "ann/huge" not in models.configs()
    asked = [path for method, path in hub.requests if method == "GET" and "resolve" in path]
    assert asked and not any("ann/huge" in path for path in asked)


def test_deleting_removes_the_files_but_not_those_that_another_name_stands_for(hub):
    sha = hub.add(REPO, files_of())
    fetched(REPO)
    pulled(f"{REPO}@{sha}")
    files = Path(checkpoints.folders()[REPO])
    inventory.delete(REPO)
    assert REPO not in flowdemo.models() and (files / WEIGHTS).is_file()
    hub.clear()
    assert flowdemo.load(f"{REPO}@{sha}") and hub.requests == []
    inventory.delete(f"{REPO}@{sha}")
    assert not files.exists() and not list(cache.root().parent.glob("hub/models--*/blobs/*"))
    assert not cache.records()


def test_what_ships_is_not_deleted_and_what_was_trained_here_is(trained):
    with pytest.raises(ValueError, match="moons-meanflow ships with FlowDemo and stays"):
        inventory.delete("moons-meanflow")
    checkpoints.save(make_model(), trained / "mine")
    inventory.delete("mine")
    assert not (trained / "mine").exists()
    with pytest.raises(ValueError, match="no model 'mine'"):
        inventory.delete("mine")


def test_verifying_says_what_was_checked_or_what_is_wrong(hub):
    hub.add(REPO, files_of())
    fetched(REPO)
    weights = checkpoints.folders()[REPO] / WEIGHTS
    said = inventory.verify(REPO)
    count = sum(p.numel() for p in make_model().net.parameters())
    assert f"{count:,} parameters" in said and "is the one in its config.json" in said
    assert checkpoints.sha256_of(weights) in said
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not the file that its config\.json describes"):
        inventory.verify(REPO)


def test_markup_in_a_row_is_text():
    keys = ("name", "where", "data", "license", "error", "method")
    row = dict.fromkeys(keys, MARKUP) | {"bytes": 1, "results": {}}
    assert "<img" not in shelf.table([row]) and "&lt;img" in shelf.table([row])
    assert "<img" not in bar(Progress(MARKUP, 0.5)) and 'value="0.500"' in bar(Progress("", 0.5))
    assert "<img" not in shelf_events.ask_delete(MARKUP)[1]


def test_a_broken_checkpoint_is_shown_by_its_error(trained):
    (trained / "bad").mkdir()
    (trained / "bad" / CONFIG).write_text(json.dumps({"schema_version": MARKUP}))
    known = shelf.rows()
    assert "is not known; update" in row_of("bad")["error"]
    assert "<img" not in shelf.table(known) + shelf.card_of("bad", known)


def with_strange_text(repo):
    """Files of a model whose texts are somebody's advertisement."""
    files, link = files_of(), "[log in](https://evil.example)"
    config = json.loads(files[CONFIG])
    origin = {"repo": f"a/b](https://evil.example) {link}", "file": link}
    config["origin"] = origin | {"revision": "0" * 40, "sha256": "0" * 64}
    config["recipe"] = json.loads(checkpoints.read_config(checkpoints.SHIPPED / "moons-meanflow")
                                  .recipe.model_dump_json())  # fmt: skip
    config["training"] = {"images_seen": 1, "hours": 1.0, "machine": f"{MARKUP} {link}"}
    return files | {CONFIG: json.dumps(config).encode(), "README.md": b"# evil.example"}


@pytest.mark.parametrize("text", ["README.md", CONFIG])
def test_a_card_shows_no_strangers_text(hub, text):
    strange = with_strange_text(REPO)
    hub.add(REPO, files_of() | {text: strange[text]})
    try:
        fetched(REPO)
    except ValueError:  # not had at all: just as well
        return
    card = shelf.card_of(REPO, shelf.rows())
    assert "**cached**" in card and "evil.example)" not in card and "<img" not in card
    assert "# evil" not in card


@pytest.mark.parametrize("work", ["pull", "look", "push", "fetch"])
def test_what_is_not_wanted_any_more_stops(hub, work):
    hub.add(REPO, files_of())
    workspace = Workspace(models={"a": make_model()})
    states = {
        "pull": shelf.pulling(REPO, no),
        "look": shelf.looking("ann", no),
        "push": shelf.pushing(workspace, "Lab: a", "ann/a", True, None, no),
        "fetch": fetching(["moons-reflow", REPO], no),
    }[work]
    with pytest.raises(Stopped):
        list(states)
    assert REPO not in flowdemo.models() and "ann/a" not in {name for _, name in hub.repos}


def test_a_model_of_the_lab_is_sent_and_comes_back(hub):
    model = make_model()
    workspace = Workspace(models={"mine": model})
    *_, last = shelf.pushing(workspace, "Lab: mine", "ann/lab", True, None, yes)
    assert last.share == 1 and "(private) is at" in last.words
    back = flowdemo.load("ann/lab")
    assert all(map(torch.equal, (p.half().float() for p in model.net.parameters()),
                   back.net.parameters()))  # fmt: skip
    with pytest.raises(ValueError, match="choose a model to send"):
        list(shelf.pushing(workspace, "moons-reflow", "ann/lab", True, None, yes))
    assert set(hub.heard) == {TOKEN}


def test_weights_of_others_are_not_sent_on(hub, offer, trained):
    name = offer("yarr")
    fetched(name)
    with pytest.raises(ValueError, match=r"was trained by others \(eve/yarr\)"), \
            inventory.parcel(name, "ann/yarr"):  # fmt: skip
        pass


@pytest.mark.parametrize("token", [None, False])
def test_strangers_send_nothing_without_their_own_token(hub, public, token):
    workspace = Workspace(models={"mine": make_model()})
    for send, by in ((shelf_events.push, token), (shelf_events.push_as_visitor, None)):
        with pytest.raises(gr.Error, match="Log in first"):
            list(send(Switch(), workspace, "Lab: mine", "ann/lab", True, by))
    assert hub.requests == []


def test_a_visitor_sends_by_the_own_token_and_never_by_the_machines(hub, public, trained):
    checkpoints.save(make_model(), trained / "owners")
    workspace = Workspace(models={"mine": make_model()})
    login = gr.OAuthToken(token="guest", scope="contribute-repos", expires_at=2**40)
    assert shelf.sendable(workspace) == ["Lab: mine"]
    *_, said = shelf_events.push_as_visitor(
        Switch(), workspace, "Lab: mine", "bob/lab", True, login
    )
    assert "bob/lab (private) is at" in said and set(hub.heard) == {"guest"}
    with pytest.raises(gr.Error, match="may not do that to 'ann/lab'"):
        list(shelf_events.push_as_visitor(Switch(), workspace, "Lab: mine", "ann/lab", True, login))
    with pytest.raises(gr.Error, match="choose a model to send"):
        list(shelf_events.push_as_visitor(Switch(), workspace, "owners", "bob/lab", True, login))
    assert set(hub.heard) == {"guest"}


def test_strangers_are_offered_what_this_machine_bears(public, monkeypatch):
    names = {row["name"] for row in shelf.rows()}
    assert YARR in names and "imagenet256-flow-matching-sit-xl" not in names
    assert "imagenet256-flow-matching-sit-s" in names
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    assert "imagenet256-flow-matching-sit-s" not in {row["name"] for row in shelf.rows()}
