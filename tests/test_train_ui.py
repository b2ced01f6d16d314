"""The Train tab behind its page: pictures as the network sees them, runs, and whose the result is."""

import base64
import inspect
import io
import json
import math
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from gradio.context import LocalContext
from gradio_client import Client, handle_file
from PIL import Image, ImageDraw

from flowdemo import checkpoints, settings, visitors
from flowdemo.checkpoints import load, read_config, save
from flowdemo.compare import Spec, compare, resolve
from flowdemo.data.drawn import to_digit
from flowdemo.data.pictures import Pictures
from flowdemo.training.bundled import read_recipe
from flowdemo.training.finetune import Tuned, Wish
from flowdemo.training.trainer import Progress
from flowdemo.ui import (
    app,
    compare_events,
    generate_events,
    shelf,
    text,
    train,
    train_api,
    train_events,
    train_live,
    train_open,
    train_tab,
)
from flowdemo.ui.controls import properties
from flowdemo.ui.generate import default_choice
from flowdemo.ui.lab_desk import Desk
from flowdemo.ui.models import by_data, label_of, operations_of
from flowdemo.ui.train import run
from flowdemo.ui.train_events import add_drawing, add_files, add_place, press, shown
from flowdemo.ui.train_live import Clock, Curve
from flowdemo.ui.train_pictures import Basket, sheet
from flowdemo.ui.work import Stopped, Switch
from tests.conftest import make_model

WISH = Wish("mine", steps=3)
VALUES = ("mine", 3, 5e-4, "nothing", 0, 1)
MARKUP = "<img src=x>"


def drawn(k=0) -> Image.Image:
    """A cross on white."""
    picture = Image.new("RGB", (280, 280), "white")
    lines = [(60 + 3 * k, 60, 220, 210), (210, 70, 60, 200)]
    for line in lines:
        ImageDraw.Draw(picture).line(line, fill="black", width=18)
    return picture


def png(picture) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def pad(k=0) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(drawn(k))).decode()}"


def zip_of(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for k, name in enumerate(names):
            file.writestr(name, png(drawn(k)))
    return path


def basket_of(n=3, name="cross") -> Basket:
    basket = Basket()
    for k in range(n):
        add_drawing(basket, "tiny", name, pad(k))
    return basket


@pytest.fixture
def tiny(trained):
    """A small checkpoint of digits that may be fine-tuned."""
    save(make_model("mnist", "meanflow", guidance_input=True), trained / "tiny")
    return trained


@pytest.fixture
def public(monkeypatch):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    monkeypatch.setenv("FLOWDEMO_ALLOW_TRAINING", "1")


class Visitor:
    """Somebody's requests."""

    def __init__(self, name):
        self.request = SimpleNamespace(session_hash=name)

    def __enter__(self):
        self.token = LocalContext.request.set(self.request)

    def __exit__(self, *error):
        LocalContext.request.reset(self.token)


def test_drawings_uploads_and_archives_are_joined_as_the_network_sees_them(tiny, tmp_path):
    basket = basket_of(2)
    (tmp_path / "up.png").write_bytes(png(drawn(2)))
    names = ["ring/a.png", "ring/b.png", "cross/c.png"]
    files = [str(tmp_path / "up.png"), str(zip_of(tmp_path / "set.zip", names))]
    said, contact, *_ = add_files(basket, "tiny", "cross", files)
    assert basket.counts == {"cross": 4, "ring": 2} and said == "6 pictures of 2 classes."
    assert "cross (new): 4 pictures" in contact and contact.count("<figure>") == 2
    pixels, labels = basket.lesson()
    assert labels == ["cross"] * 4 + ["ring"] * 2
    assert pixels.shape == (6, 1, 28, 28) and (pixels[0] - to_digit(drawn())).abs().max() < 1 / 255


def test_the_sheet_shows_the_very_pixels_that_are_learnt(tiny):
    basket = basket_of(2)
    data = sheet(basket, ()).split("base64,")[1].split('"')[0]
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.array_equal(seen[:56:2, :56:2], basket.parts[0].images[0, 0].numpy())
    assert np.array_equal(seen[:56:2, 58:114:2], basket.parts[1].images[0, 0].numpy())


def test_the_sheet_of_large_pictures_is_small():
    noise = torch.randint(256, (40, 3, 128, 256), generator=torch.Generator().manual_seed(0))
    names = tuple("abcdefghijklmno")
    labels = torch.arange(40) % len(names)
    basket = Basket("photos", (3, 128, 256), [Pictures(noise.byte(), labels, names)])
    page = sheet(basket, ())
    data = page.split("base64,")[1].split('"')[0]
    width, height = Image.open(io.BytesIO(base64.b64decode(data))).size
    assert width < 3 * (64 + 2) + 6 and height < 32 + 6  # three pictures of the first class
    many = replace(
        basket.parts[0], images=noise.byte().repeat(15, 1, 1, 1), labels=labels.repeat(15)
    )
    basket.parts = [many]
    page = sheet(basket, ())
    assert len(page) < 300_000 and "45 pictures, the first 12 of them" in page


def test_an_archive_without_folders_and_a_folder_are_of_the_class_that_was_given(tiny, tmp_path):
    basket = Basket()
    add_files(basket, "tiny", "heart", [str(zip_of(tmp_path / "flat.zip", ["a.png", "b.png"]))])
    assert basket.counts == {"heart": 2}
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png(drawn()))
    *_, last = add_place(Switch(), basket, "tiny", "star", str(tmp_path / "photos"), 10)
    assert basket.counts == {"heart": 2, "star": 1} and "3 pictures of 2 classes" in last[0]


