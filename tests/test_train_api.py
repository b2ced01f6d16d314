"""Fine-tuning over HTTP."""

import inspect
import re
import time
import zipfile
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from flowdemo import checkpoints
from flowdemo.training.finetune import FineTuning
from flowdemo.ui.endpoints import finetune as train_api
from tests.drawings import drawn, png


def test_finetune_over_http_returns_a_checkpoint_and_numbers(server, tiny, tmp_path):
    files = []
    for k in range(2):
        (tmp_path / f"{k}.png").write_bytes(png(drawn(k)))
        files.append(handle_file(str(tmp_path / f"{k}.png")))
    client = Client(server, verbose=False)
    job = client.submit(
        model="tiny", files=files, class_name="cross", name="over-http", steps=2,
        api_name="/finetune",
    )  # fmt: skip
    file, numbers = job.result()
    _, told = job.outputs()[0]
    assert "Rehearsing" in told["status"]
    assert set(numbers) == {
        "name", "classes", "accuracy_before", "accuracy_after", "steps", "kept_step",
        "seconds", "images_seen",
    }  # fmt: skip
    assert numbers["name"] == "over-http" and numbers["classes"][-1] == "cross"
    assert numbers["steps"] == 2 and numbers["images_seen"] == 96
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "out")
    assert load_folder_classes(tmp_path / "out" / "over-http") == (*"0123456789", "cross")
    _, made = client.predict(model="over-http", n=2, label="cross", api_name="/generate")
    assert made["model"] == "over-http"


def test_a_strangers_result_over_http_is_offered_to_that_stranger(server, tiny, public, tmp_path):
    (tmp_path / "a.png").write_bytes(png(drawn()))
    ann, bob = Client(server, verbose=False), Client(server, verbose=False)
    asked = {"files": [handle_file(str(tmp_path / "a.png"))], "class_name": "cross", "steps": 1,
             "name": "mine", "api_name": "/finetune"}  # fmt: skip
    file, numbers = ann.predict(model="tiny", **asked)
    secret = numbers["name"]
    assert Path(file).name == "mine.zip" and re.fullmatch(r"mine-[0-9a-f]{20}", secret)
    _, again = ann.predict(model=secret, **asked)
    assert re.fullmatch(r"mine-2-[0-9a-f]{20}", again["name"])
    with pytest.raises(Exception, match="cannot be fine-tuned: choose one of the list"):
        bob.predict(model=secret, **asked)
    assert not {secret, "mine"} & {row["name"] for row in bob.predict(api_name="/models")}


def test_a_job_that_is_cancelled_ends_the_training(server, tiny, tmp_path):
    (tmp_path / "a.png").write_bytes(png(drawn()))
    client = Client(server, verbose=False)
    job = client.submit(
        model="tiny", files=[handle_file(str(tmp_path / "a.png"))], class_name="cross", steps=5000,
        name="long", api_name="/finetune",
    )  # fmt: skip
    while not any("Step" in told["status"] for _, told in job.outputs()):
        time.sleep(0.05)
    job.cancel()
    for _ in range(200):
        if checkpoints.find("long"):  # here what was learnt is kept
            break
        time.sleep(0.05)
    assert checkpoints.read_config(tiny / "long").training["images_seen"] < 5000 * 48


def test_the_endpoint_begins_with_what_a_wish_is_by_itself():
    begins = {k: p.default for k, p in inspect.signature(train_api.finetune).parameters.items()}
    own = FineTuning("x")
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
