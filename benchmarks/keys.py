"""Latency for a reviewer at the keyboard, in a real Chromium: from a key press to the next item on screen.

A time runs from the key event in the page until the frame with the next item's heading has been painted, both by the
page's own clock. Browser and server share the machine's cores.
"""

import gzip
import os
import statistics
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, Response, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PASSWORD = "a long bench passphrase"
# Between two keys, like a fast reader; the next item is prefetched in the meantime.
PAUSE_S = 0.6
PATIENCE_S = 15
WATCH = """() => {
  window.taken = [];
  let pressed = 0;
  addEventListener("keydown", (event) => { if (event.key === "a") pressed = performance.now(); }, { capture: true });
  let shown = document.querySelector(".item-id")?.textContent;
  const painted = new MessageChannel(); // its message comes after the frame
  painted.port1.onmessage = (message) => window.taken.push(performance.now() - message.data);
  const look = () => {
    const now = document.querySelector(".item-id")?.textContent;
    if (pressed && now && now !== shown) { painted.port2.postMessage(pressed); pressed = 0; }
    shown = now ?? shown;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
# By the metric's definition, a layout shift within half a second of a key counts as intended; here, nothing may move
# then either.
SHIFTS = """window.shifts = 0;
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.shifts += one.value; })
  .observe({ type: "layout-shift", buffered: true });"""


def measure_keys(port: int, username: str, reviews: int) -> dict[str, float]:
    """Accept `reviews` items of the queue "default", one after another, with the key "a"."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = _signed_in(browser, f"http://127.0.0.1:{port}", username)
        weight = _weight(page)
        taken = _review(page, reviews)
        shifts: float = page.evaluate("window.shifts")
        browser.close()
    cuts = statistics.quantiles(taken, n=100)
    return {
        "key_to_next_p50_ms": round(cuts[49], 1),
        "key_to_next_p95_ms": round(cuts[94], 1),
        "key_to_next_max_ms": round(max(taken), 1),
        "review_page_gzip_kb": round(weight, 1),
        "layout_shift": round(shifts, 4),
    }


def chromium_is_there() -> bool:
    return Path(CHROMIUM).exists()


def _signed_in(browser: Browser, base: str, username: str) -> Page:
    page = browser.new_context(base_url=base, viewport={"width": 1440, "height": 900}).new_page()
    page.goto("/login/")
    page.fill("#id_username", username)
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{base}/")
    return page


def _weight(page: Page) -> float:
    """Size in kB (1,000 bytes) of the review page with everything that a first visit loads except media, gzipped."""
    loaded: set[str] = set()

    def note(response: Response) -> None:
        if response.request.method == "GET" and response.request.resource_type not in ("image", "media"):
            loaded.add(response.url)

    page.context.add_init_script(SHIFTS)
    page.on("response", note)
    page.goto("/review/default/")
    page.wait_for_load_state("networkidle")
    page.remove_listener("response", note)
    bodies = [page.context.request.get(address).body() for address in loaded]
    return sum(min(len(body), len(gzip.compress(body))) for body in bodies) / 1_000


def _review(page: Page, reviews: int) -> list[float]:
    """Latency of each key in milliseconds."""
    page.wait_for_selector("[role=tab]")
    page.evaluate(WATCH)
    for number in range(reviews):
        time.sleep(PAUSE_S)
        page.keyboard.press("a")
        deadline = time.monotonic() + PATIENCE_S
        while page.evaluate("window.taken.length") <= number:
            assert time.monotonic() < deadline, f"no next item after key {number + 1}"
            time.sleep(0.02)
    taken: list[float] = page.evaluate("window.taken")
    return taken
