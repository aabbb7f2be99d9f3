"""Stores rows as items pending prediction by the guard.

Idempotent on (source, external_id). A bad row does not fail its batch.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from annotation.errors import MediaNotReached, ServiceError
from annotation.ingest.insert import Candidate, Identity, insert_new, rows_of
from annotation.ingest.reports import add_reports
from annotation.ingest.values import (
    FieldError,
    IncomingItem,
    IncomingReport,
    OfWithdrawn,
    RowProblem,
    RowResult,
    RowStatus,
)
from annotation.media.store import StoredMedia, register, store
from annotation.models import ApiKey, ItemMedia, ReviewQueue, User
from guardapp.guard.media.errors import MediaError, MediaStoreAway
from guardapp.guard.taxonomy import MediaKind, Modality
from guardapp.guard.verdict import modality_of

CHUNK = 1_000
DEFAULT_QUEUE = "default"


class QueueNotFound(ServiceError):
    """There is no queue with this name."""


class _Stored(NamedTuple):
    """The stored item with a given identity."""

    id: int
    prompt: str
    response: str | None
    content_hash: str
    messages: list[dict[str, Any]]
    withdrawn_at: datetime | None


def ingest_items(
    *,
    rows: Sequence[IncomingItem | RowProblem],
    key: ApiKey | None = None,
    actor: User | None = None,
    queue: str = DEFAULT_QUEUE,
    again: bool = True,
) -> list[RowResult]:
    """Store the valid rows and return one result per row, in order. Raises QueueNotFound.

    If an identity occurs twice in one call, the first row is used; a later one is "exists" if its content is the same,
    otherwise rejected. If the identity is already in the database, the result is "exists" if the content is the same,
    otherwise "conflict". Metadata does not count as content. An item that exists gets the row's reports, unless
    `again` is False; one that its sender has withdrawn stays withdrawn.
    """
    try:
        review_queue = ReviewQueue.objects.get(slug=queue)
    except ReviewQueue.DoesNotExist:
        raise QueueNotFound(f"There is no queue {queue!r}.") from None
    actor = actor or (key.owner if key is not None else None)
    results: list[RowResult] = []
    for start in range(0, len(rows), CHUNK):
        results += _ingest_chunk(rows[start : start + CHUNK], start, review_queue, key, actor, again)
    return results


def _ingest_chunk(
    rows: Sequence[IncomingItem | RowProblem],
    first_index: int,
    queue: ReviewQueue,
    key: ApiKey | None,
    actor: User | None,
    again: bool,
) -> list[RowResult]:
    results: dict[int, RowResult] = {}
    candidates: dict[Identity, Candidate] = {}
    repeats: list[Candidate] = []
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
        if again:
            results |= _add_reports([*candidates.values(), *repeats], results, actor)
    return [results[index] for index in range(first_index, first_index + len(rows))]


def _check(index: int, row: IncomingItem | RowProblem) -> Candidate | RowResult:
    if isinstance(row, RowProblem):
        return RowResult(index, RowStatus.REJECTED, None, row.external_id, row.errors)
    stored: list[StoredMedia] = []
    errors: list[FieldError] = []
    for medium in row.media:
        try:
            stored.append(store(medium.content))
        except MediaStoreAway as error:  # not a fault of the row
            raise MediaNotReached from error
        except MediaError as error:
            errors.append(FieldError(medium.pointer, str(error)))
    if not errors:
        modality = modality_of(row.prompt, [medium.kind for medium in stored])
        if row.modality and row.modality not in (modality, _as_pictures(row.prompt, stored)):
            errors.append(
                FieldError(
                    "/modality",
                    f"says {row.modality!r}, but the content is {modality.value!r}: {_describe(row.prompt, stored)}.",
                )
            )
    if errors:
        return RowResult(index, RowStatus.REJECTED, None, row.external_id, tuple(errors))
    sha256s = [one.sha256 for one in stored]
    hashed = content_hash(row.prompt, row.response, sha256s, row.messages)
    return Candidate(index, row, modality, tuple(stored), hashed, row.all_reports)


def _as_pictures(prompt: str, stored: Sequence[StoredMedia]) -> Modality:
    """What a sender may call it who takes an animated picture for a picture."""
    return modality_of(
        prompt, [MediaKind.IMAGE if medium.mime.startswith("image/") else medium.kind for medium in stored]
    )


def _describe(prompt: str, stored: Sequence[StoredMedia]) -> str:
    images = sum(medium.kind is MediaKind.IMAGE for medium in stored)
    return f"{'a prompt' if prompt.strip() else 'no prompt'}, {images} image(s) and {len(stored) - images} video(s)"


def _store(
    candidates: dict[Identity, Candidate], queue: ReviewQueue, key: ApiKey | None, actor: User | None
) -> dict[int, RowResult]:
    created = (
        insert_new(candidates.values(), queue=queue, key=key, actor=actor, now=timezone.now()) if candidates else {}
    )
    _attach_media([(candidates[identity], pk) for identity, pk in created.items() if candidates[identity].media])
    results = {
        candidates[identity].index: RowResult(candidates[identity].index, RowStatus.CREATED, pk, identity[1])
        for identity, pk in created.items()
    }
    stored = rows_of([identity for identity in candidates if identity not in created], *_Stored._fields)
    for identity, values in stored.items():
        results[candidates[identity].index] = _existing_result(candidates[identity], _Stored._make(values))
    return results


def _add_reports(
    candidates: Sequence[Candidate], results: Mapping[int, RowResult], actor: User | None
) -> dict[int, RowResult]:
    """Add the reports of rows whose item existed. Returns the results of the rows that added some."""
    again = [
        (one, result.id)
        for one in candidates
        if one.reports and (result := results[one.index]).status is RowStatus.EXISTS and result.id is not None
    ]
    asked: dict[int, dict[str, IncomingReport]] = {}
    for one, item_id in again:
        asked.setdefault(item_id, {}).update(one.reports)
    added = add_reports(reports=asked, actor=actor) if asked else {}
    told, changed = set[tuple[int, str]](), dict[int, RowResult]()
    for one, item_id in again:
        if item_id not in added:
            continue
        new = {(item_id, digest) for digest in one.reports if digest in added[item_id].new} - told
        told |= new
        if new:
            result = results[one.index]
            changed[one.index] = replace(result, reports_added=len(new), reopened=added[item_id].reopened)
    return changed


def _attach_media(with_media: Sequence[tuple[Candidate, int]]) -> None:
    if not with_media:
        return
    assets = register([medium for candidate, _ in with_media for medium in candidate.media])
    ItemMedia.objects.bulk_create(
        [
            ItemMedia(item_id=pk, asset_id=assets[medium.sha256], position=position)
            for candidate, pk in with_media
            for position, medium in enumerate(candidate.media)
        ]
    )


def _existing_result(candidate: Candidate, stored: _Stored) -> RowResult:
    if candidate.says_the_same(stored.prompt, stored.response, stored.content_hash, stored.messages):
        kind = RowResult if stored.withdrawn_at is None else OfWithdrawn
        return kind(candidate.index, RowStatus.EXISTS, stored.id, candidate.row.external_id)
    error = FieldError(
        "/external_id", "is taken by an item with other content, which was not changed. Send a new id for new content."
    )
    return RowResult(candidate.index, RowStatus.CONFLICT, stored.id, candidate.row.external_id, (error,))


def _repeat_result(repeat: Candidate, first: Candidate, results: dict[int, RowResult]) -> RowResult:
    if repeat.says_the_same(first.row.prompt, first.row.response, first.content_hash, first.row.messages):
        what_became = replace(results[first.index], index=repeat.index)
        return replace(what_became, status=RowStatus.EXISTS) if what_became.status is RowStatus.CREATED else what_became
    error = FieldError(
        "/external_id", f"is a duplicate: row {first.index} of this batch has the same id and other content."
    )
    return RowResult(repeat.index, RowStatus.REJECTED, None, repeat.row.external_id, (error,))


def content_hash(
    prompt: str, response: str | None, media: Sequence[str], messages: Sequence[dict[str, Any]] = ()
) -> str:
    """Hash the content, ignoring letter case and differences in white space. `media` holds SHA-256 sums, in order."""
    parts = [
        " ".join(prompt.casefold().split()),
        "" if response is None else "\x1e" + " ".join(response.casefold().split()),
        *media,
        *(f"\x1d{one['role']}\x1d{' '.join(one['text'].casefold().split())}\x1d{one.get('media')}" for one in messages),
    ]
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
