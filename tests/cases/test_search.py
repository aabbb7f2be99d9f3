"""Searches find the same on SQLite and PostgreSQL, whatever the script, and take every character as it is."""

import logging
import unicodedata
from typing import Any

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.database import search_index
from annotation.database.search_text import encoded, folded, search_text, terms_of
from annotation.ingest import item_text
from annotation.items import lists, search
from annotation.items.search import ItemSearch
from annotation.models import Item, ItemText, SearchFill
from annotation.status import Role
from tests.annotation.conftest import broker, sender, with_key
from tests.factories import make_item, make_user

assert broker and sender and with_key
pytestmark = pytest.mark.django_db

FOUND = {  # what: (text, queries that find it)
    "part of a domain": (
        "See https://shop.example-store.co.uk/deals?x=1",
        ["example-store", "store.co", "co.uk/deals"],
    ),
    "e-mail address": ("Write to Jane.Doe+spam@mail.example.org today", ["doe+spam", "@mail.example", "JANE.DOE"]),
    "path": (r"Open C:\Windows\System32\drivers\etc\hosts", [r"system32\drivers", r"\etc\\"[:-1], "etc"]),
    "file name": ("It is in report_final_v2.tar.gz", ["final_v2", ".tar.gz", "v2.tar"]),
    "number": ("Call 0049-30-123456 or pay 1,299.00 EUR", ["30-1234", "1,299", "299.00", "3456"]),
    "digits of another script": ("اتصل على ٠١٢٣٤٥", ["012345", "٢٣٤"]),
    "Hindi": ("मुझे किताब पढ़ना पसंद है", ["किताब", "पढ़ना", "पसंद"]),
    "Tamil": ("எனக்கு தமிழ் மொழி பிடிக்கும்", ["தமிழ்", "மொழி"]),
    "Bengali": ("আমি বাংলায় গান গাই", ["বাংলা", "গান"]),
    "Arabic with marks": ("قَرَأْتُ الكِتَابَ الأَحْمَرَ", ["قرأت", "الكتاب", "الاحمر", "كِتَاب"]),
    "Arabic without marks": ("إلى المدرسة الآن", ["المَدْرَسَة", "الى", "الان", "المدرسه"]),
    "Persian": ("این کتاب خوب است", ["كتاب", "کتاب"]),
    "Hebrew with points": ("שָׁלוֹם עולם", ["שלום", "עוֹלָם"]),
    "Chinese inside a sentence": ("我想在家里烤面包但是没有烤箱", ["面包", "烤", "家里烤"]),
    "Japanese inside a sentence": ("東京でラーメンを食べました", ["東京", "ラーメン", "ﾗｰﾒﾝ", "食べ"]),
    "voiced kana": ("がっこう", ["がっこう", "が"]),
    "Korean": ("저는 한국어를 공부합니다", ["한국어", "공부"]),
    "Thai inside a sentence": ("ฉันอยากกินข้าวผัดที่บ้าน", ["ข้าวผัด", "บ้าน", "กิน"]),
    "Khmer": ("ខ្ញុំចង់ទៅផ្សារ", ["ផ្សារ"]),
    "accents": ("Le café de la naïve Zoë", ["cafe", "CAFÉ", "café", "naive", "zoe"]),
    "no accents": ("Le cafe de Zoe", ["café", "zoë"]),
    "Vietnamese": ("Tôi muốn ăn phở ở Đà Nẵng", ["pho", "phở", "da nang", "đà nẵng"]),
    "Cyrillic": ("Ещё один Ёжик", ["еще", "ЕЖИК", "один"]),
    "Greek": ("Ο ΟΔΥΣΣΕΥΣ και η Πηνελόπη", ["οδυσσεύς", "πηνελοπη"]),
    "emoji": ("I love it ❤️ so much 👩‍💻👍🏽", ["❤", "❤️", "👩‍💻", "💻", "👍", "👍🏿"]),
    "full-width": ("ＡＢＣ　１２３", ["abc 123", "ＡＢＣ", "123"]),
    "Turkish": ("İSTANBUL ve Diyarbakır", ["istanbul", "ISTANBUL", "İstanbul", "diyarbakir", "DİYARBAKIR"]),
    "German": ("Die Straße nach Gießen", ["strasse", "STRASSE", "straße", "giessen"]),
    "ligature": ("eﬃcient ﬁles", ["efficient", "files"]),
    "soft hyphen and zero width": ("kill\u00ader and ki\u200bll", ["killer", "kill"]),
    "typographic quotes and dashes": ("It’s a “well–known” trick", ["it's", "well-known", "“well–known” trick"]),
    "phrase": ("how to bake\n  some  bread", ['"to bake some bread"', '"bake some"', "bread bake"]),
    "percent and underscore": ("100% sure_thing", ["100%", "sure_t", "%"]),
    "star, quote and apostrophe": ('a*b "c\'d" (e) -f', ["a*b", "c'd", '"c', "(e)", "-f"]),
    "backslash": ("one\\two", ["e\\t", "\\"]),
    "words of a query language": ("NEAR(a, b) AND OR NOT text:x", ["near(a", "and", "or not", "text:x"]),
    "one and two characters": ("zw 我 ç", ["z", "zw", "我", "ç"]),
}
NOT_FOUND = {
    "another vowel sign": ("किताब", "कताब"),
    "another voicing": ("がっこう", "かっこう"),
    "percent is no wildcard": ("100 and 200", "1%2"),
    "underscore is no wildcard": ("sure thing", "sure_thing"),
    "star is no wildcard": ("able", "a*e"),
    "words in another order are no phrase": ("bread to bake", '"to bake bread"'),
    "the end of one field and the beginning of the next": ("one", "onetwo"),
    "half a character": ("中", "丮"),
    "the letters of its code": ("中文", "aptsm"),
    "its code in capitals": ("中文", "APTSMAPQTR"),
}


