"""The 2-D Lab, the tour, the languages and lessons in a real browser."""

import re
import statistics

import pytest
from playwright.sync_api import Page, expect

from benchmarks.page import FRAMES
from tests.browser import visit

READY = re.compile("Ready")


def pictures(page: Page, player: str) -> list[str]:
    return page.locator(f"{player} canvas").evaluate_all("all => all.map((c) => c.toDataURL())")


def slide(page: Page, slider: str, value: float) -> None:
    page.locator(slider).evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', { bubbles: true })); }", value
    )


def test_the_lab_opens_with_the_exact_velocity_and_every_method(page):
    page.locator("#tab-lab-button").click()
    names = ["exact velocity", *(f"moons-{m}" for m in ("flow-matching", "reflow", "meanflow"))]
    expect(page.locator("#l-player figcaption")).to_have_text(names)
    expect(page.locator("#l-table tbody tr")).to_have_count(4)
    expect(page.locator("#l-table")).not_to_contain_text("…")


def test_scrubbing_and_layers_ask_the_server_nothing(lab):
    expect(lab.locator("#l-status")).to_have_text(READY)
    lab.wait_for_timeout(1000)
    asked, last = len(lab.requests), pictures(lab, "#l-player")
    slide(lab, "#l-player .fd-time", 0)
    first = pictures(lab, "#l-player")
    assert all(a != b for a, b in zip(first, last, strict=True))
    assert lab.locator("#l-player .fd-read").inner_text().startswith("t = 0.00")
    for layer in ("states", "field"):
        before = pictures(lab, "#l-player")
        lab.locator(f"#l-player input[value={layer}]").check()
        assert all(a != b for a, b in zip(before, pictures(lab, "#l-player"), strict=True))
    for shade in ("now", "noise", "data", "error"):
        before = pictures(lab, "#l-player")
        lab.locator("#l-player .fd-shade").select_option(shade)
        assert before[1:] != pictures(lab, "#l-player")[1:]
    assert len(lab.requests) == asked


def test_average_velocities_turn_with_the_end_time_and_others_stay(lab):
    lab.locator("#l-player input[value=field]").check()
    slide(lab, "#l-player .fd-time", 0)
    before = pictures(lab, "#l-player")
    slide(lab, "#l-player .fd-end", 10)
    after = pictures(lab, "#l-player")
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, True, False]
    expect(lab.locator("#l-player .fd-until")).to_have_text("t = 0.0 → s = 1.0")


@pytest.mark.whole
def test_a_frame_of_a_thousand_points_is_drawn_in_ten_milliseconds(page, url):
    page.goto(f"{url}?lab=two-gaussians&n=1000&steps=100&shown=two-gaussians-reflow")
    expect(page.locator("#l-player canvas")).to_have_count(1)
    expect(page.locator("#l-table")).not_to_contain_text("…")
    page.evaluate(FRAMES, "#l-player")
    ms = page.evaluate(FRAMES, "#l-player")
    assert len(ms) == 101 and statistics.median(ms) <= 10


def test_other_data_offers_its_own_models_and_one_class_no_guidance(lab):
    lab.locator("#l-data").get_by_text("Checkerboard", exact=True).click()
    expect(lab.locator("#l-player figcaption").nth(1)).to_have_text("checkerboard-flow-matching")
    expect(lab.locator("#l-guidance")).to_be_hidden()
    expect(lab.locator("#l-label")).to_be_hidden()


@pytest.mark.whole
def test_the_last_of_two_quick_choices_is_shown(lab):
    for name in ("Rings", "Spirals"):
        lab.locator("#l-data").get_by_text(name, exact=True).click()
    expect(lab.locator("#l-player figcaption").nth(1)).to_have_text("spirals-flow-matching")
    expect(lab.locator("#l-table")).to_contain_text("spirals-meanflow")
    expect(lab.locator("#l-table")).not_to_contain_text("…")
    expect(lab.locator("#l-status")).to_have_text(READY)


def test_the_weight_rests_until_a_class_is_asked_for(lab):
    weight = lab.locator("#l-guidance input[type=range]")
    expect(weight).to_be_disabled()
    lab.locator("#l-label").get_by_text("left", exact=True).click()
    expect(weight).to_be_enabled()


def test_points_from_a_table_are_shown_and_a_wrong_table_is_a_message(lab):
    lab.locator("#l-data").get_by_text("Own points", exact=True).click()
    expect(lab.locator("#l-status")).to_contain_text("Draw points")
    lab.locator("#l-csv textarea").fill("1,2\n3,x")
    lab.locator("#l-take-table").click()
    expect(lab.get_by_text("10 to 20000 points are needed")).to_be_visible()
    lab.locator("#l-csv textarea").fill("\n".join(f"{k % 5},{k % 3}" for k in range(30)))
    lab.locator("#l-take-table").click()
    expect(lab.locator("#l-player canvas")).to_have_count(1)
    expect(lab.locator("#l-table tbody tr")).to_have_count(1)


def test_a_drawing_becomes_the_data(lab):
    lab.locator("#l-data").get_by_text("Own points", exact=True).click()
    pad = lab.locator("#l-pad canvas")
    expect(pad).to_be_visible()
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    lab.mouse.move(box["x"] + 60, box["y"] + 100)
    lab.mouse.down()
    lab.mouse.move(box["x"] + 200, box["y"] + 160, steps=12)
    lab.mouse.up()
    expect(lab.locator("#l-pad .fd-count")).to_have_text("78")  # 13 places, 6 points each
    lab.locator("#l-take-drawing").click()
    expect(lab.locator("#l-player canvas")).to_have_count(1)
    expect(lab.locator("#l-table")).to_contain_text("exact velocity")


