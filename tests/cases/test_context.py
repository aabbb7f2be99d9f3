"""Context: who posted an item, what was decided on them before, who complained, and what stands around it."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.context.item_context import ItemContext, context_of
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import ingest_items
from annotation.ingest.values import MAX_THREAD, RowResult
from annotation.models import Author, HiddenGold, Item, ReviewQueue, User
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import ApiScope, EventKind, ItemStatus, ReviewKind, ReviewMode, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.annotation.conftest import KeyedClient
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
ANN = {"id": "u-17", "name": "Ann", "url": "https://forum.example/u/17", "strikes": 2, "created_at": "2020-01-31"}
BEFORE = {"id": "m1", "author": {"id": "u-3", "name": "Bo"}, "text": "Who took my bike?", "at": "2025-01-30T08:00:00Z"}
AFTER = {"id": "m3", "author": "u-17", "text": "Just kidding.", "position": "after"}
PARENT = {"id": "m0", "author": "Cy", "text": "Bikes for sale", "position": "parent"}


def send(**row: Any) -> RowResult:
    default_queue()
    [result] = ingest_items(rows=[read_row({"external_id": "a", "source": "forum", "prompt": "It was me!", **row})])
    return result


def stored(result: RowResult) -> Item:
    assert result.id is not None and not result.errors, result.errors
    return Item.objects.get(pk=result.id)


def sent(**row: Any) -> Item:
    return stored(send(**row))


def author(**fields: Any) -> Author:
    return Author.objects.create(source="test", external_id="u-17", **fields)


def decided(label: str = "harmful", **fields: Any) -> Item:
    """An item that somebody has decided on."""
    item = make_item(priority=1e6, **fields)
    held = assign_next(reviewer=make_user(), queue=item.queue)
    assert held is not None and held.item == item
    harmful = label == Harmfulness.HARMFUL
    submit_review(
        reviewer=held.reviewer,
        token=held.token,
        idempotency_key=str(held.token),
        decision=Decision(
            kind=ReviewKind.ACCEPTED if harmful else ReviewKind.CORRECTED,
            prompt_label=Harmfulness(label),
            categories=("S1",) if harmful else (),
        ),
    )
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED
    return item


def shown(item: Item, user: User | None = None, **options: Any) -> ItemContext:
    return context_of(item=item, user=user or make_user(), deciding=True, **options)


def review_page(client: Client, queue: ReviewQueue, role: Role = Role.REVIEWER) -> str:
    client.force_login(make_user(role))
    page: str = client.get(reverse("review", args=[queue.slug])).text
    return page


def test_the_review_page_shows_who_said_it_to_whom_and_who_complained(client: Client) -> None:
    item = sent(
        author=ANN,
        url="https://forum.example/p/1?a=1&b=2",
        thread=[PARENT, BEFORE, AFTER],
        reports=[{"reporter": "r-9", "reason": {"policy_id": "theft", "text": "Admits it."}}],
        metadata={"views": 412},
        language="pt-BR",
    )
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.READY)
    page = review_page(client, item.queue)
    for words in ("Ann", "u-17", "2 strikes", "Who took my bike?", "Just kidding.", "Bikes for sale", "Bo", "Cy"):
        assert words in page
    for words in ("r-9", "theft", "Admits it.", "views", "412", "pt-BR", "30 Jan 2025, 08:00 UTC", "forum"):
        assert words in page
    assert 'href="https://forum.example/p/1?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow"' in page
    assert 'aria-expanded="false"' in page and 'aria-controls="context-panel"' in page and 'data-key="i"' in page
    assert page.index("Bikes for sale") < page.index("Who took my bike?") < page.index("Just kidding.")


def test_the_fold_stands_as_the_person_left_it(client: Client) -> None:
    item = make_item()
    client.cookies["guardapp_context"] = "open"
    page = review_page(client, item.queue)
    assert 'aria-expanded="true"' in page


def test_hidden_gold_shows_the_facts_of_any_other_item(client: Client) -> None:
    """Before its decision an item was reported, came with labels of a corpus, and has an author: as hidden gold too."""
    metadata = {"labels": {"prompt": "THE ANSWER"}, "views": 3}
    queue = default_queue(known_share=1.0)
    gold = decided(metadata=metadata, reason={"text": "Insult."}, author=author(), queue=queue)
    HiddenGold.objects.create(item=gold, prompt_label="harmful")
    for kind in (EventKind.INGESTED, EventKind.REPORTED, EventKind.REVIEWED, EventKind.REOPENED):
        gold.events.create(kind=kind)
    for role in (Role.REVIEWER, Role.LEAD):
        page = review_page(client, queue, role)
        assert gold.external_id in page and "Insult." in page and "views" in page
        assert "THE ANSWER" not in page and "Reopened by reports" not in page
        assert "Reported again" in page, "a waiting item that was reported again shows it too"


@pytest.mark.parametrize("mode", [ReviewMode.BLIND, ReviewMode.DECIDE_FIRST, ReviewMode.OPEN])
def test_what_the_guard_said_in_a_reason_is_hidden_where_its_judgement_is(
    client: Client, with_key: KeyedClient, mode: ReviewMode
) -> None:
    """Moderation writes the score into the reason of the items that it sends to people."""
    queue = default_queue(mode=mode, reviews_per_item=2)
    item = make_item(queue=queue, reason={"text": "Moderation asks for people: S1 0.99", "moderation": "modr-1"})
    Item.objects.filter(pk=item.pk).update(source="moderation")
    seen = mode == ReviewMode.OPEN
    assert ("S1 0.99" in review_page(client, queue)) is seen
    held = with_key(ApiScope.REVIEWS_WRITE).post("/api/v1/queues/default/next").json()["item"]
    assert ("S1 0.99" in json.dumps(held)) is seen


def test_coops_context_is_shown_as_a_thread_and_what_is_no_message_as_metadata() -> None:
    row = {"type": "post", "data": {"text": "It was me!"}, "external_id": "c", "source": "coop"}
    default_queue()
    context = ["Who took it?", {"author": "Bo", "data": {"text": "My bike!"}, "created_at": "2025-01-30T08:00:00Z"}]
    [one, other] = ingest_items(
        rows=[read_row({**row, "context": context}), read_row({**row, "external_id": "d", "context": [{"n": 1}]})]
    )
    around = shown(stored(one))
    assert [(message.who, message.text) for message in around.before] == [("", "Who took it?"), ("Bo", "My bike!")]
    assert around.metadata == {"type": "post"}
    around = shown(stored(other))
    assert (around.messages, around.metadata) == (0, {"type": "post", "context": [{"n": 1}]})


def test_the_authors_own_messages_in_the_thread_are_marked() -> None:
    around = shown(sent(author=ANN, thread=[BEFORE, AFTER]))
    assert [(one.who, one.by_author) for one in (*around.before, *around.after)] == [("Bo", False), ("Ann", True)]


def test_a_thread_stands_in_the_order_of_its_times_and_without_them_as_it_was_sent() -> None:
    early, late = ({"text": day, "at": f"2025-01-{day}T08:00:00Z"} for day in ("01", "02"))
    assert [one.text for one in shown(sent(thread=[late, early])).before] == ["01", "02"]
    untimed = sent(external_id="b", thread=[late, {"text": "some day"}, early])
    assert [one.text for one in shown(untimed).before] == ["02", "some day", "01"]


def test_media_of_a_thread_are_links_that_the_browser_does_not_fetch(client: Client) -> None:
    item = sent(thread=[{"text": "Look", "media": ["https://elsewhere.example/a.png"]}])
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.READY)
    page = review_page(client, item.queue)
    assert page.count("elsewhere.example") == 2, "in the address and in the words of one link"
    assert 'src="https://elsewhere' not in page


def test_an_address_that_is_no_web_address_is_never_a_link() -> None:
    item = make_item(url="javascript:alert(1)", author=author(url="data:text/html,x"))
    around = shown(item)
    assert (around.url, around.author_url) == ("", "")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"url": "javascript:alert(1)"}, "/url"),
    ({"url": "//forum.example/p"}, "/url"),
    ({"url": "https://"}, "/url"),
    ({"url": "https://a b"}, "/url"),
    ({"url": "https://forum.example/" + "x" * 2_000}, "/url"),
    ({"author": 5}, "/author"),
    ({"author": {"id": 10**40}}, "/author/id"),
    ({"author": {"name": "Ann"}}, "/author/id"),
    ({"author": {"id": "x" * 201}}, "/author/id"),
    ({"author": {"id": "a", "strikes": -1}}, "/author/strikes"),
    ({"author": {"id": "a", "strikes": True}}, "/author/strikes"),
    ({"author": {"id": "a", "url": "ftp://a"}}, "/author/url"),
    ({"author": {"id": "a", "created_at": "then"}}, "/author/created_at"),
    ({"author": {"id": "a", "mail": "a@b"}}, "/author/mail"),
    ({"thread": "hello"}, "/thread"),
    ({"thread": ["hello"]}, "/thread/0"),
    ({"thread": [{"text": "a"}] * (MAX_THREAD + 1)}, "/thread"),
    ({"thread": [{"text": "x" * 3_000}] * 100}, "/thread"),
    ({"thread": [BEFORE, {"text": "a", "position": "beside"}]}, "/thread/1/position"),
    ({"thread": [{"text": " "}]}, "/thread/0"),
    ({"thread": [{"text": "a", "media": ["a.png"]}]}, "/thread/0/media/0"),
    ({"thread": [{"text": "a", "media": ["data:image/png;base64,aaaa"]}]}, "/thread/0/media/0"),
    ({"thread": [{"text": "a", "author": {"id": "b", "age": 5}}]}, "/thread/0/author/age"),
    ({"thread": [{"text": "a", "at": "today"}]}, "/thread/0/at"),
    ({"thread": [{"text": "cut \ud83d"}]}, "/thread/0/text"),
]


@pytest.mark.parametrize(("fields", "pointer"), WRONG)
def test_context_that_cannot_be_taken_names_the_field(fields: dict[str, Any], pointer: str) -> None:
    result = send(**fields)
    assert [error.pointer for error in result.errors] == [pointer]
    assert not Item.objects.exists() and not Author.objects.exists()


def test_the_newest_facts_about_an_author_count_and_missing_ones_change_nothing() -> None:
    sent(author=ANN)
    sent(external_id="b", author={"id": "u-17", "strikes": 3})
    sent(external_id="c", author="u-17")
    [ann] = Author.objects.all()
    assert (ann.name, ann.strikes, ann.items.count()) == ("Ann", 3, 3)
    sent(external_id="d", source="chat", author=ANN)
    assert Author.objects.count() == 2, "another platform names other people by the same id"


def test_authors_of_a_batch_are_stored_once_in_any_order() -> None:
    default_queue()
    rows = [
        read_row({"external_id": str(number), "prompt": "a", "author": {"id": f"u{number % 7}"}})
        for number in range(50)
    ]
    assert all(not result.errors for result in ingest_items(rows=rows[::-1]))
    assert Author.objects.count() == 7


def test_a_program_reads_the_context_with_the_item_and_with_the_assignment(with_key: KeyedClient) -> None:
    item = sent(author=ANN, url="https://forum.example/p/1", thread=[BEFORE], reports=[{"reporter": "r-9"}])
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.READY)
    read = with_key(ApiScope.ITEMS_READ).get(f"/api/v1/items/{item.pk}").json()
    held = with_key(ApiScope.REVIEWS_WRITE).post("/api/v1/queues/default/next").json()["item"]
    for answer in (read, held):
        assert answer["author"]["id"] == "u-17" and answer["url"] == "https://forum.example/p/1"
        assert answer["thread"] == [BEFORE | {"position": "before"}]
        assert answer["reports"] == [{"reporter": "r-9", "reason": {}, "reported_at": None}]


def test_the_next_item_of_a_queue_is_served_by_its_authors_and_reports() -> None:
    ann = author()
    queue = default_queue(filters={"authors": ["u-17"], "reports_from": 2})
    make_item(queue=queue), make_item(queue=queue, author=ann), make_item(queue=queue, report_count=2)
    wanted = make_item(queue=queue, author=ann, report_count=2)
    held = assign_next(reviewer=make_user(), queue=queue)
    assert held is not None and held.item == wanted
    assert assign_next(reviewer=make_user(), queue=queue) is None
