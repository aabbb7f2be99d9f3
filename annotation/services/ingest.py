"""Ingestion: rows become items that wait for the guard. Idempotent on (source, external_id); a bad row never takes its batch along."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from annotation.models import ApiKey, Event, Item, ItemMedia, ReviewQueue, User
from annotation.services.errors import ServiceError
from annotation.services.incoming import FieldError, IncomingItem, RowProblem, RowResult, RowStatus
from annotation.services.media_store import StoredMedia, register, store
from annotation.status import EventKind, ItemStatus
from guardapp.guard.media_errors import MediaError
from guardapp.guard.taxonomy import MediaKind, Modality
from guardapp.guard.verdict import modality_of

CHUNK = 1_000
IDS_OF_A_QUERY = 900  # SQLite takes 999 parameters
DEFAULT_QUEUE = "default"

Identity = tuple[str, str]  # source, external id


class QueueNotFound(ServiceError):
    """There is no queue with this name."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row that passed every check that needs no database."""

    index: int
    row: IncomingItem
    modality: Modality
    media: tuple[StoredMedia, ...]
    content_hash: str

    @property
    def identity(self) -> Identity:
        return self.row.source, self.row.external_id

    def says_the_same(self, prompt: str, response: str | None, content_hash: str) -> bool:
        return (self.row.prompt, self.row.response, self.content_hash) == (prompt, response, content_hash)


class _Known(NamedTuple):
    """What the database holds under an identity."""

    id: int
    prompt: str
    response: str | None
    content_hash: str
    created_at: datetime


def ingest_items(*, rows: Sequence[IncomingItem | RowProblem], key: ApiKey | None = None, actor: User | None = None,
                 queue: str = DEFAULT_QUEUE) -> list[RowResult]:
    """Store the rows that can be stored; one result a row, in order. Raises QueueNotFound.

    The same identity twice in one call: the first row counts, a later one is "exists" where it says the same, else rejected.
    An identity that is in the database already: "exists" where the content is the same, else "conflict". Metadata is not content.
    """
    try:
        review_queue = ReviewQueue.objects.get(slug=queue)
    except ReviewQueue.DoesNotExist:
        raise QueueNotFound(f"There is no queue {queue!r}.") from None
    actor = actor or (key.owner if key is not None else None)
    results: list[RowResult] = []
    for start in range(0, len(rows), CHUNK):
        results += _ingest_chunk(rows[start:start + CHUNK], start, review_queue, key, actor)
    return results


def _ingest_chunk(rows: Sequence[IncomingItem | RowProblem], first_index: int, queue: ReviewQueue, key: ApiKey | None,
                  actor: User | None) -> list[RowResult]:
    results: dict[int, RowResult] = {}
    candidates: dict[Identity, _Candidate] = {}
    repeats: list[_Candidate] = []
    for index, row in enumerate(rows, start=first_index):
        checked = _check(index, row)
        if isinstance(checked, RowResult):
            results[index] = checked
        elif checked.identity in candidates:
            repeats.append(checked)
        else:
            candidates[checked.identity] = checked
    with transaction.atomic():
        results |= _store(candidates, queue, key, actor)
    for repeat in repeats:
        results[repeat.index] = _repeat_result(repeat, candidates[repeat.identity], results)
    return [results[index] for index in range(first_index, first_index + len(rows))]


def _check(index: int, row: IncomingItem | RowProblem) -> _Candidate | RowResult:
    if isinstance(row, RowProblem):
        return RowResult(index, RowStatus.REJECTED, None, row.external_id, row.errors)
    stored: list[StoredMedia] = []
    errors: list[FieldError] = []
    for medium in row.media:
        try:
            stored.append(store(medium.content))
        except MediaError as error:
            errors.append(FieldError(medium.pointer, str(error)))
    if not errors:
        modality = modality_of(row.prompt, [medium.kind for medium in stored])
        if row.modality and row.modality != modality:
            errors.append(FieldError("/modality", f"says {row.modality!r}, but the content is {modality.value!r}: "
                                                  f"{_describe(row.prompt, stored)}."))
    if errors:
        return RowResult(index, RowStatus.REJECTED, None, row.external_id, tuple(errors))
    return _Candidate(index, row, modality, tuple(stored), content_hash(row.prompt, row.response, [one.sha256 for one in stored]))