def test_a_picture_that_is_ready_stays_as_it_is(tiny, tmp_path):
    pixels = torch.randint(256, (28, 28), generator=torch.Generator().manual_seed(0)).byte()
    Image.fromarray(pixels.numpy()).save(tmp_path / "a.png")
    basket = Basket()
    add_files(basket, "tiny", "noise", [str(tmp_path / "a.png")])
    assert torch.equal(basket.parts[0].images[0, 0], pixels)


def test_all_files_of_an_upload_share_the_time_for_reading(tiny, tmp_path, monkeypatch):
    files = [zip_of(tmp_path / f"{k}.zip", ["a.png"]) for k in range(3)]
    begun = []

    def counted():
        begun.append(1)
        return math.inf

    monkeypatch.setattr("flowdemo.data.pictures.deadline", counted)
    monkeypatch.setattr("flowdemo.ui.train_pictures.deadline", counted)
    Basket().upload(files, "x")
    assert begun == [1]


@pytest.mark.parametrize("changed", [("mnist", (3, 32, 32)), ("fashion-mnist", (1, 28, 28))])
def test_pictures_read_for_another_network_are_not_added(tiny, tmp_path, changed):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png(drawn()))
    basket = Basket("mnist")
    states = basket.read(str(tmp_path / "photos"), "star", 10)
    assert next(states) == 0
    basket.data, basket.shape = changed  # what `suit` does for a checkpoint that is chosen now
    with pytest.raises(ValueError, match="another checkpoint was chosen meanwhile"):
        next(states)
    assert len(basket) == 0


def test_what_was_added_can_be_taken_away_again(tiny, tmp_path):
    basket = basket_of(2)
    add_files(basket, "tiny", "x", [str(zip_of(tmp_path / "a.zip", ["ring/a.png", "cross/b.png"]))])
    train_events.drop(basket, "tiny", "cross")
    assert basket.counts == {"ring": 1}
    add_drawing(basket, "tiny", "cross", pad())
    train_events.undo(basket, "tiny")
    assert basket.counts == {"ring": 1}
    _, contact, _, gone, tools = train_events.clear(basket, "tiny")
    assert (len(basket), contact, gone["choices"], tools["visible"]) == (0, "", [], False)
    train_events.undo(basket, "tiny")  # of nothing


@pytest.mark.parametrize(
    "work, message",
    [
        (lambda b: add_drawing(b, "tiny", "cross", ""), "nothing is drawn"),
        (lambda b: add_drawing(b, "tiny", "cross", "data:image/png;base64,AAAA"), "cannot be used"),
        (lambda b: add_drawing(b, "tiny", " ", pad()), "1 to 60 characters"),
        (lambda b: add_drawing(b, "moons-meanflow", "cross", pad()), "cannot be fine-tuned"),
        (lambda b: add_files(b, "tiny", "cross", None), "choose pictures"),
        (lambda b: list(add_place(Switch(), b, "tiny", "x", " ", 5)), "name a data set"),
        (lambda b: list(add_place(Switch(), b, "tiny", "x", "nowhere", 5)), "'nowhere' is no file"),
    ],
)
def test_what_cannot_be_added_is_one_line_and_changes_nothing(tiny, work, message):
    basket = basket_of(1)
    with pytest.raises(gr.Error, match=message) as caught:
        work(basket)
    assert len(basket) == 1 and "\n" not in str(caught.value)


