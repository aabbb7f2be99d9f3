"""Stores who posted the incoming items."""

from collections.abc import Iterable
from typing import Any

from annotation.ingest.values import IncomingAuthor
from annotation.models import Author

Identity = tuple[str, str]  # source, external id
ASKED = 400  # of a query: SQLite takes 999 parameters
FACTS = ("name", "url", "created_at", "strikes")


def store_authors(given: Iterable[tuple[str, IncomingAuthor]]) -> dict[Identity, int]:
    """Return the primary keys of the authors, each given with its source. Runs in the caller's transaction.

    New authors are inserted; facts that are given and differ replace the stored ones. Rows are written in the order of
    their identities, so that two batches never wait for each other.
    """
    wanted: dict[Identity, IncomingAuthor] = {}
    for source, author in given:
        wanted[source, author.id] = _merged(wanted.get((source, author.id)), author)
    if not wanted:
        return {}
    stored = _stored(wanted)
    missing = sorted(set(wanted) - set(stored))
    if missing:
        Author.objects.bulk_create(
            [Author(source=source, external_id=id, **_facts(wanted[source, id])) for source, id in missing],
            ignore_conflicts=True,
        )
        stored |= _stored(missing)
    for identity in sorted(set(wanted).difference(missing)):
        known = stored[identity]
        news = {name: value for name, value in _facts(wanted[identity]).items() if value != getattr(known, name)}
        if news:
            Author.objects.filter(pk=known.pk).update(**news)
    return {identity: author.pk for identity, author in stored.items()}


def _merged(earlier: IncomingAuthor | None, later: IncomingAuthor) -> IncomingAuthor:
    return later if earlier is None else IncomingAuthor(**{"id": later.id, **_facts(earlier), **_facts(later)})


def _facts(author: IncomingAuthor) -> dict[str, Any]:
    """Return the facts that are told."""
    facts = {name: getattr(author, name) for name in FACTS}
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def _stored(identities: Iterable[Identity]) -> dict[Identity, Author]:
    by_source: dict[str, list[str]] = {}
    for source, id in identities:
        by_source.setdefault(source, []).append(id)
    found: dict[Identity, Author] = {}
    for source, ids in by_source.items():
        for start in range(0, len(ids), ASKED):
            rows = Author.objects.filter(source=source, external_id__in=ids[start : start + ASKED])
            found |= {(row.source, row.external_id): row for row in rows}
    return found
