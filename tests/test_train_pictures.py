"""Pictures that are added in the Train tab: as the network sees them, and what is refused."""

import base64
import io
import itertools
import time
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from flowdemo.checkpoints import save
from flowdemo.data.digits import to_digit
from flowdemo.data.pictures import Pictures
from flowdemo.ui.shared.work import Switch
from flowdemo.ui.train import controls as train_controls
from flowdemo.ui.train.controls import add_drawing, add_files, add_place, gathered
from flowdemo.ui.train.pictures import Basket, sheet
from flowdemo.ui.train.view import config_of
from tests.conftest import make_model
from tests.drawings import PLAN, basket_of, drawn, pad, png, run, zip_of

MARKUP = "<img src=x>"


def bring(basket, name, files) -> list:
    """The updates of an upload."""
    return list(add_files(Switch(), basket, "tiny", name, files))


def test_drawings_uploads_and_archives_are_joined_as_the_network_sees_them(tiny, tmp_path):
    basket = basket_of(2)
    (tmp_path / "up.png").write_bytes(png(drawn(2)))
    names = ["ring/a.png", "ring/b.png", "cross/c.png"]
    files = [str(tmp_path / "up.png"), str(zip_of(tmp_path / "set.zip", names))]
    *_, (said, contact, *_, files_left) = bring(basket, "cross", files)
    assert files_left is None
    assert basket.counts == {"cross": 4, "ring": 2} and said == "6 pictures of 2 classes."
    assert "cross (new): 4 pictures" in contact and contact.count("<figure>") == 2
    pixels, labels = basket.lesson(config_of("tiny"))
    assert labels == ["cross"] * 4 + ["ring"] * 2
    assert pixels.shape == (6, 1, 28, 28) and pixels.dtype == torch.uint8
    assert (pixels[0] / 255 - to_digit(drawn())).abs().max() < 1 / 255


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


@pytest.mark.parametrize(
    ("archive", "names", "counts"),
    [
        ("flat", ["a.png", "b.png"], {"heart": 2}),
        ("all", ["a.png", "b.png"], {"heart": 2}),  # no name of a class
        ("x" * 61, ["a.png", "b.png"], {"heart": 2}),  # nor this
        ("cats", ["cats/a.png", "cats/b.png"], {"cats": 2}),
    ],
)
def test_an_archive_has_the_class_that_was_given_or_its_folders(
    tiny, tmp_path, archive, names, counts
):
    basket, file = Basket(), zip_of(tmp_path / f"{archive}.zip", names)
    bring(basket, "heart", [str(file)])
    assert basket.counts == counts
    if archive not in ("flat", "cats"):
        with pytest.raises(ValueError, match="a class "):
            list(basket.upload([file], " "))


def test_a_folder_has_the_class_that_was_given_or_its_folders(tiny, tmp_path, monkeypatch):
    (tmp_path / "dogs" / "dogs").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    for place in ("dogs/dogs", "photos"):
        (tmp_path / place / "a.png").write_bytes(png(drawn()))
    monkeypatch.chdir(tmp_path / "photos")
    basket = Basket()
    for place, name in ((tmp_path / "dogs", "star"), (tmp_path / "photos", "heart"), (".", "sun")):
        *_, last = add_place(Switch(), basket, "tiny", name, str(place), 10)
    assert basket.counts == {"dogs": 1, "heart": 1, "sun": 1}
    assert "3 pictures of 3 classes" in last[0]


def test_all_files_of_an_upload_share_the_time_for_reading(tiny, tmp_path, monkeypatch):
    """Public pages give 20 seconds; here each look at the clock takes one."""
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    files = [zip_of(tmp_path / f"{k}.zip", ["a.png"]) for k in range(30)]
    assert list(Basket().upload(files[:3], "x"))
    with pytest.raises(ValueError, match="too long after"):
        list(Basket().upload(files, "x"))


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
    bring(basket, "x", [str(zip_of(tmp_path / "a.zip", ["ring/a.png", "cross/b.png"]))])
    train_controls.drop(basket, "tiny", "cross")
    assert basket.counts == {"ring": 1}
    add_drawing(basket, "tiny", "cross", pad())
    train_controls.undo(basket, "tiny")
    assert basket.counts == {"ring": 1}
    _, contact, _, gone, tools = train_controls.clear(basket, "tiny")
    assert (len(basket), contact, gone["choices"], tools["visible"]) == (0, "", [], False)
    train_controls.undo(basket, "tiny")  # of nothing
    for names in (["ring/a.png"], ["cross/a.png", "ring/b.png"], ["square/a.png"]):
        bring(basket, "x", [str(zip_of(tmp_path / "b.zip", names))])
    train_controls.drop(basket, "tiny", "cross")
    train_controls.undo(basket, "tiny")  # what was added last, as before
    assert basket.counts == {"ring": 2}


@pytest.mark.parametrize(
    "work, message",
    [
        (lambda b: add_drawing(b, "tiny", "cross", ""), "nothing is drawn"),
        (lambda b: add_drawing(b, "tiny", "cross", "data:image/png;base64,AAAA"), "cannot be used"),
        (lambda b: add_drawing(b, "tiny", " ", pad()), "1 to 60 characters"),
        (lambda b: add_drawing(b, "moons-meanflow", "cross", pad()), "cannot be fine-tuned"),
        (lambda b: bring(b, "cross", None), "choose pictures"),
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
    said, contact, *_, name, steps = train_controls.choose_model(basket, "colours")
    assert (
        "2 pictures are dropped" in said
        and contact == ""
        and (name, steps) == ("colours-mine", 200)
    )
    assert basket.shape == (3, 32, 32)
    add_drawing(basket, "colours", "cross", pad())
    assert basket.lesson(config_of("colours"))[0].shape == (1, 3, 32, 32)


def test_markup_in_names_is_text(tiny):
    basket = basket_of(1, MARKUP)
    said, contact, *_ = gathered(basket, "tiny", MARKUP)
    assert MARKUP not in said + contact and "&lt;img" in contact
    *_, last = run(PLAN, "tiny", basket)
    assert MARKUP not in last.samples + last.numbers


def test_what_is_stopped_or_fails_is_not_added_and_the_line_says_what_there_is(tiny, tmp_path):
    """A photo album takes long: of its last pictures, too, nothing is kept after Stop."""
    for k in range(101):
        (tmp_path / "ring").mkdir(exist_ok=True)
        (tmp_path / "ring" / f"{k}.png").write_bytes(png(drawn()))
    album = str(zip_of(tmp_path / "album.zip", [f"ring/{k}.png" for k in range(101)]))
    for work, given in ((add_files, [[album]]), (add_place, [str(tmp_path), 200])):
        basket, switch = basket_of(1), Switch()
        states = work(switch, basket, "tiny", "x", *given)
        said = [next(states)[0], next(states)[0]]
        assert said == ["0 pictures looked at ...", "100 pictures looked at ..."]
        switch.stop()
        assert next(states)[0] == "Stopped. 1 picture of 1 class." and len(basket) == 1
        states = work(Switch(), basket, "tiny", "x", *given)
        assert [*states][-1][0] == "102 pictures of 2 classes."
    wrong = tmp_path / "wrong.zip"
    wrong.write_bytes(b"no zip")
    states = add_files(Switch(), basket, "tiny", "x", [str(wrong)])
    assert "looked at" in next(states)[0]
    last = next(states)
    assert last[0] == "102 pictures of 2 classes." and last[-1] == gr.skip()
    with pytest.raises(gr.Error, match="zip"):
        next(states)