def test_pictures_for_a_network_of_other_data_are_dropped_with_a_word(tiny):
    save(make_model("cifar10"), tiny / "colours")
    basket = basket_of(2)
    said, contact, *_, name = train_events.choose_model(basket, "colours")
    assert "2 pictures are dropped" in said and contact == "" and name == "colours-mine"
    assert basket.shape == (3, 32, 32)
    add_drawing(basket, "colours", "cross", pad())
    assert basket.lesson()[0].shape == (1, 3, 32, 32)


def test_markup_in_names_is_text(tiny):
    basket = basket_of(1, MARKUP)
    said, contact, *_ = shown(basket, "tiny", MARKUP)
    assert MARKUP not in said + contact and "&lt;img" in contact
    *_, last = run(WISH, "tiny", basket)
    assert MARKUP not in last.samples + last.numbers


def test_only_networks_that_can_learn_are_offered(tiny):
    save(make_model("mnist", "reflow"), tiny / "pairs")
    save(make_model("moons"), tiny / "points")
    fixed = make_model("mnist", "meanflow").config
    plan = read_recipe("mnist-meanflow", ["net.guidance=false", "guidance=[1,1]", "teacher=null",
                                          "meanflow.omega=2"])  # fmt: skip
    trained_in = fixed.model_copy(update={"recipe": plan})
    save(replace(make_model("mnist", "meanflow"), config=trained_in), tiny / "guided")
    assert "guided" in by_data()["mnist"]["meanflow"]
    assert train.offered() == ["mnist-meanflow", "mnist-flow-matching", "tiny"]


def test_a_step_that_is_left_out_does_not_end_the_curve():
    curve = Curve()
    for step, loss in enumerate((1.0, float("nan"), 2.0), start=1):
        curve = curve.then(Progress(step, 3, loss, loss, 0.0, 0.0, None, None, None))
    assert [step for step, *_ in curve.points] == [1, 3]
    assert curve.mean == pytest.approx((1.05, 1.05))


def test_what_went_wrong_is_said_with_the_result(tiny):
    model = make_model("mnist", "meanflow", guidance_input=True)
    cost = {"images_seen": 144, "hours": 0, "machine": "here"}
    model = replace(model, config=model.config.model_copy(update={"training": cost}))
    last = Progress(3, 3, 1.0, 1.0, 0.0, 0.0, None, None, None)
    tuned = Tuned(model, None, None, "too fast")
    words = train.finished(tuned, replace(WISH, name="mine"), ["7"], Curve(), last).words
    assert words.startswith("Too fast. Done: mine")


def test_a_run_ends_as_a_checkpoint_that_every_tab_takes(tiny):
    *views, last = run(WISH, "tiny", basket_of())
    assert any("Rehearsing" in view.words for view in views)
    assert any(view.samples and "cross (learning)" in view.samples for view in views)
    assert [step for step, *_ in last.curve.points] == [1, 2, 3]
    config = read_config(tiny / "mine")
    assert config.classes == (*"0123456789", "cross") and config.finetune.start == "tiny"
    assert "mine" in by_data()["mnist"]["meanflow"]
    _, _, models = generate_events.refresh("mine")
    assert ("mine", "mine") in models["choices"]
    assert "cross" in properties(default_choice("mine"))["label"]["choices"]
    rows = list(compare(*resolve([Spec("tiny"), Spec("mine")], load), 3))
    assert [row.samples.labels.tolist() for row in rows] == [[0, 1, 2]] * 2
    report = last.report
    assert (report["name"], report["steps"], report["images_seen"]) == ("mine", 3, 3 * 48)
    assert 0 <= report["accuracy_after"] <= 1 and f"{report['accuracy_after']:.1%}" in last.numbers


def test_a_press_updates_the_page_and_its_last_update_can_be_opened(tiny):
    states = list(press(Switch(), basket_of(), "tiny", *VALUES))
    first = dict(zip(train_events.Results.__dataclass_fields__, states[0], strict=True))
    last = dict(zip(train_events.Results.__dataclass_fields__, states[-1], strict=True))
    assert first["after"]["visible"] is False and last["after"]["visible"] is True
    assert list(last["loss"].columns) == ["step", "loss"] and len(last["error"]) == 3
    assert (last["name"], last["wished"]) == ("mine", "tiny-mine")
    with zipfile.ZipFile(last["files"]) as file:
        assert sorted(file.namelist()) == [
            "mine/README.md", "mine/config.json", "mine/model.safetensors",
        ]  # fmt: skip
    switch = Switch()
    tabs, *controls = train_open.open_in_generate(switch, "mine")
    assert tabs.selected == "generate" and controls[0]["value"] == "mine"
    assert controls[2]["value"] == "cross" and switch.newest == 2
    tabs, rows, *_ = train_open.open_in_compare(switch, "mine")
    opened = compare_events.opened(SimpleNamespace(query_params={}), switch, [], rows, 2, "all", 1)
    assert all(isinstance(x, dict) for state in opened for x in state)  # nothing runs a second time
    assert rows.splitlines() == ["tiny:average:2:1", "mine:average:2:1"]


