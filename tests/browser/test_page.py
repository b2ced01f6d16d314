"""The page in a real browser: what a visitor sees, presses and drags."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import visit


def number(page: Page, name: str) -> str:
    """One of the numbers of the run."""
    return page.locator(f"#numbers dt:text-is('{name}') + dd").inner_text()


def film(page: Page) -> str:
    """What the canvas shows, as a data URL."""
    return page.locator("#player canvas").evaluate("canvas => canvas.toDataURL()")


def pick(page: Page, control: str, label: str) -> None:
    page.locator(f"#{control}").get_by_text(label, exact=True).click()


def test_something_real_is_on_the_page_without_a_click(page):
    expect(page.locator("#picture img")).to_be_visible()
    assert number(page, "NFE") == "1"
    expect(page.locator("#trajectories .js-plotly-plot")).to_be_visible()
    expect(page.locator("#numbers")).not_to_contain_text("…")  # straightness follows
    lit = page.locator("#player canvas").evaluate(
        """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                  let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] > 200; return n; }"""
    )
    assert lit > 300  # white strokes on black, not an empty canvas


def test_no_request_leaves_this_machine(page, url):
    page.wait_for_timeout(1000)
    foreign = [r for r in page.requests if not r.startswith((url, "data:", "blob:"))]
    assert foreign == []


def test_the_player_scrubs_in_the_browser_without_the_server(page):
    last = film(page)
    expect(page.locator("#numbers")).not_to_contain_text("…")
    page.requests.clear()
    page.locator(".fd-back").click()
    assert film(page) != last
    expect(page.locator(".fd-read")).to_contain_text("t = 0.00")
    page.locator(".fd-next").click()
    assert film(page) == last
    page.locator(".fd-play").click()
    page.wait_for_timeout(300)
    page.locator(".fd-play").click()
    asked = [r for r in page.requests if "/queue/join" in r or "/run/" in r]
    assert asked == []


def test_choosing_a_method_changes_controls_picture_and_numbers(page):
    before = film(page)
    pick(page, "method", "Flow matching")
    expect(page.locator("#numbers")).to_contain_text("50")
    expect(page.locator("#steps input[type=number]")).to_have_value("50")
    page.wait_for_function(
        "old => document.querySelector('#player canvas').toDataURL() != old", arg=before
    )
    assert number(page, "NFE") == "50" and number(page, "seed") == "42"


def test_the_picture_of_a_one_step_model_follows_the_slider(page):
    before = film(page)
    page.locator("#guidance input[type=number]").fill("3")
    page.wait_for_function("old => document.querySelector('#player canvas').toDataURL() != old",
                           arg=before)  # fmt: skip
    assert number(page, "NFE") == "1"
    expect(page.locator("#numbers")).to_contain_text("\u2013")  # no straightness, and none to come


def test_the_class_is_the_one_chosen_and_stop_stops(page):
    pick(page, "label", "7")
    expect(page.locator("#numbers")).to_contain_text("/16")
    pick(page, "method", "Flow matching")
    expect(page.locator("#steps input[type=number]")).to_have_value("50")
    page.locator("#steps input[type=number]").fill("200")
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("evaluations done")
    page.locator("#stop").click()
    expect(page.locator("#status")).to_contain_text("Stopped")
    page.wait_for_timeout(1500)
    expect(page.locator("#status")).to_contain_text("Stopped")  # nothing goes on
    assert number(page, "NFE") != "200"


def test_an_adaptive_solver_shows_a_tolerance_and_no_steps(page):
    pick(page, "data", "Two moons")
    expect(page.locator("#label")).to_contain_text("upper")
    page.locator("#solver input").click()
    page.get_by_role("option", name="dopri5", exact=True).click()
    expect(page.locator("#tolerance")).to_be_visible()
    expect(page.locator("#steps")).to_be_hidden()
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("Ready")
    page.wait_for_function(
        "() => !document.querySelector('#numbers').innerText.includes('NFE\\n1\\n')"
    )
    assert float(number(page, "NFE")) > 6


def test_a_link_brings_the_same_picture_back(page, browser):
    pick(page, "label", "4")
    page.wait_for_function("() => document.querySelector('#link a').href.includes('label=4')")
    shown = film(page)
    link = page.locator("#link a").evaluate("a => a.href")
    context = visit(browser)
    other = context.new_page()
    other.goto(link)
    expect(other.locator("#link a")).to_have_attribute("href", re.compile("label=4"))
    other.wait_for_function("old => document.querySelector('#player canvas').toDataURL() == old",
                            arg=shown)  # fmt: skip
    context.close()


def test_a_broken_link_says_so(browser, url):
    context = visit(browser)
    page = context.new_page()
    page.goto(f"{url}?model=<img id=injected src=x>")
    expect(page.locator("#status")).to_contain_text("The link cannot be used: no model")
    assert page.locator("#injected").count() == 0
    context.close()


def test_two_visitors_do_not_see_each_others_pictures(page, browser, url):
    mine = film(page)
    context = visit(browser)
    other = context.new_page()
    other.goto(url)
    expect(other.locator("#player canvas")).to_be_visible()
    pick(other, "label", "1")
    other.wait_for_function("old => document.querySelector('#player canvas').toDataURL() != old",
                            arg=mine)  # fmt: skip
    page.wait_for_timeout(500)
    assert film(page) == mine
    context.close()


def test_export_offers_every_kind_of_file(page):
    page.locator("#export").click()
    files = page.locator("#files")
    for suffix in (".png", ".gif", ".webp", ".npz", ".json"):
        expect(files).to_contain_text(suffix)


def test_a_phone_shows_everything_and_the_samples_first(phone):
    top = phone.locator("#picture").bounding_box()["y"]
    assert top < phone.locator("#go").bounding_box()["y"]


@pytest.fixture
def comparing(page):
    """A visitor who opened the Compare tab and waited for its first comparison."""
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#c-table tbody tr")).to_have_count(3)
    return page


def strips(page: Page) -> list[str]:
    """What the rows' canvases show, as data URLs."""
    return page.locator("#c-player canvas").evaluate_all("all => all.map((c) => c.toDataURL())")