def _describe(prompt: str, stored: Sequence[StoredMedia]) -> str:
    images = sum(medium.kind is MediaKind.IMAGE for medium in stored)
    return f"{'a prompt' if prompt.strip() else 'no prompt'}, {images} image(s) and {len(stored) - images} video(s)"


def _store(candidates: dict[Identity, _Candidate], queue: ReviewQueue, key: ApiKey | None, actor: User | None) -> dict[int, RowResult]:
    """Insert what is new and read the ids back. Another process may insert the same identity meanwhile: the database decides."""
    now = timezone.now()
    known = _rows_of(candidates)
    fresh = [candidate for identity, candidate in candidates.items() if identity not in known]
    results: dict[int, RowResult] = {}
    if fresh:
        Item.objects.bulk_create([_item(candidate, queue, key, now) for candidate in fresh], ignore_conflicts=True)
        known |= _rows_of([candidate.identity for candidate in fresh])
        created = [(candidate, known[candidate.identity].id) for candidate in fresh if known[candidate.identity].created_at == now]
        _attach_media(created)
        Event.objects.bulk_create([Event(kind=EventKind.INGESTED, actor=actor, item_id=pk, at=now) for _, pk in created])
        results = {candidate.index: RowResult(candidate.index, RowStatus.CREATED, pk, candidate.row.external_id)
                   for candidate, pk in created}
    for identity, candidate in candidates.items():
        if candidate.index not in results:
            results[candidate.index] = _existing_result(candidate, known[identity])
    return results


def _item(candidate: _Candidate, queue: ReviewQueue, key: ApiKey | None, now: datetime) -> Item:
    row = candidate.row
    return Item(
        source=row.source, external_id=row.external_id, modality=candidate.modality.value, prompt=row.prompt, response=row.response,
        metadata=row.metadata, reason=row.reason, reported_at=row.reported_at, content_hash=candidate.content_hash, created_at=now,
        ingested_by=key, language=row.language, status=ItemStatus.PENDING, queue=queue, free_slots=queue.reviews_per_item,
    )


def _rows_of(identities: Iterable[Identity]) -> dict[Identity, _Known]:
    """Those that are in the database."""
    by_source: dict[str, list[str]] = {}
    for source, external_id in identities:
        by_source.setdefault(source, []).append(external_id)
    found: dict[Identity, _Known] = {}
    for source, ids in by_source.items():
        for start in range(0, len(ids), IDS_OF_A_QUERY):
            rows = Item.objects.filter(source=source, external_id__in=ids[start:start + IDS_OF_A_QUERY])
            for external_id, *known in rows.values_list("external_id", *_Known._fields):
                found[source, str(external_id)] = _Known._make(known)
    return found


def _attach_media(created: Sequence[tuple[_Candidate, int]]) -> None:
    with_media = [(candidate, pk) for candidate, pk in created if candidate.media]
    if not with_media:
        return
    assets = register([medium for candidate, _ in with_media for medium in candidate.media])
    ItemMedia.objects.bulk_create([
        ItemMedia(item_id=pk, asset_id=assets[medium.sha256], position=position)
        for candidate, pk in with_media for position, medium in enumerate(candidate.media)
    ])


def _existing_result(candidate: _Candidate, known: _Known) -> RowResult:
    if candidate.says_the_same(known.prompt, known.response, known.content_hash):
        return RowResult(candidate.index, RowStatus.EXISTS, known.id, candidate.row.external_id)
    error = FieldError("/external_id", "is taken by an item with other content, which was not changed. Send a new id for new content.")
    return RowResult(candidate.index, RowStatus.CONFLICT, known.id, candidate.row.external_id, (error,))


def _repeat_result(repeat: _Candidate, first: _Candidate, results: dict[int, RowResult]) -> RowResult:
    if repeat.says_the_same(first.row.prompt, first.row.response, first.content_hash):
        what_became = replace(results[first.index], index=repeat.index)
        return replace(what_became, status=RowStatus.EXISTS) if what_became.status is RowStatus.CREATED else what_became
    error = FieldError("/external_id", f"is a duplicate: row {first.index} of this batch has the same id and other content.")
    return RowResult(repeat.index, RowStatus.REJECTED, None, repeat.row.external_id, (error,))


def content_hash(prompt: str, response: str | None, media: Sequence[str]) -> str:
    """Equal for content that differs in letter case and white space only. Media counts by its bytes, in order."""
    parts = [" ".join(prompt.casefold().split()), "" if response is None else "\x1e" + " ".join(response.casefold().split()), *media]
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