@pytest.mark.parametrize("what", FOUND)
def test_it_is_found(what: str) -> None:
    text, queries = FOUND[what]
    item = make_item(prompt=text)
    make_item(prompt="quite another matter: 7 lemons")
    for query in queries:
        for form in ("NFC", "NFD"):
            written = unicodedata.normalize(form, query)
            assert list(ItemSearch(text=written).items()) == [item], (query, form)
            assert list(ItemSearch(q=written).items()) == [item], (query, form)


@pytest.mark.parametrize("what", NOT_FOUND)
def test_it_is_not_found(what: str) -> None:
    text, query = NOT_FOUND[what]
    make_item(prompt=text, response="two")
    assert not ItemSearch(text=query).items().exists()


@pytest.mark.parametrize("what", FOUND)
def test_it_is_found_without_an_index_too(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "has_index", lambda: False)
    test_it_is_found(what)


@pytest.mark.parametrize("what", ["Chinese inside a sentence", "emoji", "path", "percent and underscore", "phrase"])
def test_it_is_found_among_very_many(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more match than are fetched by id."""
    monkeypatch.setattr(search, "RARE", 0)
    text, queries = FOUND[what]
    items = [make_item(prompt=text) for _ in range(3)]
    for query in queries:
        asked = ItemSearch(q=query)
        assert not asked.found_by_index
        assert list(asked.newest_first(asked.items(), before=None, limit=2).rows) == items[:0:-1]


def test_response_and_earlier_messages_are_searched() -> None:
    said = [{"role": "user", "text": "Do you know Ouagadougou?"}, {"role": "assistant", "text": "I do."}]
    item = make_item(prompt="Where is it?", response="In Burkina Faso.", messages=said)
    for query in ("burkina", "ouaga", "i do."):
        assert ItemSearch(text=query).items().get() == item


@pytest.mark.parametrize(
    "query", ["\x00", "\ud800", "a\x00b", "\ud83d", "x" * 100_000, '"' * 300, "\\" * 300, "中" * 5_000]
)
def test_no_query_is_an_error(client: Client, query: str) -> None:
    make_item()
    client.force_login(make_user(Role.LEAD))
    asked = query.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    for name in ("q", "text"):
        assert client.get(reverse("items"), {name: asked}).status_code == 200
        list(ItemSearch.of({name: query}).items())


def test_a_query_has_a_most_number_of_terms() -> None:
    make_item(prompt=" ".join(f"word{number}" for number in range(60)))
    asked = ItemSearch.of({"text": " ".join(f"word{number}" for number in range(60))})
    assert asked.items().count() == 1
    assert len(terms_of(" ".join(str(number) for number in range(1_000)))) == 12


def test_what_arrives_by_the_api_is_found_at_once(sender: APIClient) -> None:
    rows: list[dict[str, Any]] = [
        {"external_id": "one", "prompt": "Was kostet die Straßenbahn?"},
        {"external_id": "two", "prompt": "我想在家里烤面包", "response": "👩‍💻"},
        {"external_id": "four", "prompt": "x", "author": {"id": "u-77", "name": "Zoë"}, "url": "https://a.example/p/9"},
        {
            "external_id": "three",
            "messages": [{"role": "user", "content": "naïveté"}, {"role": "user", "content": "x"}],
        },
    ]
    assert sender.post("/api/v1/items", rows, format="json").json()["created"] == 4
    assert ItemText.objects.count() == 4
    finds = {"strassen": "one", "面包": "two", "👩": "two", "naivete": "three", "zoe": "four", "e/p/9": "four"}
    for query, found in finds.items():
        listed = sender.get("/api/v1/items", {"q": query}).json()["items"]
        assert [row["external_id"] for row in listed] == [found], query
    assert sender.post("/api/v1/items", rows, format="json").json()["exists"] == 4
    assert ItemText.objects.count() == 4


def test_items_from_before_the_column_get_their_text_in_windows_and_any_time_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = [make_item(prompt=f"An old word, number {number}") for number in range(5)]
    ItemText.objects.all().delete()
    last = items[-1].pk
    SearchFill.objects.create(below=last + 1, total=last + 1)
    monkeypatch.setattr(item_text, "WINDOW", 2)
    monkeypatch.setattr(item_text, "SECONDS", -1.0)
    assert item_text.fill_some()
    assert set(ItemSearch(text="old").items()) == set(items[-2:])
    share = item_text.share_filled()
    assert share is not None and 0 < share < 1
    while item_text.fill_some():
        pass
    assert set(ItemSearch(text="old").items()) == set(items)
    assert (item_text.share_filled(), item_text.fill_some()) == (None, False)


def test_texts_that_are_written_later_are_those_that_are_written_at_once(sender: APIClient) -> None:
    row = {"external_id": "one", "prompt": "Über", "author": {"id": "u-77", "name": "Zoë"}, "url": "https://a.example"}
    sender.post("/api/v1/items", [row | {"messages": [], "response": "ja"}], format="json")
    written = list(ItemText.objects.values_list("text", flat=True))
    ItemText.objects.all().delete()
    item_text.fill_some()
    assert list(ItemText.objects.values_list("text", flat=True)) == written != []


def test_an_item_of_a_release_without_the_column_gets_its_text_within_a_minute() -> None:
    item = make_item(prompt="from the release before")
    ItemText.objects.all().delete()
    assert not item_text.fill_some()
    assert ItemSearch(text="release").items().get() == item


def test_the_page_says_how_far_the_texts_are_written(client: Client) -> None:
    make_item()
    client.force_login(make_user(Role.LEAD))
    assert "being indexed" not in client.get(reverse("items"), {"q": "x"}).text
    SearchFill.objects.create(below=250, total=1_000)
    page = client.get(reverse("items"), {"q": "x"}).text
    assert "being indexed" in page and "75" in page


def test_an_index_that_is_gone_comes_back_after_migrate_with_all_texts() -> None:
    item = make_item(prompt="How do I bake bread?")
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in search_index.TRIGGERS:
                cursor.execute(f"DROP TRIGGER {name}")
        else:
            cursor.execute(f"DROP INDEX {search_index.NAME}")
    other = make_item(prompt="How do I bake a cake?")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # the test's own transaction has checks to come
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert set(ItemSearch(text="bake").items()) == {item, other}
    assert search_index.has_index()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has its trigrams built in")
def test_a_database_without_the_extension_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    item = make_item(prompt="How do I bake bread?")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {search_index.NAME}")

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "CREATE EXTENSION" in sql:
            raise DatabaseError("permission denied to create extension")
        return execute(sql, params, many, context)

    monkeypatch.setattr(search_index, "_there", (0.0, False))
    with connection.execute_wrapper(refuse), caplog.at_level(logging.WARNING):
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert "CREATE EXTENSION pg_trgm" in caplog.text and "permission denied" in caplog.text
    assert not search_index.has_index()
    assert ItemSearch(text="bread").items().get() == item


@pytest.mark.parametrize("what", FOUND)
def test_normalising_twice_changes_nothing(what: str) -> None:
    once = folded(FOUND[what][0])
    assert folded(once) == once
    assert encoded(once).isascii()


def test_a_long_item_is_searched_up_to_a_limit() -> None:
    assert len(search_text("a" * 400_000, "b" * 400_000)) == 500_001
    item = make_item(prompt="start " + "x " * 90_000 + "needle")
    assert ItemSearch(text="needle").items().get() == item


def test_lists_use_the_search(settings: Settings) -> None:
    lead, item = make_user(Role.LEAD), make_item(prompt="面包")
    make_item()
    assert settings.DEBUG is False
    assert lists.items_page(ItemSearch(q="面"), user=lead).items == [item]
    assert Item.objects.count() == 2