def test_training_is_seen_from_the_first_seconds_stopped_and_compared(lab):
    lab.locator("#t-go").click()
    expect(lab.locator("#t-player canvas")).to_be_visible()
    expect(lab.locator("#t-status")).to_contain_text("of 1500")
    lab.locator("#t-stop").click()
    expect(lab.locator("#t-table")).to_contain_text("yours: Flow matching")
    expect(lab.locator("#l-player figcaption")).to_have_text(
        ["exact velocity", "yours: Flow matching"]
    )
    for curve in ("#t-loss", "#t-w2"):
        expect(lab.locator(f"{curve} canvas, {curve} svg").first).to_be_visible()


@pytest.mark.whole
def test_two_visitors_train_models_of_their_own(lab, browser, url):
    lab.locator("#t-go").click()
    expect(lab.locator("#t-player canvas")).to_be_visible()
    lab.locator("#t-stop").click()
    expect(lab.locator("#l-shown")).to_contain_text("yours: Flow matching")
    other = visit(browser).new_page()
    other.goto(f"{url}?lab=two-gaussians")
    expect(other.locator("#l-player canvas")).to_have_count(4)
    expect(other.locator("#l-shown")).not_to_contain_text("yours")
    other.context.close()


@pytest.mark.whole
def test_the_three_looks_show_their_films_and_numbers(lab):
    for tab, prefix in (("Two kinds of path", "p"), ("Back to noise", "b"), ("Likelihood", "k")):
        lab.get_by_role("tab", name=tab).click()
        lab.locator(f"#{prefix}-go").click()
        words = {"p": "cross in the plane", "b": "Round-trip error", "k": "integrates to"}[prefix]
        expect(lab.locator(f"#{prefix}-words")).to_contain_text(words)
    assert lab.locator("#p-player canvas").count() == lab.locator("#b-player canvas").count() == 2
    expect(lab.locator("#k-plot .js-plotly-plot")).to_be_visible()


@pytest.mark.whole
def test_a_link_brings_the_panels_back(lab, browser):
    slide(lab, "#l-steps input[type=range]", 3)
    expect(lab.locator("#l-link a")).to_have_attribute("href", re.compile("steps=3"))
    expect(lab.locator("#l-table")).not_to_contain_text("…")
    shown = pictures(lab, "#l-player")
    other = visit(browser, viewport={"width": 1280, "height": 900}).new_page()
    other.goto(lab.locator("#l-link a").evaluate("a => a.href"))
    expect(other.locator("#l-player canvas")).to_have_count(4)
    other.wait_for_function(
        "shown => JSON.stringify([...document.querySelectorAll('#l-player canvas')]"
        ".map((c) => c.toDataURL())) === shown",
        arg=lab.evaluate("x => JSON.stringify(x)", shown),
    )
    other.context.close()


def test_a_broken_link_says_so(page, url):
    page.goto(f"{url}?lab=mnist")
    expect(page.locator("#l-status")).to_contain_text("The link cannot be used")


def test_the_tour_has_six_steps_and_ends_in_the_lab(page):
    page.locator("#tab-tour-button").click()
    names = ("noise", "velocity", "conditional", "few", "reflow", "one")
    for k, (name, films) in enumerate(zip(names, (1, 1, 2, 4, 2, 3), strict=True), start=1):
        expect(page.locator(f"#tour-{name} canvas")).to_have_count(films)
        page.locator(f"#tour-next-{k}").click()
    expect(page.locator("#l-go")).to_be_visible()


def test_a_chinese_browser_reads_chinese_and_any_other_english(browser, url):
    for locale, words in (
        ("zh-CN", "从噪声到数据"),
        ("zh-TW", "从噪声到数据"),
        ("fr-FR", "From noise"),
    ):
        page = visit(browser, locale=locale).new_page()
        page.goto(url)
        expect(page.locator("p", has_text="MeanFlow").first).to_contain_text(words)
        assert "__i18n__" not in page.locator("body").inner_text()
        page.context.close()


def test_a_lesson_hides_parts_by_the_link(page, url):
    page.goto(f"{url}?hide=seed,tab-compare,%22%7D")
    expect(page.locator("#player canvas")).to_be_visible()
    expect(page.locator("#seed")).to_be_hidden()
    expect(page.locator("#tab-compare-button")).to_be_hidden()
    expect(page.locator("#steps, #solver").first).to_be_visible()


def test_a_phone_shows_the_lab_without_scrolling_sideways(phone, url):
    phone.goto(f"{url}?lab=rings&hide=tab-compare")
    expect(phone.locator("#l-player canvas")).to_have_count(4)


def test_the_nearest_real_images_stand_under_digits_and_not_under_points(page):
    page.locator("#nearest button").first.click()
    expect(page.locator("#near img")).to_be_visible()
    expect(page.locator("#near-words")).to_contain_text("Feature distance")
    page.locator("#data").get_by_text("Two moons", exact=True).click()
    expect(page.locator("#nearest")).to_be_hidden()
