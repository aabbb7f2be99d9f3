"""Statements whose SQL is kept say what their querysets say, whatever the values."""

import inspect
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from annotation import api_urls  # noqa: F401  (whatever the API uses is loaded)
from annotation.database.kept_statements import Delete, NotReusable, Select, Statement, Update, insert
from annotation.models import Assignment, Draft, Event, GoldLabel, Item, Review
from annotation.queues.access import queue_of, queues_of
from annotation.queues.conditions import Conditions
from annotation.review.assign import _waiting, assign_next
from annotation.status import AssignmentState, EventKind, Role
from tests.factories import default_queue, for_members_only, make_item, make_user

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "item": 71,
    "reviewer": 72,
    "user": 73,
    "queue": 74,
    "assignment": 75,
    "now": NOON,
    "token": uuid.UUID(int=3**70),
    "slug": "an-other",
    "key": "it's %s 'quoted'",
    "prefix": "gk_0123",
    "state": "skipped",
    "reason": "",
    "after": 76,
    "first": 77,
    "last": 78,
    "up_to": 2**63 - 2,
    "version": 79,
    "name": "guard%s",
}
SHAPES = [
    (Conditions(), (), False),
    (Conditions(), (), True),
    (Conditions(), ("S1", "S10"), False),
    (
        Conditions(sources=("a", "b"), categories=("S1",), score_from=0.5, versions=("v",), severity_from=2),
        ("S3",),
        True,
    ),
]


def test_every_statement_equals_its_queryset() -> None:
    kept = [_waiting(*shape) for shape in SHAPES]
    checked = 0
    for statement in Statement.made:
        assert isinstance(statement, Select | Update | Delete)
        names = inspect.signature(statement._build).parameters
        for values in ({name: VALUES[name] for name in names}, {name: _another(VALUES[name]) for name in names}):
            sql, params = statement.sql(**values)
            fresh_sql, fresh = statement.write(values)
            assert (sql, params, [type(one) for one in params]) == (
                fresh_sql,
                list(fresh),
                [type(one) for one in fresh],
            )
            checked += 1
    assert checked > 2 * len(kept) + 20


def _another(value: Any) -> Any:
    return (
        value.replace(microsecond=0)
        if isinstance(value, datetime)
        else uuid.UUID(int=value.int + 1)
        if isinstance(value, uuid.UUID)
        else value + 1
        if isinstance(value, int)
        else f"{value}-more"
    )


def test_rows_are_those_of_the_queryset_with_all_that_they_refer_to() -> None:
    reviewer, queue = make_user(), default_queue()
    make_item(response="An answer.", metadata={"a": [1, None]})
    held = assign_next(reviewer=reviewer, queue=queue)
    assert held is not None
    whole = Assignment.objects.select_related("queue", "item__prediction__version", "hidden_gold")
    (row,), (wanted,) = (
        Select(lambda token: whole.filter(token=token)).rows(token=held.token),
        list(whole.filter(token=held.token)),
    )
    with CaptureQueriesContext(connection) as seen:
        pairs = [(row, wanted), (row.queue, wanted.queue), (row.item, wanted.item)]
        assert row.item.prediction is not None and wanted.item.prediction is not None
        pairs += [
            (row.item.prediction, wanted.item.prediction),
            (row.item.prediction.version, wanted.item.prediction.version),
        ]
        for one, other in pairs:
            values = [
                {field.attname: getattr(of, field.attname) for field in of._meta.concrete_fields} for of in (one, other)
            ]
            assert values[0] == values[1] and not one._state.adding and one._state.db == other._state.db
        assert row.hidden_gold is None
    assert not seen.captured_queries


def test_what_a_row_does_not_refer_to_is_none() -> None:
    item = make_item(predicted=False)
    found = Select(lambda item: Item.objects.select_related("prediction__version").filter(pk=item)).first(item=item.pk)
    assert found is not None and found.prediction is None


def test_a_row_is_stored_by_the_statement_of_save() -> None:
    item, actor = make_item(), make_user()
    with CaptureQueriesContext(connection) as seen:
        saved = Event.objects.create(kind=EventKind.SKIPPED, item=item, actor=actor, at=NOON, detail={"a": "ü"})
        stored = insert(Event(kind=EventKind.SKIPPED, item=item, actor=actor, at=NOON, detail={"a": "ü"}))
    assert seen.captured_queries[0]["sql"] == seen.captured_queries[1]["sql"] and len(seen.captured_queries) == 2
    assert stored.pk == saved.pk + 1 and not stored._state.adding
    assert Event.objects.filter(pk=stored.pk).values()[0] == Event.objects.filter(pk=saved.pk).values()[0] | {
        "id": stored.pk
    }


def test_the_database_still_refuses() -> None:
    item, queue, reviewer = make_item(), default_queue(), make_user()
    insert(Assignment(item=item, queue=queue, reviewer=reviewer, expires_at=NOON))
    with pytest.raises(IntegrityError):
        insert(Assignment(item=item, queue=queue, reviewer=reviewer, expires_at=NOON))


def test_updates_and_deletes_return_how_many_rows_they_changed() -> None:
    item, reviewer = make_item(), make_user()
    Draft.objects.create(item=item, reviewer=reviewer)
    drop = Delete(lambda item: Draft.objects.filter(item=item))
    assert (drop.run(item=item.pk + 1), drop.run(item=item.pk), drop.run(item=item.pk)) == (0, 1, 0)
    rename = Update(lambda item, key: (Item.objects.filter(pk=item), {"external_id": key}))
    assert rename.run(item=item.pk, key="another") == 1
    item.refresh_from_db()
    assert item.external_id == "another"


@pytest.mark.parametrize("value", [None, True, 1.5])
def test_a_value_that_decides_on_the_sql_is_refused(value: Any) -> None:
    with pytest.raises(NotReusable):
        Select(lambda known: GoldLabel.objects.filter(used_at=known)).sql(known=value)


def test_a_value_that_the_query_changes_is_refused() -> None:
    with pytest.raises(NotReusable):
        Select(lambda word: Item.objects.filter(prompt__contains=word)).sql(word="bread")


def test_the_queue_of_an_address_is_one_that_the_person_may_work_on() -> None:
    queue, member, stranger, lead = default_queue(), make_user(), make_user(), make_user(Role.LEAD)
    for person in (member, stranger, lead):
        assert queue_of(person, "default") == queue
    for_members_only(queue, member)
    for person in (member, stranger, lead):
        assert queue_of(person, "default") == queues_of(person).filter(slug="default").first()
    assert (queue_of(member, "default"), queue_of(stranger, "default"), queue_of(lead, "missing")) == (
        queue,
        None,
        None,
    )


def test_a_closed_queue_and_a_changed_one_are_noticed_at_once() -> None:
    queue, reviewer = default_queue(), make_user()
    item = make_item()
    default_queue(filters={"sources": ["elsewhere"]})
    assert assign_next(reviewer=reviewer, queue=default_queue()) is None
    assert assign_next(reviewer=reviewer, queue=default_queue(filters={}, open=False)) is None
    held = assign_next(reviewer=reviewer, queue=default_queue(open=True))
    assert held is not None and held.item_id == item.pk and held.state == AssignmentState.ACTIVE and held.queue == queue
    assert not Review.objects.exists()
