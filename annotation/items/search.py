"""Item search: full text, and all filters of the item list."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.db.models import BooleanField, Q, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from annotation.database.id_windows import Row, Scanned, scan_ahead, scan_back
from annotation.database.lists import begins_with
from annotation.database.search_index import has_index
from annotation.database.search_text import TRIGRAM, terms_of
from annotation.database.storable import cleaned
from annotation.items.skipped import skipped_by_all
from annotation.models import Author, Item, ModelVersion
from annotation.status import TOO_LONG, ItemStatus, Lane
from guardapp.guard.taxonomy import Harmfulness, Modality

# these reveal the guard's judgement, so they are only for people who may see all judgements
OF_THE_JUDGEMENT = ("category", "label", "version")
MOST_AUTHORS = 100  # of different sources with the same id
COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
MOST_TYPED = 3_000  # characters that are looked at, of which 300 count
# Number of matching items. Up to this many are fetched by id; with more, a scan from anywhere soon fills a page.
RARE = 5_000
# the whole statement is planned as if all were wanted, so that PostgreSQL does not read every text for a rare term
PROBE = """WITH found AS MATERIALIZED (SELECT item_id AS id FROM annotation_itemtext WHERE {terms})
SELECT found.id FROM found LIMIT %s"""
PROBE_ON_SQLITE = """SELECT rowid AS id FROM annotation_itemtext_trigrams
WHERE annotation_itemtext_trigrams MATCH %s ORDER BY rowid DESC LIMIT %s"""
# one text a row, by its key: PostgreSQL would answer an EXISTS beside an OR by reading all texts
HOLDS = "(SELECT {terms} FROM annotation_itemtext AS held WHERE held.item_id = annotation_item.id)"
TO_ESCAPE, ESCAPED = re.compile(r"([\\%_])"), r"\\\1"  # in a LIKE
CHOICES: Mapping[str, list[str]] = {
    "skipped": ["all", "some"],
    "guard": [TOO_LONG],
    "status": list(ItemStatus.values),
    "lane": list(Lane.values),
    "modality": [modality.value for modality in Modality],
    "label": [label.value for label in Harmfulness],
}


@dataclass(frozen=True, slots=True)
class Matches:
    """The items in whose text each term stands: their ids, or None if there are more than RARE or no index tells."""

    terms: tuple[str, ...]
    ids: list[int] | None

    @classmethod
    def of(cls, query: str) -> "Matches":
        terms = tuple(terms_of(query))
        if not terms:
            return cls(terms, [])
        known = [term for term in terms if len(term) >= TRIGRAM]
        ids = _probe(known) if known and has_index() else None
        return cls(terms, ids if ids is None or len(ids) <= RARE else None)

    def as_query(self) -> Q:
        """Terms that are too short for the index are looked for in the texts themselves."""
        shown = self.terms if self.ids is None else [term for term in self.terms if len(term) < TRIGRAM]
        query = Q() if self.ids is None else Q(pk__in=self.ids)
        if not shown or self.ids == []:
            return query
        find = "strpos(held.text, %s) > 0" if connection.vendor == "postgresql" else "instr(held.text, %s) > 0"
        sql = HOLDS.format(terms=" AND ".join([find] * len(shown)))
        return query & Q(RawSQL(sql, list(shown), output_field=BooleanField()))  # noqa: S611


@dataclass(frozen=True)
class ItemSearch:
    """The filters of the item list; "" means no filter. Unknown values count as "".

    `text`: each word, or phrase in quotes, must stand somewhere in the item's text, alike after normalising:
    annotation.database.search_text. `external_id` and `source` match by prefix. `q` is the search box: words of the
    text, or a prefix of the external id.
    """

    q: str = ""
    text: str = ""
    external_id: str = ""
    source: str = ""
    status: str = ""
    skipped: str = ""  # waiting, and skipped by everybody who may review it ("all") or by somebody ("some")
    guard: str = ""  # TOO_LONG: not judged, since it is too long for the guard
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
        typed = {field.name: str(values.get(field.name, ""))[:MOST_TYPED] for field in fields(cls)}
        given = {name: cleaned(value).strip()[:300] for name, value in typed.items()}
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
        by_words = [matches.ids is not None for matches in (self._by_q, self._by_text) if matches is not None]
        by_others = self.external_id or self.reviewer or self.author or self.skipped
        return all(by_words) and bool(by_words or by_others)

    @cached_property
    def _by_q(self) -> Matches | None:
        return Matches.of(self.q) if self.q else None

    @cached_property
    def _by_text(self) -> Matches | None:
        return Matches.of(self.text) if self.text and terms_of(self.text) else None

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
            ("guard", "error_code"),
            ("queue", "queue__slug"),
            ("lane", "lane"),
            ("modality", "modality"),
            ("language", "language"),
        ):
            if getattr(self, name):
                query &= Q(**{lookup: getattr(self, name)})
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
        return items.filter(query & self._words())

    def _words(self) -> Q:
        """The conditions on what was typed: words, and how names begin."""
        query = Q()
        for column in ("source", "external_id"):
            if getattr(self, column):
                query &= begins_with(column, getattr(self, column))
        if self._by_q is not None:
            query &= self._by_q.as_query() | begins_with("external_id", self.q)
        if self._by_text is not None:
            query &= self._by_text.as_query()
        return query

    def _context(self) -> Q:
        """The conditions on author, reports and skips."""
        query = Q()
        if self.skipped:
            query &= Q(status=ItemStatus.READY, skipped_at__isnull=False)
        if self.skipped == "all":
            query &= Q(pk__in=[pk for pk, _ in skipped_by_all()])
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


def _probe(terms: Sequence[str]) -> list[int]:
    """Up to RARE + 1 ids of items whose text has all of these terms, each of at least three characters."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            likes = [f"%{TO_ESCAPE.sub(ESCAPED, term)}%" for term in terms]
            cursor.execute(PROBE.format(terms=" AND ".join(["text LIKE %s"] * len(likes))), [*likes, RARE + 1])
        else:
            phrases = " AND ".join('"' + term.replace('"', '""') + '"' for term in terms)
            cursor.execute(PROBE_ON_SQLITE, [phrases, RARE + 1])
        return [pk for (pk,) in cursor.fetchall()]


def day_of(value: str) -> datetime | None:
    """The start of the day (UTC), or None if `value` is not an ISO date or is `date.max`."""
    try:
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day < date.max else None
    except ValueError:
        return None
