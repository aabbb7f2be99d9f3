"""What a test waits for beside what is on screen: the next item is shown before the last decision is stored."""

import time

from playwright.sync_api import Page

UNSENT = "Object.keys(localStorage).filter((key) => key.startsWith('outbox:')).length"


def outbox(page: Page) -> int:
    """How many decisions the browser keeps until the server has them."""
    kept: int = page.evaluate(UNSENT)
    return kept


def sent(page: Page, patience_s: float = 30.0) -> None:
    """Until the server has every decision. The page's policy forbids the evaluation that `wait_for_function` needs."""
    give_up = time.monotonic() + patience_s
    while left := outbox(page):
        assert time.monotonic() < give_up, f"{left} decisions are not sent"
        page.wait_for_timeout(50)
