"""Stores reports, of new items and of items that exist.

All rows of Report of one item are written with its row or under the lock on it, so that `Item.report_count` is right.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from annotation.ingest.values import IncomingReport
from annotation.models import Event, GoldLabel, Item, Report, User
from annotation.queues.priority import points_of_reports, points_while_pending
from annotation.queues.reopen import reopen_item
from annotation.queues.rules import route_reported
from annotation.status import EventKind, ItemStatus, Lane, QueueOrder

ASKED = 900  # of a query: SQLite takes 999 parameters
NOT_PREDICTED = (ItemStatus.PENDING, ItemStatus.PREDICTING, ItemStatus.PREDICTION_FAILED)
SHOWN_REASON = 300  # characters of a reason in the history

Reports = Mapping[str, IncomingReport]  # by their digests


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the reports sent for an item that exists: the digests of the new ones, and how many it has now."""

    new: frozenset[str]
    count: int
    reopened: bool = False


def store_first_reports(reports: Mapping[int, Reports], now: datetime) -> None:
    """Store the reports of items, by id, that were just inserted with the right count."""
    rows = [_row(item_id, digest, one, now) for item_id, given in reports.items() for digest, one in given.items()]
    if rows:
        Report.objects.bulk_create(rows)


def report_item(*, item_id: int, reports: Sequence[IncomingReport], actor: User | None = None) -> Added:
    """Add reports to an item. Raises Item.DoesNotExist."""
    with transaction.atomic():
        count = Item.objects.values_list("report_count", flat=True).get(pk=item_id)
        added = add_reports(reports={item_id: {one.digest: one for one in reports}}, actor=actor)
    return added.get(item_id, Added(frozenset(), count))


def add_reports(*, reports: Mapping[int, Reports], actor: User | None = None) -> dict[int, Added]:
    """Add reports to items, by id; the same report again changes nothing. Runs in the caller's transaction.

    A new report raises the priority at once, and reopens a decided item where its queue says so. Returns the items
    that got one.
    """
    unknown = _unknown(reports)
    if not unknown:
        return {}
    now, items = timezone.now(), list(_locked(unknown))
    unknown = _unknown(unknown)  # another process may have stored them before the lock was free
    rows, events, done = list[Report](), list[Event](), dict[int, Added]()
    for item in items:
        first = first_of(item)
        new = {digest: one for digest, one in unknown.get(item.pk, {}).items() if digest not in first}
        rows += [_row(item.pk, digest, one, item.created_at) for digest, one in first.items()]
        rows += [_row(item.pk, digest, one, now) for digest, one in new.items()]
        _count(item, item.report_count + len(first) + len(new))
        if new:
            done[item.pk] = Added(frozenset(new), item.report_count)
            events.append(_event(item, list(new.values()), actor, now))
    Report.objects.bulk_create(rows)
    Item.objects.bulk_update(items, ["report_count", "priority"], batch_size=ASKED // 3)
    Event.objects.bulk_create(events)
    route_reported(list(done))
    reopened = [item.pk for item in items if item.pk in done and _reopen(item, actor, now)]
    return done | {item_id: replace(done[item_id], reopened=True) for item_id in reopened}


def _unknown(reports: Mapping[int, Reports]) -> dict[int, Reports]:
    """Return the reports that are not stored, of the items that have some."""
    stored = {
        pair
        for ids in _in_parts(reports)
        for pair in Report.objects.filter(item__in=ids).order_by().values_list("item_id", "digest")
    }
    new = {
        item_id: {digest: one for digest, one in given.items() if (item_id, digest) not in stored}
        for item_id, given in reports.items()
    }
    return {item_id: given for item_id, given in new.items() if given}


def _locked(ids: Iterable[int]) -> Iterator[Item]:
    """Lock the items in the order of their ids, so that two batches never wait for each other."""
    for part in _in_parts(ids):
        items = Item.objects.select_for_update(of=("self",)).select_related("queue")
        columns = ("status", "round", "reason", "reported_at", "created_at", "report_count", "priority", "queue")
        yield from (
            items.only(*columns, "queue__order", "queue__reopen_after_reports", "queue__reviews_per_item")
            .filter(pk__in=part)
            .order_by("pk")
        )


def _in_parts(ids: Iterable[int]) -> Iterator[list[int]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), ASKED):
        yield ordered[start : start + ASKED]


def first_of(item: Item) -> dict[str, IncomingReport]:
    """Return the report that the item came with, if it was stored without a row for it."""
    if item.report_count or (not item.reason and item.reported_at is None):
        return {}
    first = IncomingReport("", item.reason, item.reported_at)
    return {first.digest: first}


def _count(item: Item, count: int) -> None:
    if item.status in NOT_PREDICTED:
        more = points_while_pending(count) - points_while_pending(item.report_count)
    else:
        order = QueueOrder(item.queue.order)
        more = points_of_reports(order, count) - points_of_reports(order, item.report_count)
    item.report_count, item.priority = count, item.priority + more


def _reopen(item: Item, actor: User | None, now: datetime) -> bool:
    """Start another round if the item is decided and has as many reports since as the queue asks for."""
    if item.status != ItemStatus.REVIEWED or not item.queue.reopen_after_reports:
        return False
    gold = GoldLabel.objects.standing().filter(item=item).first()
    if gold is None:
        return False
    since = Report.objects.filter(item=item, created_at__gt=gold.created_at).count()
    if since < item.queue.reopen_after_reports:
        return False
    reopen_item(item=item, lane=Lane.FLAGGED)
    Event.objects.create(kind=EventKind.REOPENED, item=item, actor=actor, at=now, detail={"reports": since})
    return True


def _row(item_id: int, digest: str, report: IncomingReport, now: datetime) -> Report:
    return Report(
        item_id=item_id,
        reporter=report.reporter,
        reason=report.reason,
        reported_at=report.reported_at,
        created_at=now,
        digest=digest,
    )


def _event(item: Item, reports: Sequence[IncomingReport], actor: User | None, now: datetime) -> Event:
    text = next((str(one.reason["text"]) for one in reports if one.reason.get("text")), "")
    detail = {"reports": len(reports)} | ({"reason": text[:SHOWN_REASON]} if text else {})
    return Event(kind=EventKind.REPORTED, item=item, actor=actor, at=now, detail=detail)
