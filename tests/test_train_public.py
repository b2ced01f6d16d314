"""Fine-tuning by strangers: what is allowed, and whose the result is."""

import json
import math
import os
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.context import LocalContext

from flowdemo import checkpoints, settings
from flowdemo import model as engine
from flowdemo.checkpoints import load, read_config, visitors
from flowdemo.training.finetune import FineTuning
from flowdemo.ui.lab.workspace import Workspace
from flowdemo.ui.models import listing as shelf
from flowdemo.ui.shared.models import by_data, label_of, operations_of
from flowdemo.ui.shared.work import Switch
from flowdemo.ui.train import tab as train_tab
from flowdemo.ui.train import view as train
from flowdemo.ui.train.controls import add_drawing, add_place
from flowdemo.ui.train.pictures import Basket
from tests.drawings import PLAN, VALUES, basket_of, drawn, pad, png, press, run


class Visitor:
    """Somebody's requests."""

    def __init__(self, name):
        self.request = SimpleNamespace(session_hash=name)

    def __enter__(self):
        self.token = LocalContext.request.set(self.request)

    def __exit__(self, *error):
        LocalContext.request.reset(self.token)


def test_strangers_train_only_where_that_is_allowed(tiny, public, monkeypatch):
    basket = basket_of(1)
    monkeypatch.delenv("FLOWDEMO_ALLOW_TRAINING")
    with pytest.raises(gr.Error, match="FLOWDEMO_ALLOW_TRAINING=1"):
        list(press(Switch(), None, basket, "tiny", *VALUES))
    monkeypatch.setenv("FLOWDEMO_ALLOW_TRAINING", "1")
    with pytest.raises(gr.Error, match="at most 600 steps here, not 601"):
        list(press(Switch(), None, basket, "tiny", "mine", 601, *VALUES[2:]))
    assert train.allowed(FineTuning("a", steps=600)).seconds == 180
    assert train.allowed(FineTuning("a", seconds=30)).seconds == 30


def test_strangers_train_only_networks_about_as_cheap_as_the_shipped_ones(
    tiny, public, monkeypatch
):
    shipped = train.start_of("mnist-meanflow")
    assert operations_of(shipped) * 2.5 < train.COSTLIEST
    monkeypatch.setattr(train, "COSTLIEST", operations_of(load("tiny")) - 1)
    with pytest.raises(ValueError, match="tiny is too large to be trained on this public page"):
        list(run(PLAN, "tiny", basket_of(1)))
    monkeypatch.setattr(train, "COSTLIEST", 10**12)
    monkeypatch.setattr(engine, "LARGE", 10)
    with pytest.raises(ValueError, match="too large"):
        train.start_of("tiny")
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "0")
    assert train.start_of("tiny").config.name == "tiny"


@pytest.mark.parametrize("allow", ["0", "1"])
def test_the_tab_of_a_public_page_says_why_nothing_is_trained(tiny, public, monkeypatch, allow):
    monkeypatch.setenv("FLOWDEMO_ALLOW_TRAINING", allow)
    runner = SimpleNamespace(switch=gr.State(0), after=str)
    place = SimpleNamespace(runner=runner, controls=SimpleNamespace(all=[]), offer=str)
    with gr.Blocks() as page, gr.Tabs() as tabs, gr.Tab() as tab:
        train_tab.build(tab, tabs, gr.State(Workspace()), place, place)
    ids = {getattr(block, "elem_id", None) for block in page.blocks.values()}
    assert ("f-refused" in ids, "f-go" in ids) == (allow == "0", allow == "1")
    lanes = {fn.name: (fn.concurrency_id, fn.concurrency_limit) for fn in page.fns.values()}
    if allow == "1":
        assert lanes["add_files"] == lanes["add_place"] == ("pictures", 2)


def test_whatever_trains_waits_in_one_queue(served):
    """The tab, the Lab, and the endpoints of both."""
    fns = [fn for fn in served.fns.values() if fn.concurrency_id == "train"]
    assert {fn.api_name for fn in fns} >= {"finetune", "lab_train"}
    assert len(fns) == 5  # and Train and Chain of the Lab, and Start of the tab
    assert all(fn.concurrency_limit == 1 and fn.queue is not False for fn in fns)


