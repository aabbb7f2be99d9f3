"""The fields of an item on their whole way: read in every shape of rows, stored, documented, shown and exported."""

from dataclasses import fields
from typing import Any

import orjson
import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from annotation.api.shapes import items as shapes
from annotation.api.shapes.predictions import PredictionShape
from annotation.api.shapes.reviews import AssignmentShape
from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_lines
from annotation.ingest import read_rows
from annotation.ingest.insert import GIVEN
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import ingest_items
from annotation.ingest.values import ABOUT, IncomingItem
from annotation.items.item_values import assignment_of, content_of, item_with_all, page_of_items, prediction_of
from annotation.items.search import ItemSearch
from annotation.models import Assignment, Item
from annotation.review.assign import assign_next
from annotation.status import ApiScope, Role
from tests.annotation.conftest import KeyedClient
from tests.annotation.exporting.test_export import EDITED, review
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db

# read in another way by each shape of rows
OF_THE_SHAPE = {"messages", "external_id", "source", "prompt", "response", "media", "modality"}


def said(name: str) -> Any:
    """What a row says under this name."""
    return {
        "mapping": {"rule": f"{name}-17"},
        "moment": "2025-01-31T12:00:00Z",
        "language": "pt-BR",
        "text": f"{name}-17",
        "address": f"https://example.org/{name}-17",
        "author": {
            "id": "u-17",
            "name": f"{name}-17",
            "url": "https://example.org/u-17",
            "created_at": "2020-01-31T12:00:00Z",
            "strikes": 2,
        },
        "thread": [
            {
                "id": "m1",
                "author": {"id": "u-17", "name": "Ann"},
                "text": f"{name}-17",
                "media": ["https://example.org/a.png"],
                "at": "2025-01-30T12:00:00Z",
                "position": "after",
            }
        ],
        "reports": [
            {"reporter": "", "reason": {"rule": "reason-17"}, "reported_at": "2025-01-31T12:00:00Z"},
            {"reporter": f"{name}-17", "reason": {"text": "Insult."}, "reported_at": "2025-02-28T12:00:00Z"},
        ],
    }[ABOUT[name].reads]


def on_the_page(name: str) -> str:
    return {"moment": "31 Jan 2025, 12:00", "language": "pt-BR"}.get(ABOUT[name].reads, f"{name}-17")


def test_every_field_is_read_by_the_shapes_or_marked_as_one_about_the_item() -> None:
    assert {one.name for one in fields(IncomingItem)} == OF_THE_SHAPE | set(ABOUT)
    assert not OF_THE_SHAPE & set(ABOUT)


def test_every_field_has_a_column_that_takes_what_is_read() -> None:
    columns = {one.attname: one for one in Item._meta.concrete_fields}
    assert set(GIVEN) <= set(columns)
    limited = [name for name, about in ABOUT.items() if about.reads == "text" and columns[name].max_length]
    assert limited == [], "a text of any length is read for these: give them a TextField"


@pytest.mark.urls("annotation.api_urls")
@pytest.mark.parametrize(
    "shape", [{"prompt": "Hello?"}, {"type": "post", "data": {"text": "Hello?"}}, {"request": "Hello?"}]
)
def test_what_a_row_says_about_an_item_comes_back(
    sender: APIClient, with_key: KeyedClient, shape: dict[str, object]
) -> None:
    row = {"external_id": "a", "source": "test", **shape, **{name: said(name) for name in ABOUT}}
    [result] = sender.post("/api/v1/items", row, format="json").json()["results"]
    shown = with_key(ApiScope.ITEMS_READ).get(f"/api/v1/items/{result['id']}").json()
    shown["metadata"].pop("type", None)
    assert {name: shown[name] for name in ABOUT} == {name: said(name) for name in ABOUT}


def test_the_page_of_an_item_shows_what_was_said_about_it(client: Client) -> None:
    row = read_row({"external_id": "a", "prompt": "Hello?", **{name: said(name) for name in ABOUT}})
    [stored] = ingest_items(rows=[row])
    client.force_login(make_user(Role.LEAD))
    page = client.get(reverse("item", args=[stored.id])).text
    assert [name for name in ABOUT if on_the_page(name) not in page] == [], "show these in items/item.html"


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        (shapes.OwnRow, read_rows.OWN_FIELDS),
        (shapes.CoopRow, read_rows.COOP_FIELDS),
        (shapes.CoopData, read_rows.COOP_DATA),
        (shapes.ChatRow, read_rows.CHAT_FIELDS),
        (shapes.DatasetRow, read_rows.DATASET_FIELDS),
    ],
)
def test_the_fields_that_are_read_are_documented(shape: type[Any], read: frozenset[str]) -> None:
    assert set(shape().fields) == read


def test_the_fields_that_are_shown_are_documented() -> None:
    reviewer = make_user()
    item = review(EDITED, reviewer)
    make_item()
    held = assign_next(reviewer=reviewer, queue=default_queue())
    assert isinstance(held, Assignment) and held.item.prediction is not None
    whole = item_with_all(item.pk)
    for shape, shown in (
        (shapes.ItemShape, whole),
        (shapes.ReviewShape, whole["reviews"][0]),
        (shapes.GoldShape, whole["gold"]),
        (AssignmentShape, assignment_of(held)),
        (shapes.ContentShape, content_of(held.item)),
        (PredictionShape, prediction_of(held.item.prediction)),
        (shapes.ItemSummary, page_of_items(ItemSearch())["items"][0]),
    ):
        assert set(shape().fields) == set(shown)


def test_the_canonical_record_holds_every_field() -> None:
    review()
    [line] = b"".join(export_lines(request=ExportRequest(ExportFormat.CANONICAL))).splitlines()
    exported = {"prompt" if name == "request" else name for name in orjson.loads(line)["item"]}
    assert {one.name for one in fields(IncomingItem)} <= exported