def test_a_name_that_is_taken_gets_a_number_and_one_that_is_none_is_refused(tiny):
    basket = basket_of(1)
    names = [list(run(replace(WISH, steps=1), "tiny", basket))[-1].name for _ in range(2)]
    assert names == ["mine", "mine-2"]
    assert train.fresh_name("x-mine") == "x-mine" and train.fresh_name("a/B-mine-3") == "b-mine"
    with pytest.raises(gr.Error, match="is no name"):
        list(press(Switch(), basket, "tiny", "../x", *VALUES[1:]))


def test_stop_keeps_what_is_learnt_and_before_that_nothing(tiny):
    left = iter([True] * 14)  # ten classes, and a few steps
    *_, last = run(replace(WISH, steps=500), "tiny", basket_of(), lambda: next(left, False))
    assert last.name == "mine" and 1 <= last.report["steps"] < 20
    left = iter([True] * 4)
    with pytest.raises(Stopped):
        list(run(replace(WISH, name="none"), "tiny", basket_of(), lambda: next(left, False)))
    switch = Switch()
    switch.begin()
    switch.stop()  # while it waits for its turn
    states = list(press(switch, basket_of(), "tiny", "none", *VALUES[1:]))
    assert states[-1][0] == text.STOPPED and not (tiny / "none").exists()


def test_without_pictures_nothing_begins(tiny):
    with pytest.raises(gr.Error, match="add pictures first"):
        list(press(Switch(), Basket(), "tiny", *VALUES))


def test_a_curve_is_thinned_out_and_drawing_leaves_the_time_to_training(monkeypatch):
    curve = Curve()
    for step in range(1, 1300):
        curve = curve.then(Progress(step, 1300, 1.0, step, 0.0, 0.0, None, None, None))
    steps = [step for step, *_ in curve.points]
    assert len(steps) <= train_live.POINTS and steps == sorted(set(steps)) and steps[-1] > 1280
    assert curve.points[-1][1] == pytest.approx(1) and curve.points[-1][2] < 1290
    now = [0.0]
    monkeypatch.setattr(train_live.time, "perf_counter", lambda: now[0])
    clock = Clock()

    def slow():
        now[0] += 3
        return "drawn"

    assert clock.draw(slow) == "drawn"
    for passed, due in ((15, None), (6, "drawn")):
        now[0] += passed
        assert clock.draw(slow) == due


def test_strangers_train_only_where_that_is_allowed(tiny, public, monkeypatch):
    basket = basket_of(1)
    monkeypatch.delenv("FLOWDEMO_ALLOW_TRAINING")
    with pytest.raises(gr.Error, match="FLOWDEMO_ALLOW_TRAINING=1"):
        list(press(Switch(), basket, "tiny", *VALUES))
    monkeypatch.setenv("FLOWDEMO_ALLOW_TRAINING", "1")
    with pytest.raises(gr.Error, match="at most 600 steps here, not 601"):
        list(press(Switch(), basket, "tiny", "mine", 601, *VALUES[2:]))
    assert train.allowed(Wish("a", steps=600)).seconds == 180
    assert train.allowed(Wish("a", seconds=30)).seconds == 30


def test_strangers_train_only_networks_about_as_cheap_as_the_shipped_ones(
    tiny, public, monkeypatch
):
    shipped = train.start_of("mnist-meanflow")
    assert operations_of(shipped) * 2.5 < train.COSTLIEST
    monkeypatch.setattr(train, "COSTLIEST", operations_of(load("tiny")) - 1)
    with pytest.raises(ValueError, match="tiny is too large to be trained on this public page"):
        list(run(WISH, "tiny", basket_of(1)))
    monkeypatch.setattr(train, "COSTLIEST", 10**12)
    monkeypatch.setattr("flowdemo.model.LARGE", 10)
    with pytest.raises(ValueError, match="too large"):
        train.start_of("tiny")
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "0")
    assert train.start_of("tiny").config.name == "tiny"


