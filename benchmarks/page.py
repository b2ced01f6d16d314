"""What a visitor waits for in a real browser: a comparison, and a frame of the player.

    python -m benchmarks.page [rounds]

Needs Chromium and the test requirements. The comparison of four rows of 16 digits at 8 evaluations is
timed from the press of the button until its last row stands in the table, over the bare network calls.
"""

import shutil
import statistics
import sys
import time

import torch
from playwright.sync_api import Page, sync_playwright

from flowdemo import load
from flowdemo.core.noise import noise
from flowdemo.ui import app

ROWS = (
    "mnist-flow-matching:euler:8:1",
    "mnist-flow-matching:heun:4:1",
    "mnist-reflow:euler:8:1",
    "mnist-meanflow:average:8:1",
)
TIMED = """() => new Promise((done) => {
  const table = document.querySelector("#c-table"), began = performance.now();
  const rows = () => table.querySelectorAll("tbody tr").length;
  let cleared = false;
  const look = new MutationObserver(() => {
    cleared = cleared || rows() < 4;
    if (cleared && rows() === 4) { look.disconnect(); done((performance.now() - began) / 1000); }
  });
  look.observe(table, { childList: true, subtree: true });
  document.querySelector("#c-go").click();
})"""
FRAMES = """(id) => {
  const player = document.querySelector(id), time = player.querySelector(".fd-time"), ms = [];
  for (let k = 0; k <= Number(time.max); k++) {
    time.value = k;
    time.dispatchEvent(new Event("input", { bubbles: true }));
    ms.push(Number(player.querySelector(".fd-films").dataset.ms));
  }
  return ms;
}"""


@torch.inference_mode()
def bare() -> float:
    """Seconds of the 32 network calls of the comparison."""
    labels, ones, x = torch.arange(16) % 10, torch.ones(16), noise(0, 16, (1, 28, 28))
    models = [load(row.split(":")[0]) for row in ROWS]
    began = time.perf_counter()
    for model in models:
        s = ones if model.config.net.end_time else None
        w = ones if model.config.net.guidance else None
        for k in range(8):
            model.net(x, k / 8 * ones, s, labels, w)
    return time.perf_counter() - began


def comparison(page: Page, url: str, rounds: int) -> None:
    """Prints the medians."""
    page.goto(f"{url}?compare={','.join(ROWS)}&n=16&label=all&seed=1")
    pairs = []
    for _ in range(rounds + 1):
        page.wait_for_function(
            "() => document.querySelectorAll('#c-table tbody tr').length === 4"
            " && !document.querySelector('#c-table').innerText.includes('…')"
        )
        page.wait_for_timeout(500)
        pairs.append((page.evaluate(TIMED), bare()))
    shown, calls = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    print(
        f"comparison on screen after {shown:.2f} s, bare calls {calls:.2f} s, "
        f"allowed {1.3 * calls + 0.3:.2f} s"
    )


def frames(page: Page, url: str) -> None:
    """Prints what drawing a frame of 1,000 points with 100 steps takes."""
    page.goto(f"{url}?lab=moons&n=1000&steps=100&shown=moons-flow-matching")
    page.wait_for_selector("#l-player canvas")
    page.wait_for_function(
        "() => document.querySelector('#l-table td:nth-child(4)').innerText > '0'"
    )
    page.wait_for_timeout(1000)
    page.evaluate(FRAMES, "#l-player")
    ms = page.evaluate(FRAMES, "#l-player")
    print(f"frame of 1,000 points, {len(ms)} states: median {statistics.median(ms):.2f} ms, "
          f"slowest {max(ms):.2f} ms")  # fmt: skip


def main(rounds: int) -> None:
    demo = app.launch(wait=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        frames(page, demo.local_url)
        comparison(page, demo.local_url, rounds)
    demo.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
