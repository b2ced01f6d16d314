"""A real browser, the app it opens, and a new visitor on its page."""

import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser import PATIENCE, visit

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def url(server):
    return server


@pytest.fixture(scope="package")
def browser():
    """It ends before other tests run: Playwright keeps an event loop running."""
    if CHROMIUM is None and os.environ.get("CI") == "true":
        pytest.fail("CI needs Chromium for the browser tests", pytrace=False)
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


def opened(browser, address, ready, width=1280, **options):
    """A new visitor at that address; errors of the page's scripts fail the test."""
    context = visit(browser, viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    errors, requests = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    expect(page.locator(ready).first).to_be_visible()
    page.requests = requests
    yield page
    assert errors == []
    context.close()


@pytest.fixture
def page(browser, url):
    """A new visitor on the first page."""
    yield from opened(browser, url, "#player canvas")


@pytest.fixture(params=[pytest.param("light", marks=pytest.mark.whole), "dark"])
def phone(browser, url, request):
    """A new visitor on a phone; whatever the test shows must not scroll sideways."""
    for page in opened(browser, url, "#player canvas", 390, color_scheme=request.param):
        yield page
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture
def lab(browser, url):
    """A new visitor in the Lab, with films and numbers of data whose exact velocity is cheap."""
    for page in opened(browser, f"{url}?lab=two-gaussians&n=200", "#l-player canvas"):
        expect(page.locator("#l-player canvas")).to_have_count(4)
        expect(page.locator("#l-table")).not_to_contain_text("…")
        yield page