def test_compare_opens_with_every_method_from_the_same_noise(comparing):
    at_data = strips(comparing)
    assert len(at_data) == 3 and len(set(at_data)) == 3
    comparing.locator("#c-player .fd-time").fill("0")
    noise = strips(comparing)
    assert len(set(noise)) == 1 and noise[0] != at_data[0]  # one player scrubs all rows together
    comparing.locator("#c-player .fd-time").fill("25")
    half_way = strips(comparing)
    assert half_way[0] != noise[0] and half_way[1:] == noise[1:]  # one step: no state between


@pytest.mark.whole
def test_the_distances_to_the_exact_solution_follow_the_pictures(browser, url):
    """Two digits only: the exact solution of ten takes half a minute here."""
    with visit(browser, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{url}?compare=mnist-flow-matching:euler:4,mnist-meanflow:average:1&n=2")
        expect(page.locator("#c-table tbody tr")).to_have_count(2)
        expect(page.locator("#c-table")).not_to_contain_text("…")
        expect(page.locator("#c-distance .js-plotly-plot")).to_be_visible()


@pytest.mark.whole
def test_rows_of_ones_own_and_a_link_to_them(comparing, browser):
    comparing.locator("#c-rows textarea").fill(
        "mnist-meanflow:average:1:1\nmnist-meanflow:average:1:3"
    )
    comparing.locator("#c-go").click()
    expect(comparing.locator("#c-table tbody tr")).to_have_count(2)
    link = comparing.locator("#c-link a").evaluate("a => a.href")
    shown = strips(comparing)
    context = visit(browser)
    other = context.new_page()
    other.goto(link)
    expect(other.locator("#c-table tbody tr")).to_have_count(2)
    assert strips(other) == shown
    context.close()


def test_a_wrong_row_is_a_message_and_the_rows_stay(comparing):
    shown = strips(comparing)
    comparing.locator("#c-rows textarea").fill("mnist-meanflow\nmoons-meanflow")
    comparing.locator("#c-go").click()
    expect(comparing.get_by_text("must be the same")).to_be_visible()
    assert strips(comparing) == shown


@pytest.mark.whole
def test_a_preset_of_points_and_a_row_more(comparing):
    pick(comparing, "c-data", "Two moons")
    expect(comparing.locator("#c-table")).to_contain_text("moons-reflow")
    comparing.locator("#c-add button").first.click()
    comparing.locator("#c-add-row").click()
    expect(comparing.locator("#c-rows textarea")).to_have_value(re.compile("(.*\n){3}.*"))
    comparing.locator("#c-go").click()
    expect(comparing.locator("#c-table tbody tr")).to_have_count(4)
    assert len(strips(comparing)) == 4


def test_two_rows_under_one_handle_and_files_of_all(comparing):
    comparing.locator("#c-ab button").first.click()
    expect(comparing.locator("#c-slider img").first).to_be_visible()
    comparing.locator("#c-export").click()
    for suffix in (".png", ".json", ".csv"):
        expect(comparing.locator("#c-files")).to_contain_text(suffix)


@pytest.mark.whole
def test_a_digit_goes_back_to_noise_and_forward_again(comparing):
    comparing.locator("#c-invert button").first.click()
    comparing.locator("#i-go").click()
    expect(comparing.get_by_text("draw a digit, upload")).to_be_visible()
    comparing.locator("#i-example").click()
    expect(comparing.locator("#i-status")).to_be_visible()
    comparing.wait_for_timeout(2500)  # the pad takes the picture without a sign of it
    comparing.locator("#i-go").click()
    expect(comparing.locator("#i-words")).to_contain_text("Round-trip error")
    films = comparing.locator("#i-player canvas")
    assert films.count() == 3
    at_data = films.evaluate_all("all => all.map((c) => c.toDataURL())")
    comparing.locator("#i-player .fd-time").fill("0")
    back, forth, _ = films.evaluate_all("all => all.map((c) => c.toDataURL())")
    assert back == forth != at_data[0]  # both ways meet in the same noise
