"""axe-core finds nothing serious on any page, light and dark, and no page is wider than a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from tests.browser.scene import arabic_item, conversation_item
from tests.browser.scene_pages import everything, make_lead, pages
from tests.factories import default_queue

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]
AXE = (Path(__file__).parent / "vendor/axe-core-4.10.3/axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LARGE, SMALL = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
FIND = """async (only) => (await axe.run(document, {resultTypes: ["violations"], runOnly: only})).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .flatMap((one) => one.nodes.map((node) =>
    `${one.id}: ${node.html.slice(0, 160)} | ${node.failureSummary.split("\\n").slice(1, 2)}`))"""
SETTLED = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const moving = document.getAnimations().filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime));
  await Promise.allSettled(moving.map((one) => one.finished)); }"""
SPREAD = """() => { for (const each of document.querySelectorAll("main details:not(.menu)")) each.open = true; }"""
OVERFLOW = """() => { const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  return [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > wide + 1)
    .slice(0, 4).map((one) => `wider than ${wide} px: ${one.outerHTML.slice(0, 120)}`); }"""


@pytest.fixture
def bare_page(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A page into which axe can be put: only here the product's policy on scripts is set aside."""
    context = chromium.new_context(base_url=live_server.url, viewport=LARGE, bypass_csp=True, reduced_motion="reduce")
    context.add_init_script(AXE)
    yield context.new_page()
    context.close()


def sign_in(page: Page, client: Client, live_server: LiveServer) -> None:
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])


def wrongs(page: Page, address: str) -> list[str]:
    """Every rule in light; colours again in dark; the width on a phone."""
    page.set_viewport_size(LARGE)
    page.emulate_media(color_scheme="light")
    page.goto(address)
    page.evaluate(SPREAD)
    page.evaluate(SETTLED)
    found = [f"light {one}" for one in page.evaluate(FIND, {"type": "tag", "values": TAGS})]
    page.emulate_media(color_scheme="dark")
    page.evaluate(SETTLED)
    found += [f"dark {one}" for one in page.evaluate(FIND, {"type": "rule", "values": ["color-contrast"]})]
    page.set_viewport_size(SMALL)
    page.reload()
    wide: list[str] = page.evaluate(OVERFLOW)
    return found + wide


@pytest.mark.matrix
@pytest.mark.parametrize("part", ["review", "lead", "training"])
def test_no_page_has_a_serious_fault(bare_page: Page, live_server: LiveServer, client: Client, part: str) -> None:
    lead = make_lead()
    client.force_login(lead)
    shown = [one for one in pages(everything(lead), lead) if one.part == part]
    assert len(shown) >= 8
    sign_in(bare_page, client, live_server)
    found = {one.name: wrong for one in shown if (wrong := wrongs(bare_page, one.address))}
    assert not found, "\n".join(f"{name}: {each}" for name, wrong in found.items() for each in wrong)


@pytest.mark.parametrize("address", ["/login/", "/nowhere/"])
def test_pages_of_nobody_have_no_serious_fault(bare_page: Page, address: str) -> None:
    assert not wrongs(bare_page, address)


def test_a_prompt_in_arabic_runs_from_right_to_left(bare_page: Page, live_server: LiveServer, client: Client) -> None:
    lead = make_lead()
    client.force_login(lead)
    item = arabic_item()
    sign_in(bare_page, client, live_server)
    bare_page.goto(f"/items/{item.pk}/")
    for text in (bare_page.locator(".said-text").first, bare_page.locator(".plain-steps li").first):
        assert text.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    assert bare_page.locator("h1").evaluate("(one) => getComputedStyle(one).direction") == "ltr"


def test_a_conversation_in_a_queue_with_demands_has_no_serious_fault(
    bare_page: Page, live_server: LiveServer, client: Client
) -> None:
    lead = make_lead()
    client.force_login(lead)
    item = conversation_item(queue=default_queue(demands=["category", "severity", "reason"]))
    assert item.prediction is not None
    item.prediction.windows = [{"prompt": [0, 1], "response": [0, 1], "left_out": 2, "decisive": True}]
    item.prediction.save(update_fields=["windows"])
    sign_in(bare_page, client, live_server)
    assert not [*wrongs(bare_page, "/review/default/"), *wrongs(bare_page, f"/items/{item.pk}/")]
