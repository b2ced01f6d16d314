"""The Train tab in a real browser: drawings, a run that is seen and stopped, its result elsewhere."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser import open_hidden_tab, visit

pytestmark = pytest.mark.usefixtures("tiny")  # a step of it takes no time
TRIANGLE = ((0.3, 0.3), (0.7, 0.3), (0.5, 0.75), (0.3, 0.3))


def draw(page: Page) -> None:
    """A triangle on the pad."""
    pad = page.locator("#f-pad canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    (x, y), *rest = (
        (box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in TRIANGLE
    )
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in rest:
        page.mouse.move(x, y, steps=5)
    page.mouse.up()


def add_drawings(page: Page, n: int) -> None:
    for k in range(n):
        draw(page)
        page.locator("#f-draw").click()
        expect(page.locator("#f-said")).to_contain_text(f"{k + 1} picture")


def is_blank(page: Page) -> bool:
    pixels = (
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.every(v => v === 255)"
    )
    return page.locator("#f-pad canvas").evaluate(pixels)


def choose(page: Page, model: str) -> None:
    page.locator("#f-model input").click()
    page.get_by_role("option", name=model, exact=True).click()
    expect(page.locator("#f-name textarea, #f-name input")).to_have_value(f"{model}-mine")


def test_three_drawings_become_a_class_of_a_checkpoint_in_every_tab(page):
    page.locator("#tab-train-button").click()
    choose(page, "tiny")
    page.locator("#f-class input").fill("triangle")
    page.locator("#f-class input").press("Enter")
    add_drawings(page, 3)
    expect(page.locator("#f-sheet figcaption")).to_have_text("triangle (new): 3 pictures")
    assert is_blank(page)
    page.locator("#f-steps input[type=number]").fill("2000")
    page.locator("#f-steps input[type=number]").press("Tab")
    page.locator("#f-go").click()
    expect(page.locator("#f-samples figcaption").first).to_have_text("triangle (learning)")
    for curve in ("#f-loss", "#f-error"):
        expect(page.locator(f"{curve} canvas, {curve} svg").first).to_be_visible()
    expect(page.locator("#f-status")).to_contain_text(re.compile(r"Step \d+ of 2000, about"))
    page.locator("#f-stop").click()
    expect(page.locator("#f-status")).to_contain_text("Done: tiny-mine stands in")
    expect(page.locator("#f-numbers")).to_contain_text("%")
    expect(page.locator("#f-name textarea, #f-name input")).to_have_value("tiny-mine-2")
    with page.expect_download() as download:
        page.locator("#f-download").click()
    assert download.value.suggested_filename == "tiny-mine.zip"
    page.locator("#f-generate").click()
    expect(page.locator("#link a")).to_have_attribute("href", re.compile("tiny-mine.*triangle"))
    expect(page.locator("#label")).to_contain_text("triangle")
    page.locator("#tab-train-button").click()
    page.locator("#f-compare").click()
    expect(page.locator("#c-player figcaption")).to_have_count(2)
    expect(page.locator("#c-player figcaption").last).to_contain_text("tiny-mine")
    expect(page.locator("#c-label")).not_to_contain_text("triangle")


def begin(page: Page) -> None:
    """A long run on one drawing."""
    page.locator("#tab-train-button").click()
    choose(page, "tiny")
    add_drawings(page, 1)
    page.locator("#f-steps input[type=number]").fill("2000")
    page.locator("#f-steps input[type=number]").press("Tab")
    page.locator("#f-go").click()


@pytest.mark.whole
def test_a_second_visitor_sees_the_place_in_the_queue(page, browser, url):
    """One trains at a time; who waits sees where, and has a turn when the other one stops."""
    running = re.compile(r"Step \d+ of 2000")
    begin(page)
    expect(page.locator("#f-status")).to_contain_text(running)
    with visit(browser) as context:
        other = context.new_page()
        other.goto(url)
        begin(other)
        expect(other.locator("#f-status")).to_contain_text("queue: 1/1")
        page.locator("#f-stop").click()
        expect(page.locator("#f-status")).to_contain_text("Done: tiny-mine")
        expect(other.locator("#f-status")).to_contain_text(running)
        other.locator("#f-stop").click()
        expect(other.locator("#f-status")).to_contain_text("Done: tiny-mine")


def test_without_pictures_a_press_is_a_message(page):
    page.locator("#tab-train-button").click()
    page.locator("#f-draw").click()
    expect(page.locator(".toast-body")).to_contain_text("nothing is drawn")
    page.locator("#f-go").click()
    expect(page.locator(".toast-body", has_text="add pictures first")).to_be_visible()
    expect(page.locator("#f-status")).to_contain_text("Ready")


def test_the_pad_takes_back_strokes(page):
    page.locator("#tab-train-button").click()
    draw(page)
    assert not is_blank(page)
    page.locator("#f-pad .fd-back").click()
    assert is_blank(page)
    draw(page)
    page.locator("#f-pad .fd-clear").click()
    assert is_blank(page)


def test_the_next_symbol_is_drawn_while_the_last_one_is_added(page):
    page.locator("#tab-train-button").click()
    page.route("**/queue/join*", lambda route: (time.sleep(0.7), route.continue_()))
    draw(page)
    page.locator("#f-draw").click()
    assert is_blank(page)
    draw(page)  # before the answer
    expect(page.locator("#f-said")).to_contain_text("1 picture")
    assert not is_blank(page)
    page.locator("#f-draw").click()
    expect(page.locator("#f-said")).to_contain_text("2 pictures")
    assert is_blank(page)
    page.locator("#f-draw").click()
    expect(page.locator(".toast-body")).to_contain_text("nothing is drawn")


def test_a_drawing_that_is_refused_comes_back(page):
    page.locator("#tab-train-button").click()
    page.locator("#f-class input").fill("x" * 61)
    page.locator("#f-class input").press("Enter")
    draw(page)
    page.locator("#f-draw").click()
    expect(page.locator(".toast-body")).to_contain_text("1 to 60 characters")
    page.wait_for_function("() => document.querySelector('#f-pad canvas').getContext('2d')"
                           ".getImageData(0, 0, 280, 280).data.some(v => v === 0)")  # fmt: skip
    page.locator("#f-class input").fill("ring")
    page.locator("#f-class input").press("Enter")
    page.locator("#f-draw").click()
    expect(page.locator("#f-sheet figcaption")).to_have_text("ring (new): 1 picture")


def test_the_tab_fits_a_phone_and_says_what_happens(phone):
    open_hidden_tab(phone, "Train")
    expect(phone.locator("#f-pad canvas")).to_be_visible()
    choose(phone, "tiny")
    add_drawings(phone, 1)
    phone.locator("#f-steps input[type=number]").fill("10")
    phone.locator("#f-steps input[type=number]").press("Tab")
    phone.locator("#f-go").click()
    expect(phone.locator("#f-compare")).to_be_visible()
    expect(phone.get_by_role("status").filter(has_text="Done: tiny-mine")).to_be_visible()
    assert phone.locator("#f-numbers").bounding_box()["width"] > 250
