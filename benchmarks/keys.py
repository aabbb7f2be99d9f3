"""From a key press to the next item on screen, in a real Chromium with a long queue behind it.

    python -m benchmarks.keys [--items 100000] [--reviews 200]

Starts the product's own web server on a fresh data folder with SQLite, ingests the items over HTTP, inserts predictions as rows
(no guard runs), signs in with a browser and accepts one item after the other with the key "a". A time runs from the key's event
in the page to the first frame in which the next item's heading is there, both by the page's own clock. Browser and server share
the machine's cores. `server_ms` is the same without a page: submit and next over the API. The last line is one JSON object.
"""

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.console import BATCH, ingest, insert_predictions, make_key, product, review_over_http, say

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PASSWORD = "a long bench passphrase"
PAUSE_S = 0.6  # between two keys: a fast reader; the next item is fetched meanwhile
WATCH = """() => {
  window.taken = [];
  let pressed = 0;
  addEventListener("keydown", (event) => { if (event.key === "a") pressed = performance.now(); }, { capture: true });
  let shown = document.querySelector(".item-id")?.textContent;
  const look = () => {
    const now = document.querySelector(".item-id")?.textContent;
    if (pressed && now && now !== shown) { window.taken.push(performance.now() - pressed); pressed = 0; }
    shown = now ?? shown;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def review_with_keys(port: int, reviews: int) -> list[float]:
    """Milliseconds of each key."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=f"http://127.0.0.1:{port}", viewport={"width": 1440, "height": 900})
        page.goto("/login/")
        page.fill("#id_username", "reader")
        page.fill("#id_password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"http://127.0.0.1:{port}/")
        page.goto("/review/default/")
        page.wait_for_selector("[role=tab]")
        page.evaluate(WATCH)
        for number in range(reviews):
            time.sleep(PAUSE_S)
            page.keyboard.press("a")
            deadline = time.monotonic() + 30
            while page.evaluate("window.taken.length") <= number:
                assert time.monotonic() < deadline, f"no next item after key {number + 1}"
                time.sleep(0.02)
        taken: list[float] = page.evaluate("window.taken")
        browser.close()
    return taken


def run(items: int, reviews: int, folder: Path) -> dict[str, float]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings", "GUARDAPP_WEB_WORKERS": "2"}
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    from annotation.models import Review, User

    key = make_key()
    User.objects.create_user(username="reader", password=PASSWORD)
    with product(folder, port):
        say(f"ingest: {ingest(port, key, items):,.0f} items/s")
        insert_predictions()
        server = review_over_http(port, key, 100)
        before = Review.objects.count()
        taken = review_with_keys(port, reviews)
        deadline = time.monotonic() + 30
        while Review.objects.count() < before + reviews and time.monotonic() < deadline:
            time.sleep(0.2)
        assert Review.objects.count() == before + reviews, "a decision was lost"
    cuts = statistics.quantiles(taken, n=100)
    return {"items": items, "keys": reviews, "key_to_item_p50_ms": round(cuts[49], 1), "key_to_item_p95_ms": round(cuts[94], 1),
            "key_to_item_max_ms": round(max(taken), 1), "server_p95_ms": round(server["next_p95_ms"] + server["submit_p95_ms"], 1)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, default=100_000, help="a multiple of 1,000")
    arguments.add_argument("--reviews", type=int, default=200)
    given = arguments.parse_args()
    if given.items < BATCH or given.items % BATCH or given.reviews < 20:
        arguments.error("--items must be a multiple of 1,000, and --reviews at least 20.")
    if not Path(CHROMIUM).exists():
        sys.exit(f"{CHROMIUM} is not there: set CHROMIUM to a Chromium or Chrome.")
    with tempfile.TemporaryDirectory(prefix="guardapp-keys-") as folder:
        print(json.dumps(run(given.items, given.reviews, Path(folder))))


if __name__ == "__main__":
    main()
