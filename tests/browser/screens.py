"""Pictures of the pages, from a real server and a real Chromium, in a data folder of their own.

python -m tests.browser.screens OUT [NAME ...]; `python -m tests.browser.screens docs/screens readme` renews the README's.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PORT = 8765
BASE = f"http://127.0.0.1:{PORT}"
SIZES = {"wide": (1440, 900), "small": (390, 844)}
CHROMIUM = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"]}


def build() -> None:
    import django
    django.setup()
    from django.core.management import call_command

    from annotation.models import ReviewQueue
    from annotation.services.assignment import assign_next
    from annotation.services.decisions import Decision
    from annotation.services.review import escalate, submit_review
    from annotation.status import ItemStatus, ReviewKind, Role
    from guardapp.guard.taxonomy import Harmfulness
    from tests.browser import scene
    from tests.factories import default_queue, make_item, make_user

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    queue = default_queue(name="Community reports")
    lead, other = make_user(role=Role.LEAD), make_user()
    type(lead).objects.filter(pk=lead.pk).update(username="lena")
    type(other).objects.filter(pk=other.pk).update(username="omar")
    lead.refresh_from_db()
    other.refresh_from_db()
    for number in range(4):
        scene.text_item(priority=50.0 + number)
        held = assign_next(reviewer=lead if number % 2 else other, queue=queue)
        assert held is not None
        if number == 0:
            escalate(reviewer=other, token=held.token, reason="Could be meant as a joke: what does the policy say about irony?")
            continue
        label = Harmfulness.HARMFUL if number % 2 else Harmfulness.UNHARMFUL
        submit_review(reviewer=held.reviewer, token=held.token, idempotency_key=f"screens-{number}",
                      decision=Decision(kind=ReviewKind.CORRECTED, prompt_label=label))
    scene.whole_scene(queue)
    make_item(status=ItemStatus.PREDICTION_FAILED, predicted=False, error_code="media_corrupt",
              error_message="The video ends in the middle of a frame. Send the whole file again.")
    make_item(status=ItemStatus.PENDING, predicted=False)
    for slug, name, mode in (("blind", "Blind second look", "blind"), ("first", "Decide first", "decide_first")):
        scene.text_item(queue=ReviewQueue.objects.create(slug=slug, name=name, mode=mode))
    for make in (scene.image_item, scene.video_item, scene.response_item, scene.unparsed_item):
        make(queue=ReviewQueue.objects.create(slug=make.__name__, name=f"Reported: {make.__name__.removesuffix('_item')}"))


@contextmanager
def server() -> Iterator[None]:
    command = [sys.executable, "-m", "gunicorn", "guardapp.wsgi", "--bind", f"127.0.0.1:{PORT}", "--threads", "4", "--log-level", "warning"]
    process = subprocess.Popen(command)
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{BASE}/login/", timeout=2)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


PAGES = {
    "home": "/", "items": "/items/", "item": "/items/2/", "upload": "/upload/", "export": "/export/", "keys": "/keys/",
    "policy": "/policy/", "review": "/review/default/", "blind": "/review/blind/", "first": "/review/first/",
    "escalated": "/escalated/", "image": "/review/image_item/", "video": "/review/video_item/",
    "response": "/review/response_item/", "unparsed": "/review/unparsed_item/", "missing": "/nowhere/",
}


def shoot_readme(page: Page, out: Path) -> None:
    """The review page in the middle of the work: one step right, one corrected, the label flipped."""
    page.goto(f"{BASE}/review/image_item/")
    page.get_by_role("tab", name="Decide").wait_for()
    for key in ("b", "ArrowDown", "q", "ArrowDown", "r", "Enter", "Control+a"):
        page.keyboard.press(key)
    page.keyboard.type("Opening one's own lock is lawful, and the poster names no lock of others.")
    for key in ("Escape", "x"):
        page.keyboard.press(key)
    page.locator("input[name=severity][value='0']").check(force=True)
    page.locator("input[name=confidence][value='3']").check(force=True)
    page.get_by_text("Saved", exact=True).wait_for()
    page.locator("#content").focus()
    page.screenshot(path=out / "review.png")


def shoot(out: Path, names: list[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM)
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                page = context.new_page()
                page.on("console", lambda message: print("console:", message.text) if message.type in ("error", "warning") else None)
                page.on("pageerror", lambda error: print("page error:", error))
                page.goto(f"{BASE}/login/")
                if "login" in names:
                    page.screenshot(path=out / f"login-{size}-{scheme}.png")
                page.fill("#id_username", "lena")
                page.fill("#id_password", "a long test passphrase")
                page.click("button[type=submit].primary")
                page.wait_for_url(f"{BASE}/")
                if "readme" in names and (size, scheme) == ("wide", "light"):
                    shoot_readme(page, out)
                for name in names:
                    if name not in PAGES:
                        continue
                    page.goto(BASE + PAGES[name])
                    page.wait_for_timeout(250)
                    page.screenshot(path=out / f"{name}-{size}-{scheme}.png", full_page=size == "small")
                context.close()
        browser.close()


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="guardapp-screens-") as folder:
        os.environ |= {"GUARDAPP_DATA": folder, "DJANGO_SETTINGS_MODULE": "guardapp.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "true"}
        build()
        with server():
            shoot(out, sys.argv[2:] or ["login", *PAGES])


if __name__ == "__main__":
    main()