def test_strangers_bring_little_and_read_no_files_of_this_machine(
    tiny, public, tmp_path, monkeypatch
):
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring" / "a.png").write_bytes(png(drawn()))
    for path in (str(tmp_path), "/none", "~", "~root", "~nobody-of-that-name"):
        with pytest.raises(
            gr.Error, match=r"^'?here only mnist, .* are read: upload pictures instead"
        ):
            list(add_place(Switch(), Basket(), "tiny", "x", path, 5))
    monkeypatch.setattr(settings, "max_pictures", lambda shape: 2)
    basket = basket_of(2)
    with pytest.raises(gr.Error, match="3 pictures are too many: 2 at most"):
        add_drawing(basket, "tiny", "cross", pad())


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (3, 256, 256)])
def test_what_strangers_gather_takes_little_memory(public, shape):
    most = settings.max_pictures(shape)
    assert 250 <= most <= 2000 and most * math.prod(shape) <= 50_000_000


def test_a_strangers_result_is_that_strangers_alone(tiny, public):
    ann, bob = Visitor("ann"), Visitor("bob")
    before = set(checkpoints.folders())
    with ann:
        *_, last = run(PLAN, "tiny", basket_of())
        assert last.name in by_data()["mnist"]["meanflow"] and label_of(last.name) == "mine (yours)"
        assert last.name.startswith("mine-") and last.name not in last.numbers + last.note
        assert shelf.sendable(Workspace()) == [last.name]
        assert last.name not in json.dumps(shelf.rows())
    with bob:
        assert last.name not in by_data()["mnist"]["meanflow"] and shelf.sendable(Workspace()) == []
    assert set(checkpoints.folders()) == before
    assert load(last.name).config.classes[-1] == "cross"  # whoever knows the name may have it
    assert read_config(checkpoints.folder_of(last.name)).name == "mine"
    for guess in ("mine", "mine-", f"mine-{'0' * 20}", f"../.visitors/{last.name}", ".visitors"):
        with pytest.raises(ValueError, match="no model"):
            load(guess)


def test_a_strangers_results_have_names_of_their_own_and_keep_their_secret(tiny, public):
    with Visitor("ann"):
        first, second = (list(run(PLAN, "tiny", basket_of(1)))[-1].name for _ in range(2))
        assert [label_of(name) for name in (first, second)] == ["mine (yours)", "mine-2 (yours)"]
        assert train.fresh_name("x-mine") == "x-mine" and train.fresh_name(second) == "mine-2-mine"
        *_, last = run(replace(PLAN, name="again"), first, basket_of(1, "ring"))
    folder = checkpoints.folder_of(last.name)
    config = read_config(folder)
    assert config.finetune.start == "mine" and config.classes[-2:] == ("cross", "ring")
    told = "".join((folder / name).read_text() for name in ("config.json", "README.md"))
    assert first.rpartition("-")[2] not in told and first not in last.note + last.numbers


def test_what_strangers_made_goes_after_an_hour_and_makes_room(tiny, public, monkeypatch):
    model = load("tiny")
    names = [checkpoints.save_for_visitor(model, "a") for _ in range(3)]
    old = checkpoints.folder_of(names[0])
    os.utime(old, (0, 0))
    assert checkpoints.find(names[0]) is None and checkpoints.find(names[1])
    checkpoints.save_for_visitor(model, "a")
    assert not old.exists()
    monkeypatch.setattr(visitors, "MAX_KEPT", 3)
    kept = sorted((tiny / ".visitors").iterdir())
    for work in (
        lambda: checkpoints.save_for_visitor(model, "a"),
        lambda: next(run(PLAN, "tiny", basket_of(1))),  # before anything is computed
    ):
        with pytest.raises(ValueError, match=r"keeps 3 results of visitors, .* try again later"):
            work()
    assert sorted((tiny / ".visitors").iterdir()) == kept and len(kept) == 3
    os.utime(kept[0], (0, 0))
    assert checkpoints.find(checkpoints.save_for_visitor(model, "a")) and not kept[0].exists()
