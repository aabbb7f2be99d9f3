"""Rows that one of two versions has right and the other wrong, with both completions; paginated by keyset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet, Subquery

from annotation.database.lists import long_texts
from annotation.models import Item
from guardapp.guard.parsing import parse_steps
from training.models import Evaluation, EvaluationRow

PAGE = 20
PREVIEW = 8


@dataclass(frozen=True, slots=True)
class Answered:
    """A version's completion for a row."""

    parsed: bool
    prompt_label: str | None
    response_label: str | None
    steps: tuple[str, ...]
    completion: str


@dataclass(frozen=True, slots=True)
class Flip:
    item: Item | None
    gold_prompt: str | None
    gold_response: str | None
    candidate: Answered
    production: Answered


@dataclass(frozen=True, slots=True)
class FlipsPage:
    """A page of flips. `count` is the total; pass `next_after` as `after` to get the next page."""

    flips: Sequence[Flip]
    count: int
    next_after: str | None


def flips(
    candidate: Evaluation, production: Evaluation, *, fixed: bool, after: str = "", preview: bool = False
) -> FlipsPage:
    """A page of held-out rows that only the candidate has right (`fixed`), or that only production has right."""
    size = PREVIEW if preview else PAGE
    found = flipped_rows(candidate, production, fixed=fixed)
    count = found.count()
    rows = list(found.filter(row_id__gt=after).order_by("row_id")[: size + 1])
    shown = rows[:size]
    ids = [row.row_id for row in shown]
    theirs = {row.row_id: row for row in production.rows.filter(row_id__in=ids)}
    items = items_of(ids)
    listed = [
        Flip(
            items.get(row.row_id),
            row.gold.get("prompt"),
            row.gold.get("response"),
            answer_of(row),
            answer_of(theirs[row.row_id]),
        )
        for row in shown
    ]
    return FlipsPage(listed, count, shown[-1].row_id if len(rows) > size else None)


def flipped_rows(candidate: Evaluation, production: Evaluation, *, fixed: bool) -> QuerySet[EvaluationRow]:
    others = production.rows.filter(held_out=True, correct=not fixed).values("row_id")
    return candidate.rows.filter(held_out=True, correct=fixed, row_id__in=Subquery(others))


def items_of(row_ids: Sequence[str]) -> Mapping[str, Item]:
    """Items by row id; rows of a benchmark have none."""
    found = Item.objects.defer(*long_texts(item="")).in_bulk(
        [int(row_id) for row_id in row_ids if row_id.isdecimal() and len(row_id) < 19]
    )
    return {str(pk): item for pk, item in found.items()}


def answer_of(row: EvaluationRow) -> Answered:
    return Answered(
        row.parsed,
        row.predicted.get("prompt"),
        row.predicted.get("response"),
        parse_steps(row.completion),
        row.completion,
    )
