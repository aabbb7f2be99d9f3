"""Pictures of every page, from a real server and a real Chromium on a data folder of their own.

    python -m tests.browser.screens OUT [NAME ...] [--at WIDTHxHEIGHT ...] [--whole]

Each page is taken as WebP at each size, light and dark; OUT/README.md lists them. The name "readme" stands for
OUT/review.png, which the project's README shows. `make screens` renews all of docs/screens.
"""

import argparse
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM

SIZES = ("1440x900", "390x844")
SCHEMES = ("light", "dark")
QUALITY = 60  # of WebP
README, LOGIN = "readme", "login"
SETTLE_MS = 200


@dataclass(frozen=True, slots=True)
class Shot:
    """A page by a name of its own. `key` is pressed before the picture is taken."""

    name: str
    address: str
    key: str = ""


def build() -> list[Shot]:
    """Every page of the product with something on it, the review page in each of its states, and the pages of
    errors.
    """
    import django

    django.setup()
    from django.core.management import call_command

    from tests.browser.scene_pages import everything, make_lead, pages

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    lead = make_lead()
    shown = pages(everything(lead), lead)
    named = [Shot(page.name.replace(":", "-"), page.address) for page in shown]
    return [Shot(LOGIN, "/login/"), *named, *_review_states(), Shot("missing", "/nowhere/")]


def _review_states() -> list[Shot]:
    """One queue a state, with one item in it."""
    from annotation.models import ReviewQueue
    from tests.browser import scene
    from tests.browser.scene_context import context_item

    states = {
        "image": scene.image_item,
        "video": scene.video_item,
        "response": scene.response_item,
        "unparsed": scene.unparsed_item,
        "arabic": scene.arabic_item,
        "conversation": scene.conversation_item,
        "context": context_item,
        "blind": scene.text_item,
        "decide_first": scene.text_item,
    }
    for name, make in states.items():
        mode = name if name in ("blind", "decide_first") else "open"
        make(
            queue=ReviewQueue.objects.create(
                slug=f"state-{name}", name=f"Reported: {name.replace('_', ' ')}", mode=mode
            )
        )
    ReviewQueue.objects.create(slug="state-empty", name="Reported: nothing")
    return [
        Shot(f"review-{name}", f"/review/state-{name}/", "i" if name == "context" else "")
        for name in (*states, "empty")
    ]


@contextmanager
def broker() -> Iterator[None]:
    """The embedded broker, without which every page says that it is away."""
    from django.conf import settings

    from guardapp.supervisor.programs import embedded_broker

    process = subprocess.Popen(
        embedded_broker(settings.DATA_DIR, settings.BROKER_SOCKET).command, stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def server() -> Iterator[str]:
    """The address of the product's web server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "guardapp.wsgi",
        "--bind",
        base.removeprefix("http://"),
        "--threads",
        "4",
        "--no-control-socket",
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{base}/login/", timeout=2)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield base
    finally:
        process.terminate()
        process.wait()


def opened(browser: Browser, base: str, size: str, scheme: str) -> Page:
    """A page with the console's complaints on standard error."""
    width, height = (int(number) for number in size.split("x"))
    context = browser.new_context(
        base_url=base,
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        color_scheme="dark" if scheme == "dark" else "light",
    )
    context.set_default_timeout(60_000)
    page = context.new_page()

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            print(f"{page.url}: {message.text}", file=sys.stderr)

    def fail(error: Error) -> None:
        print(f"{page.url}: {error}", file=sys.stderr)

    page.on("console", complain)
    page.on("pageerror", fail)
    return page


def sign_in(page: Page) -> None:
    page.goto("/login/")
    page.fill("#id_username", "lena")
    page.fill("#id_password", "a long test passphrase")
    page.click("button[type=submit].primary")
    page.wait_for_url("**/")


def take(page: Page, shot: Shot, path: Path, *, whole: bool) -> None:
    page.context.clear_cookies(name="guardapp_context")  # what a key has opened before
    page.goto(shot.address)
    page.wait_for_load_state("networkidle")
    if shot.key:
        page.keyboard.press(shot.key)
    page.wait_for_timeout(SETTLE_MS)
    with Image.open(io.BytesIO(page.screenshot(full_page=whole))) as picture:
        picture.convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)


def take_readme(page: Page, path: Path) -> None:
    """The review page in the middle of the work: one step right, one corrected, the label flipped."""
    page.goto("/review/state-image/")
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
    page.screenshot(path=path)


def take_all(base: str, shots: list[Shot], out: Path, sizes: list[str], *, whole: bool) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for size in sizes:
            for scheme in SCHEMES:
                page = opened(browser, base, size, scheme)
                for shot in shots:  # the sign-in page comes first
                    take(page, shot, out / f"{shot.name}-{size}-{scheme}.webp", whole=whole)
                    if shot.name == LOGIN:
                        sign_in(page)
                page.context.close()
        browser.close()


def take_one_for_the_readme(base: str, out: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = opened(browser, base, SIZES[0], SCHEMES[0])
        sign_in(page)
        take_readme(page, out / "review.png")
        browser.close()


def list_them(shots: list[Shot], out: Path, sizes: list[str]) -> None:
    """OUT/README.md: a row a page."""
    looks = [(size, scheme) for size in sizes for scheme in SCHEMES]
    rows = [
        f"| {name} | " + " | ".join(f"[{scheme}]({name}-{size}-{scheme}.webp)" for size, scheme in looks) + " |"
        for name in (shot.name for shot in shots)
    ]
    (out / "README.md").write_text(
        "\n".join(
            [
                "# Every page",
                "",
                "Made by `make screens` on a scene of the browser tests; the names are those of the addresses.",
                "",
                "| page | " + " | ".join(size for size, _ in looks) + " |",
                "|---" * (len(looks) + 1) + "|",
                *rows,
                "",
            ]
        )
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("names", nargs="*", help="all where none is given")
    arguments.add_argument("--at", nargs="+", default=list(SIZES), metavar="WIDTHxHEIGHT")
    arguments.add_argument("--whole", action="store_true", help="the whole page, not only what the window shows")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="guardapp-screens-") as folder:
        os.environ |= {
            "GUARDAPP_DATA": folder,
            "DJANGO_SETTINGS_MODULE": "guardapp.settings",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
            "GUARDAPP_HOSTS": "127.0.0.1,testserver",
        }
        found = build()
        shots = [shot for shot in found if shot.name == LOGIN or not given.names or shot.name in given.names]
        with broker(), server() as base:
            if not given.names or README in given.names:
                take_one_for_the_readme(base, given.out)
            if given.names != [README]:
                take_all(base, shots, given.out, given.at, whole=given.whole)
        if not given.names:
            list_them(shots, given.out, given.at)


if __name__ == "__main__":
    main()
