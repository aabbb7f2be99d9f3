"""The pages in German: every text is, nothing is wider than the screen, and an item is reviewed with the same keys."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Message
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from annotation.models import Review, User
from annotation.status import Role
from tests.browser import scene
from tests.browser.scene_pages import everything, make_lead, pages
from tests.browser.test_accessibility import LARGE, OVERFLOW, SMALL, SPREAD, sign_in
from tests.browser.waiting import sent
from tests.factories import default_queue, make_user
from translating.catalogues import forms_of, stored

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900), pytest.mark.django_db(transaction=True)]
PASSWORD = "a long test passphrase"
# what pages say: texts and what is read aloud of elements that people meet; contents of items, logs and code are
# nobody's to translate
SAID = """() => { const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const around = walk.currentNode.parentElement;
    if (around.closest("script, style, template, pre, code, kbd, textarea, option, .mono, " +
                       "[dir=auto], .policy-list, .policy-rows")) {
      continue;
    }
    found.push(walk.currentNode.textContent.replace(/\\s+/g, " ").trim());
  }
  for (const each of document.querySelectorAll("[aria-label], [title], [placeholder]"))
    for (const name of ["aria-label", "title", "placeholder"]) found.push(each.getAttribute(name) || "");
  return found; }"""


def english_only() -> set[str]:
    """Texts that read otherwise in German, without those that have places to fill in."""

    def plain(message: Message) -> bool:
        return isinstance(message.id, str) and "%(" not in message.id and "<" not in message.id and len(message.id) > 2

    texts = {message.id for message in stored("de", "django") if plain(message) and message.id not in forms_of(message)}
    german = {form for message in stored("de", "django") for form in forms_of(message)}
    return {str(text).replace("&amp;", "&").replace("%%", "%") for text in texts} - german


@pytest.fixture
def german(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    context = chromium.new_context(base_url=live_server.url, viewport=LARGE, reduced_motion="reduce", locale="de-DE")
    opened = context.new_page()
    yield opened
    context.close()


def wrongs(page: Page, address: str, english: set[str]) -> list[str]:
    page.set_viewport_size(LARGE)
    page.goto(address)
    page.evaluate(SPREAD)
    assert page.evaluate("document.documentElement.lang") == "de"
    found = sorted({text for text in page.evaluate(SAID) if text in english})
    found += page.evaluate(OVERFLOW)
    page.set_viewport_size(SMALL)
    page.reload()
    return [*found, *page.evaluate(OVERFLOW)]


@pytest.mark.matrix
@pytest.mark.parametrize("part", ["review", "lead", "training"])
def test_every_page_speaks_german_and_fits(german: Page, live_server: LiveServer, client: Client, part: str) -> None:
    lead = make_lead()
    client.force_login(lead)
    shown = [one for one in pages(everything(lead), lead) if one.part == part]
    sign_in(german, client, live_server)
    english = english_only()
    assert len(english) > 1_000
    found = {one.name: wrong for one in shown if (wrong := wrongs(german, one.address, english))}
    assert not found, "\n".join(f"{name}: {each}" for name, wrong in found.items() for each in wrong)


@pytest.mark.parametrize("address", ["/login/", "/nowhere/"])
def test_pages_of_nobody_speak_the_browsers_language(german: Page, address: str) -> None:
    assert not wrongs(german, address, english_only())


def test_a_person_chooses_german_and_reviews_by_the_same_keys(page: Page) -> None:
    queue = default_queue()
    first, second = scene.text_item(queue=queue, priority=2.0), scene.text_item(queue=queue, priority=1.0)
    person = make_user(role=Role.REVIEWER)
    page.goto("/login/")
    page.keyboard.type(person.username)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible()

    page.goto("/account/")
    page.get_by_label("Language of the pages").select_option("de")
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Gespeichert. Es gilt ab dem nächsten Eintrag.")
    assert page.evaluate("document.documentElement.lang") == "de"
    assert User.objects.get(pk=person.pk).ui_language == "de"

    page.goto("/review/default/")
    expect(page.locator(".item-id")).to_have_text(first.external_id)
    expect(page.get_by_role("tab", name="Entscheiden")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("q")
    expect(page.locator("[data-step]").first.get_by_label("richtig")).to_be_checked()
    page.keyboard.press("x")
    expect(page.get_by_label("unschädlich")).to_be_checked()
    expect(page.locator("#announcer")).to_have_text("Prompt: unschädlich")
    expect(page.locator("#saved")).to_have_text("Gespeichert")
    page.keyboard.press("n")
    expect(page.locator(".item-id")).to_have_text(second.external_id)
    assert re.search(
        r"Eintrag " + re.escape(second.external_id), page.locator("#content").get_attribute("data-announce") or ""
    )
    sent(page)
    review = Review.objects.get()
    assert (review.item_id, review.prompt_label) == (first.pk, "unharmful")