@pytest.mark.parametrize("allow", ["0", "1"])
def test_the_tab_of_a_public_page_says_why_nothing_is_trained(tiny, public, monkeypatch, allow):
    monkeypatch.setenv("FLOWDEMO_ALLOW_TRAINING", allow)
    place = SimpleNamespace(
        switch=gr.State(0), controls=SimpleNamespace(all=[]), after=str, offer=str
    )
    with gr.Blocks() as page, gr.Tabs() as tabs, gr.Tab() as tab:
        train_tab.build(tab, tabs, gr.State(Desk()), place, place)
    ids = {getattr(block, "elem_id", None) for block in page.blocks.values()}
    assert ("f-refused" in ids, "f-go" in ids) == (allow == "0", allow == "1")
    lanes = {fn.name: (fn.concurrency_id, fn.concurrency_limit) for fn in page.fns.values()}
    if allow == "1":
        assert lanes["add_files"] == lanes["add_place"] == ("pictures", 2)


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
    monkeypatch.setattr("flowdemo.settings.max_pictures", lambda shape: 2)
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
        *_, last = run(WISH, "tiny", basket_of())
        assert last.name in by_data()["mnist"]["meanflow"] and label_of(last.name) == "mine (yours)"
        assert last.name.startswith("mine-") and last.name not in last.numbers + last.words
        assert shelf.sendable(Desk()) == [last.name]
        assert last.name not in json.dumps(shelf.rows())
    with bob:
        assert last.name not in by_data()["mnist"]["meanflow"] and shelf.sendable(Desk()) == []
    assert set(checkpoints.folders()) == before
    assert load(last.name).config.classes[-1] == "cross"  # whoever knows the name may have it
    assert read_config(checkpoints.folder_of(last.name)).name == "mine"
    for guess in ("mine", "mine-", f"mine-{'0' * 20}", f"../.visitors/{last.name}", ".visitors"):
        with pytest.raises(ValueError, match="no model"):
            load(guess)


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
        lambda: next(run(WISH, "tiny", basket_of(1))),  # before anything is computed
    ):
        with pytest.raises(ValueError, match=r"keeps 3 results of visitors, .* try again later"):
            work()
    assert sorted((tiny / ".visitors").iterdir()) == kept and len(kept) == 3
    os.utime(kept[0], (0, 0))
    assert checkpoints.find(checkpoints.save_for_visitor(model, "a")) and not kept[0].exists()


@pytest.fixture(scope="module")
def server():
    demo = app.launch(wait=False)
    yield demo.local_url
    demo.close()


def test_finetune_over_http_returns_a_checkpoint_and_numbers(server, tiny, tmp_path):
    files = []
    for k in range(2):
        (tmp_path / f"{k}.png").write_bytes(png(drawn(k)))
        files.append(handle_file(str(tmp_path / f"{k}.png")))
    client = Client(server, verbose=False)
    file, numbers = client.predict(
        model="tiny", files=files, class_name="cross", name="over-http", steps=2,
        api_name="/finetune",
    )  # fmt: skip
    assert set(numbers) == {
        "name", "classes", "accuracy_before", "accuracy_after", "steps", "seconds", "images_seen",
    }  # fmt: skip
    assert numbers["name"] == "over-http" and numbers["classes"][-1] == "cross"
    assert numbers["steps"] == 2 and numbers["images_seen"] == 96
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "out")
    assert load_folder_classes(tmp_path / "out" / "over-http") == (*"0123456789", "cross")
    _, made = client.predict(model="over-http", n=2, label="cross", api_name="/generate")
    assert made["model"] == "over-http"


def test_the_endpoint_begins_with_what_a_wish_is_by_itself():
    begins = {k: p.default for k, p in inspect.signature(train_api.finetune).parameters.items()}
    own = Wish("x")
    for key in ("steps", "learning_rate", "frozen", "seed"):
        assert begins[key] == getattr(own, key)


def load_folder_classes(folder):
    return checkpoints.load_folder(folder).config.classes


def test_finetune_over_http_reads_a_data_set_and_says_what_is_wrong(
    server, tiny, tmp_path, monkeypatch
):
    for name in ("ring", "7"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "a.png").write_bytes(png(drawn()))
    client = Client(server, verbose=False)
    asked = {"model": "tiny", "data": str(tmp_path / "set"), "steps": 1, "api_name": "/finetune"}
    _, numbers = client.predict(**asked)
    assert numbers["name"] == "tiny-mine" and numbers["classes"] == [*"0123456789", "ring"]
    for changes, message in (
        ({"data": ""}, "add pictures first"),
        ({"model": "moons-meanflow"}, "cannot be fine-tuned"),
        ({"steps": 10_000}, "at most 5000 steps"),
        ({"frozen": "all"}, "frozen must be one of"),
        ({"name": "A"}, "is no name"),
    ):
        with pytest.raises(Exception, match=message):
            client.predict(**asked | changes)
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    with pytest.raises(Exception, match="nothing is trained on pictures here"):
        client.predict(**asked)
