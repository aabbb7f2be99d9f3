"""Reads what else happened to an item: gold, appeals, hidden gold and events."""

from collections.abc import Iterator, Sequence
from typing import Any

from annotation.importing.fields import Fields
from annotation.importing.read_reviews import LABELS, verdict_of
from annotation.importing.record import (
    AppealFacts,
    EventFacts,
    GoldFacts,
    HiddenGoldFacts,
    Policy,
    ReviewFacts,
)
from annotation.status import AppealState, EventKind, GoldSource, TargetSource

MOST = 2**62


def read_gold(
    history: Fields | None,
    *,
    final: Fields | None = None,
    target: Fields | None = None,
    hard: Fields | None = None,
    version: str | None = None,
    policy: Policy | None = None,
) -> Iterator[GoldFacts]:
    """The final gold of a record, or without it the gold that no longer stands. Raises RecordNotReadable."""
    if final is not None and target is not None and policy is not None:
        errors = None if hard is None else hard.texts("errors")
        yield GoldFacts(
            id=final.whole("id", 1, MOST) if final.has("id") else 0,
            review=final.whole("review", 1, MOST) if final.has("review") else -1,
            version=version,
            policy=policy,
            columns=_gold_columns(final, target),
            hard=errors,
        )
    for one in history.each("gold") if history is not None else ():
        yield GoldFacts(
            id=one.whole("id", 1, MOST),
            review=one.whole("review", 1, MOST),
            version=one.text_or_none("version", 100),
            policy=(one.text("policy_id", 50), one.whole("policy_version", 1)),
            columns=_gold_columns(one, one.inner("target"))
            | {name: one.moment_or_none(name) for name in ("withdrawn_at", "superseded_at")},
            hard=one.texts("hard") if one.has("hard") else None,
        )


def _gold_columns(gold: Fields, target: Fields) -> dict[str, Any]:
    at = gold.moment("at")
    return {
        **verdict_of(gold.inner("verdict")),
        "source": gold.choice("source", GoldSource.values),
        "target_steps": target.texts("steps"),
        "target_source": target.choice("source", TargetSource.values),
        "created_at": at,
        "settled_at": gold.moment("settled_at") if gold.has("settled_at") else at,
        "stale_at": gold.moment_or_none("stale_at"),
    }


def read_appeals(history: Fields) -> Iterator[AppealFacts]:
    for one in history.each("appeals"):
        yield AppealFacts(
            id=one.whole("id", 1, MOST),
            gold=one.whole("gold", 1, MOST),
            outcome=one.whole_or_none("outcome", 1, MOST),
            opened_by=one.text_or_none("opened_by", 32),
            columns={
                "state": one.choice("state", AppealState.values),
                "reason": one.text("reason", empty=False),
                "appellant": one.text("appellant", 200, default=""),
                "opened_at": one.moment("opened_at"),
                "closed_at": one.moment_or_none("closed_at"),
            },
        )


def read_hidden_gold(history: Fields) -> HiddenGoldFacts | None:
    one = history.inner_or_none("hidden_gold")
    if one is None:
        return None
    columns = {
        "prompt_label": one.choice_or_none("prompt_label", LABELS),
        "response_label": one.choice_or_none("response_label", LABELS),
        "categories": one.texts("categories", 16),
        "note": one.text("note", default=""),
        "active": one.flag("active", default=True),
        "created_at": one.moment("created_at"),
    }
    return HiddenGoldFacts(one.text_or_none("added_by", 32), columns)


def read_events(record: Fields, reviews: Sequence[ReviewFacts], gold: GoldFacts, *, old: bool) -> Iterator[EventFacts]:
    """The audit trail. Version 1 had none: its reviews and its gold are what is known."""
    if old:
        for review in reviews:
            detail = {"review": review.id, "kind": review.columns["kind"]}
            yield EventFacts(review.columns["created_at"], EventKind.REVIEWED, review.reviewer, detail)
        yield EventFacts(gold.columns["created_at"], EventKind.GOLD_SETTLED, None, {"errors": gold.hard or []})
    for one in record.each("events"):
        yield EventFacts(
            one.moment("at"),
            one.choice("kind", EventKind.values),
            one.text_or_none("actor", 32),
            one.mapping("detail"),
        )
