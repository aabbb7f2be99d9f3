"""Item search: full text, and all filters of the item list."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.db.models import BooleanField, Q, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from annotation.database.id_windows import Row, Scanned, scan_ahead, scan_back
from annotation.items.skipped import skipped_by_all
from annotation.models import Author, Item, ModelVersion
from annotation.status import ItemStatus, Lane
from guardapp.guard.taxonomy import Harmfulness, Modality

# these reveal the guard's judgement, so they are only for people who may see all judgements
OF_THE_JUDGEMENT = ("category", "label", "version")
MOST_WORDS = 12  # per search
MOST_AUTHORS = 100  # of different sources with the same id
# Number of matching items. Up to this many are fetched by id; with more, a scan from anywhere soon fills a page.
RARE = 10_000
COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
WORD = re.compile(r"\w+", re.UNICODE)
IN_SQLITE = "annotation_item.id IN (SELECT rowid FROM annotation_item_text WHERE annotation_item_text MATCH %s)"
IN_POSTGRESQL = (
    "to_tsvector('simple', left(annotation_item.prompt || ' ' || coalesce(annotation_item.response, ''), 100000)) "
    "@@ to_tsquery('simple', %s)"
)
# a subquery, so that an OR can use the index
BESIDE_OTHERS = "annotation_item.id IN (SELECT annotation_item.id FROM annotation_item WHERE " + IN_POSTGRESQL + ")"  # noqa: S608  (constants)
CHOICES: Mapping[str, list[str]] = {
    "skipped": ["all", "some"],
    "status": list(ItemStatus.values),
    "lane": list(Lane.values),
    "modality": [modality.value for modality in Modality],
    "label": [label.value for label in Harmfulness],
}


@dataclass(frozen=True, slots=True)
class ItemSearch:
    """The filters of the item list; "" means no filter. Unknown values count as "".

    `text`: each word must be a prefix of a word in the prompt or response. `external_id` and `source` match by prefix.
    `q` is the search box: words of the text, or a prefix of the external id.
    """

    q: str = ""
    text: str = ""
    external_id: str = ""
    source: str = ""
    status: str = ""
    skipped: str = ""  # waiting, and skipped by everybody who may review it ("all") or by somebody ("some")
    queue: str = ""
    lane: str = ""
    modality: str = ""
    language: str = ""
    category: str = ""
    label: str = ""  # the guard's label of the prompt or response
    version: str = ""
    reviewer: str = ""  # username of a reviewer of the item
    author: str = ""  # external id of who posted it
    reports: str = ""  # at least so many
    since: str = ""  # ISO dates, both inclusive
    until: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "ItemSearch":
        """Build the search from a query string. Never raises."""
        given = {field.name: str(values.get(field.name, "")).replace("\x00", "").strip()[:300] for field in fields(cls)}
        if not COUNT.fullmatch(given["reports"]):
            given["reports"] = ""
        return cls(**{name: value for name, value in given.items() if name not in CHOICES or value in CHOICES[name]})

    @property
    def narrowed(self) -> dict[str, str]:
        return {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}

    @property
    def query(self) -> str:
        """The query string, without empty filters."""
        return urlencode(self.narrowed)

    @property
    def found_by_index(self) -> bool:
        """Whether an index finds the matches without a scan of the items, however rare they are."""
        return bool(self.q or self.text or self.external_id or self.reviewer or self.author or self.skipped)

    def without(self, *names: str) -> "ItemSearch":
        return replace(self, **dict.fromkeys(names, ""))

    def newest_first(self, items: QuerySet[Item, Row], *, before: int | None, limit: int) -> Scanned[Row]:
        """At most `limit` of `items` with ids below `before`, newest first.

        `items` must come from this search. The scan is limited in time, so there may be fewer.
        """
        newest = newest_id()
        before = newest + 1 if before is None else min(before, newest + 1)
        if self.found_by_index:
            return Scanned(list(items.filter(pk__lt=before).order_by("-pk")[:limit]), None)
        return scan_back(items, before=before, limit=limit)

    def oldest_first(self, items: QuerySet[Item, Row], *, after: int, limit: int) -> Scanned[Row]:
        """Like `newest_first`, with ids above `after`, oldest first."""
        if self.found_by_index:
            return Scanned(list(items.filter(pk__gt=after).order_by("pk")[:limit]), None)
        return scan_ahead(items, after=after, up_to=newest_id(), limit=limit)

    def items(self) -> QuerySet[Item]:
        """The matching items, unordered. Page them by id with `newest_first`."""
        items, query = Item.objects.all(), Q()
        # looked up in the small version table, so that an unknown name does not scan all predictions
        if self.version:
            query &= Q(prediction__version__in=list(ModelVersion.objects.filter(name=self.version)))
        for name, lookup in (
            ("status", "status"),
            ("queue", "queue__slug"),
            ("lane", "lane"),
            ("modality", "modality"),
            ("language", "language"),
            ("source", "source__startswith"),
            ("external_id", "external_id__startswith"),
        ):
            if getattr(self, name):
                query &= Q(**{lookup: getattr(self, name)})
        if self.skipped:
            query &= Q(status=ItemStatus.READY, skipped_at__isnull=False)
        if self.skipped == "all":
            query &= Q(pk__in=[pk for pk, _ in skipped_by_all()])
        if self.label:
            query &= Q(prediction__prompt_label=self.label) | Q(prediction__response_label=self.label)
        if self.category:
            items = items.annotate(named=Cast("prediction__categories", TextField()))
            query &= Q(named__contains=f'"{self.category}"')
        if self.reviewer:
            query &= Q(pk__in=Item.objects.filter(reviews__reviewer__username=self.reviewer).values("pk"))
        query &= self._context()
        if since := day_of(self.since):
            query &= Q(created_at__gte=since)
        if until := day_of(self.until):
            query &= Q(created_at__lt=until + timedelta(days=1))
        if self.q:
            query &= _words(self.q, beside_others=True) | Q(external_id__startswith=self.q)
        return with_text(items.filter(query), self.text)

    def _context(self) -> Q:
        """The conditions on author and reports."""
        query = Q()
        if self.author:
            # looked up first, as the versions are: an unknown author matches no item
            query &= Q(author__in=list(Author.objects.filter(external_id=self.author)[:MOST_AUTHORS]))
        if self.reports:
            fewest = int(self.reports)
            # also spelled as the partial index has it, since SQLite compares the words of the conditions
            query &= Q(report_count__gte=fewest) & (Q(report_count__gt=1) if fewest > 1 else Q())
        return query


def newest_id() -> int:
    return Item.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def with_text(items: QuerySet[Item], text: str) -> QuerySet[Item]:
    """Items in which each word of `text` is a prefix of a word; all items if `text` has no words."""
    return items.filter(_words(text)) if WORD.search(text) else items


def _words(text: str, *, beside_others: bool = False) -> Q:
    """The condition for `text`; it matches no item if `text` has no words."""
    words = WORD.findall(text)[:MOST_WORDS]
    if not words:
        return Q(pk__in=[])
    if connection.vendor == "postgresql":
        asked = " & ".join(f"{word}:*" for word in words)
        # PostgreSQL estimates that a word occurs in 2% of all items, so for a rare word it would scan all items from
        # the newest.
        found = Item.objects.filter(Q(RawSQL(IN_POSTGRESQL, [asked], output_field=BooleanField())))  # noqa: S611
        rare = list(found.values_list("pk", flat=True)[: RARE + 1])
        if len(rare) <= RARE:
            return Q(pk__in=rare)
        sql = BESIDE_OTHERS if beside_others else IN_POSTGRESQL
    else:
        sql, asked = IN_SQLITE, " ".join(f'"{word}"*' for word in words)
    return Q(RawSQL(sql, [asked], output_field=BooleanField()))  # noqa: S611


def day_of(value: str) -> datetime | None:
    """The start of the day (UTC), or None if `value` is not an ISO date or is `date.max`."""
    try:
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day < date.max else None
    except ValueError:
        return None
