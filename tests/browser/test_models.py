"""The Models tab in a real browser, with a Hub of the tests' own."""

import hashlib
import io
import re
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from safetensors.torch import load_file

from flowdemo import checkpoints
from flowdemo.checkpoints import cache
from flowdemo.hub import catalogue, models
from tests.browser import open_hidden_tab
from tests.hub import HubEndpoint

GOLDEN = Path(__file__).parent.parent / "golden" / "yarr.safetensors"
CLOTHES = "fashion-mnist-flow-matching-yarr"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with a checkpoint of ours, slow enough to be watched."""
    with HubEndpoint({"secret": "ann"}) as endpoint:
        for key, value in {
            "HF_ENDPOINT": endpoint.url,
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }.items():
            monkeypatch.setenv(key, value)
        with models.parcel("mnist-meanflow", "ann/digits") as folder:
            endpoint.add("ann/digits", {file.name: file.read_bytes() for file in folder.iterdir()})
        yield endpoint


@pytest.fixture
def shelf(hub, page):
    """A new visitor on the Models tab."""
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#m-table tbody tr")).not_to_have_count(0)
    return page


def ask_for(page: Page, repo: str) -> None:
    page.locator("#m-repo input, #m-repo textarea").fill(repo)
    page.locator("#m-pull-repo").click()


def test_a_repository_is_pulled_with_progress_and_every_tab_offers_it(hub, shelf):
    hub.slow("safetensors", 1_500_000)
    ask_for(shelf, "ann/digits")
    expect(shelf.locator("#m-status")).to_contain_text(re.compile(r"[1-3]\.\d of 3\.8 MB"))
    bar = shelf.locator("#m-status progress")
    seen = float(bar.get_attribute("value"))
    assert 0 < seen < 1
    expect(shelf.locator("#m-status")).to_contain_text("ann/digits is here")
    row = shelf.locator("#m-table tr", has_text="ann/digits")
    expect(row).to_contain_text("cached")
    expect(shelf.locator("#m-card")).to_contain_text(hub.commits("ann/digits")[-1])
    shelf.locator("#m-verify").click()
    expect(shelf.locator("#m-status")).to_contain_text("1,877,700 parameters")
    shelf.get_by_role("tab", name="Generate").click()
    shelf.locator("#model input").click()
    shelf.get_by_role("option", name="ann/digits").click()
    expect(shelf.locator("#numbers .fd-accuracy")).to_be_visible()
    expect(shelf.locator("#link a")).to_have_attribute("href", re.compile("model=ann%2Fdigits"))


def test_a_repository_that_is_not_there_is_a_message_and_a_pull_can_be_stopped(hub, shelf):
    ask_for(shelf, "ann/nothing")
    expect(shelf.locator(".toast-body")).to_contain_text("there is no 'ann/nothing' on the Hub")
    hub.stall("safetensors", 60, after=100_000)
    ask_for(shelf, "ann/digits")
    expect(shelf.locator("#m-status")).to_contain_text("of 3.8 MB")
    shelf.locator("#m-stop").click()
    expect(shelf.locator("#m-status")).to_have_text("Stopped.")
    assert cache.records() == {}


@pytest.mark.whole
def test_choosing_data_of_the_hub_anywhere_pulls_its_model(hub, page, monkeypatch):
    weights = {k[6:]: v for k, v in load_file(GOLDEN).items() if k.startswith("state.")}
    file = io.BytesIO()
    torch.save(weights, file)
    sizes = {"dim": 64, "depth": 2, "heads": 4}
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    entry = catalogue.entries()[CLOTHES].model_copy(update={"sha256": digest, "net": sizes})
    monkeypatch.setitem(catalogue.entries(), CLOTHES, entry)
    hub.add(entry.repo, {entry.file: file.getvalue()})
    page.locator("#data").get_by_text("Fashion-MNIST").click()
    expect(page.locator("#link a")).to_have_attribute("href", re.compile(CLOTHES))
    expect(page.locator("#label")).to_contain_text("ankle boot")
    expect(page.locator("#data label", has_text="Fashion-MNIST")).not_to_contain_text("\u2193")
    assert checkpoints.folders()[CLOTHES].is_relative_to(cache.converted())


def test_a_model_is_removed_after_a_question(hub, shelf):
    ask_for(shelf, "ann/digits")
    expect(shelf.locator("#m-status")).to_contain_text("ann/digits is here")
    shelf.locator("#m-delete").click()
    shelf.locator("#m-sure").click()
    expect(shelf.locator("#m-status")).to_have_text("ann/digits is removed.")
    expect(shelf.locator("#m-table")).not_to_contain_text("ann/digits")
    shelf.locator("#m-delete").click()
    shelf.locator("#m-sure").click()
    expect(shelf.locator(".toast-body")).to_contain_text("ships with FlowDemo and stays")


def test_the_tab_fits_a_phone(phone):
    open_hidden_tab(phone, "Models")
    expect(phone.locator("#m-table tbody tr").first).to_be_visible()
