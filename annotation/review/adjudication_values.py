"""The adjudication page: each reviewer's judgement and the guard's, side by side, and where they differ."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotation.database.lists import count_some
from annotation.models import Assignment, Item, Prediction, Review
from annotation.review.adjudication import sides_of
from annotation.review.drafts import draft_of
from annotation.review.page_values import Step, reviewed_steps
from annotation.status import AssignmentState, ErrorKind, ItemStatus, ReviewKind, ReviewMode, StepMark

GUARD, OWN = "guard", "own"


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of a column. `kind` selects how it is rendered; `differs` is True if the columns differ in this row."""

    kind: str
    words: str
    value: Any
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A judgement. `review` is None for the guard's.

    `take` is the form value that selects this judgement, or "" if it cannot be selected.
    """

    take: str
    key: str
    who: str
    cells: tuple[Cell, ...]
    verdict: tuple[str | None, str | None]
    categories: tuple[str, ...]
    review: Review | None = None

    @property
    def blind(self) -> bool:
        return self.review is not None and self.review.mode == ReviewMode.BLIND


@dataclass(frozen=True, slots=True)
class Dispute:
    """The judgements to decide between.

    `take` is the choice in the adjudicator's draft; `questions` are this round's escalations with their reasons.
    """

    columns: tuple[Column, ...]
    questions: tuple[Assignment, ...]
    take: str
    waiting: int

    @property
    def sides(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.review is not None)

    @property
    def differing(self) -> list[str]:
        """The names of the verdict rows in which the judgements differ."""
        return [cell.words for cell in self.columns[0].cells if cell.differs and cell.kind in ("label", "codes")]


def dispute_of(assignment: Assignment) -> Dispute | None:
    """The dispute to adjudicate, or None if the item has no reviews or the holder is not adjudicating."""
    sides = sides_of(assignment)
    if not sides:
        return None
    item, prediction = assignment.item, assignment.item.prediction
    columns = _columns(item, prediction, sides)
    asked = (
        item.assignments.filter(state=AssignmentState.ESCALATED, round=item.round)
        .select_related("reviewer")
        .order_by("id")
    )
    waiting = count_some(Item.objects.filter(status=ItemStatus.ESCALATED, free_slots__gt=0))
    return Dispute(
        columns, tuple(asked), _taken(draft_of(item, assignment.reviewer), [column.take for column in columns]), waiting
    )


def _columns(item: Item, prediction: Prediction | None, sides: Sequence[Review]) -> tuple[Column, ...]:
    rows = _rows(item, prediction, sides)
    reviewers = [
        Column(
            f"side-{side.pk}",
            str(number),
            side.reviewer.pseudonym,
            tuple(row[number - 1] for row in rows),
            (side.prompt_label, side.response_label),
            tuple(side.categories),
            side,
        )
        for number, side in enumerate(sides, 1)
    ]
    if prediction is None:
        return tuple(reviewers)
    guard = Column(
        GUARD if prediction.parsed else "",
        "a",
        prediction.version.name,
        tuple(row[-1] for row in rows),
        (prediction.prompt_label, prediction.response_label),
        tuple(prediction.categories),
    )
    return (*reviewers, guard)


def _rows(item: Item, prediction: Prediction | None, sides: Sequence[Review]) -> list[list[Cell]]:
    """The cells of each row: one per side, then the guard's if there is a prediction."""
    both: list[Review | Prediction] = [*sides, *([prediction] if prediction is not None else [])]
    rows = [_row("label", _("Prompt"), [one.prompt_label for one in both])]
    if item.response is not None:
        rows.append(_row("label", _("Response"), [one.response_label for one in both]))
    rows.append(_row("codes", _("Categories"), [tuple(one.categories) for one in both], _sorted))
    own = (
        _own_words("number", _("Severity"), sides, prediction, lambda side: side.severity),
        _own_words("number", _("Confidence"), sides, prediction, lambda side: side.confidence),
        _own_words("text", _("Reason"), sides, prediction, lambda side: side.reason),
        _own_words("text", _("Note"), sides, prediction, lambda side: side.note),
        _own_words(
            "list",
            _("What was wrong with the guard's judgement"),
            sides,
            prediction,
            lambda side: [str(ErrorKind(kind).label) for kind in side.error_kinds],
        ),
    )
    rows += [row for row in own if any(cell.value not in (None, "", []) for cell in row)]
    if prediction is not None and prediction.steps:
        rows += _step_rows(prediction, sides)
    return rows


def _row(
    kind: str, words: str, values: Sequence[Any], same: Callable[[Any], Hashable] = lambda value: value
) -> list[Cell]:
    differs = len({same(value) for value in values}) > 1
    return [Cell(kind, words, value, differs) for value in values]


def _own_words(
    kind: str, words: str, sides: Sequence[Review], prediction: Prediction | None, value_of: Callable[[Review], Any]
) -> list[Cell]:
    """A row of values that only people provide. It never counts as a difference."""
    cells = [Cell(kind, words, value_of(side)) for side in sides]
    return cells if prediction is None else [*cells, Cell("none", words, None)]


def _step_rows(prediction: Prediction, sides: Sequence[Review]) -> list[list[Cell]]:
    work = [_work(side, prediction) for side in sides]
    rows = []
    for at, text in enumerate(prediction.steps):
        steps = [of[at] if at < len(of) else None for of in work]
        differs = len({_stand(step) for step in steps if step is not None}) > 1
        words = _("Step %(number)s") % {"number": at + 1}
        rows.append([*(Cell("step", words, step, differs) for step in steps), Cell("text", words, text, differs)])
    added = [[step.shown for step in of if step.text is None] for of in work]
    if any(added):
        rows.append(
            [
                *(Cell("list", _("Added steps"), texts, True) for texts in added),
                Cell("none", _("Added steps"), None, True),
            ]
        )
    return rows


def _work(side: Review, prediction: Prediction) -> tuple[Step, ...]:
    """The reviewer's work on the steps; the unchanged steps if the reviewer saw them and did nothing."""
    if side.prediction_id != prediction.pk or side.mode == ReviewMode.BLIND:
        return ()
    return reviewed_steps(side) or tuple(Step(number, text) for number, text in enumerate(prediction.steps, 1))


def _stand(step: Step) -> tuple[str, str]:
    """The reviewer's objection to a step. No mark and the mark "right" both count as none."""
    return step.mark if step.mark in (StepMark.WRONG, StepMark.UNSURE) else "", step.edit or ""


def _sorted(codes: Sequence[str]) -> Hashable:
    return tuple(sorted(codes))


def _taken(payload: dict[str, Any], offered: Sequence[str]) -> str:
    """The choice in the draft, made on the page or in an adjudication that was undone."""
    if payload.get("take"):
        take = str(payload["take"])
    elif payload.get("upholds"):
        take = f"side-{payload['upholds']}"
    elif payload.get("kind") == ReviewKind.ACCEPTED:
        take = GUARD
    else:
        take = OWN if payload.get("prompt_label") else ""
    return take if take in (*offered, OWN) else ""
