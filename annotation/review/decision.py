"""A reviewer's decision as a value object, and the checks on it that need no database."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from django.utils.translation import gettext as _

from annotation.errors import DecisionNotValid
from annotation.models import Item, Prediction
from annotation.predictions.active_policy import KnownCategory
from annotation.review.step_links import MOST_LINKS, Link, check_link
from annotation.status import Demand, ErrorKind, ReviewKind, ReviewMode, StepMark
from guardapp.guard.steps import clean_step
from guardapp.guard.taxonomy import Harmfulness

MAX_NOTE_CHARACTERS = 10_000
MAX_REASON_CHARACTERS = 300
MAX_STEPS = 64


@dataclass(frozen=True, slots=True)
class StepReview:
    """One step: the guard's text (None for a step that the reviewer added), their mark and replacement text."""

    text: str | None
    mark: StepMark | None = None
    edit: str | None = None
    links: tuple[Link, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Parse the output of `as_json`. Raises DecisionNotValid."""
        mark, links = row.get("mark"), tuple(Link.of(link) for link in row.get("links", []))
        return cls(row.get("text"), StepMark(mark) if mark else None, row.get("edit"), links)

    def as_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"text": self.text, "mark": self.mark, "edit": self.edit}
        return plain | {"links": [link.as_json() for link in self.links]} if self.links else plain


@dataclass(frozen=True, slots=True)
class Decision:
    """A submitted decision. `response_label` is None if and only if the item has no response."""

    kind: ReviewKind
    prompt_label: Harmfulness
    response_label: Harmfulness | None = None
    categories: tuple[str, ...] = ()
    severity: int | None = None
    confidence: int | None = None
    note: str = ""
    reason: str = ""
    error_kinds: tuple[ErrorKind, ...] = ()
    steps: tuple[StepReview, ...] = ()

    def columns(self) -> dict[str, Any]:
        """The decision as columns of a Review. Drafts of the review page have the same shape."""
        values = {name: getattr(self, name) for name in COLUMNS}
        lists = {"categories": list(self.categories), "error_kinds": list(self.error_kinds)}
        return values | lists | {"steps": [step.as_json() for step in self.steps]}


COLUMNS = tuple(one.name for one in fields(Decision))


def check_decision(
    decision: Decision,
    item: Item,
    prediction: Prediction | None,
    mode: ReviewMode,
    categories: Collection[KnownCategory],
    demands: Collection[str] = (),
) -> None:
    """Validate a decision. Raises DecisionNotValid with the field and how to fix it.

    `demands` are those of the queue. `categories` are the policy's, with the retired ones, which a decision may name:
    the reviewer may have begun under an earlier version, and accepting a judgement keeps its categories.
    """
    if item.response is None and decision.response_label is not None:
        raise DecisionNotValid("response_label", _("must be empty: this item has no response."))
    if item.response is not None and decision.response_label is None:
        raise DecisionNotValid("response_label", _("is missing: say whether the response is harmful or unharmful."))
    named = [] if prediction is None else prediction.categories
    unknown = sorted(set(decision.categories).difference((one.code for one in categories), named))
    if unknown:
        raise DecisionNotValid(
            "categories",
            _("%(unknown)s not in the policy. Use %(known)s.")
            % {"unknown": ", ".join(unknown), "known": ", ".join(one.code for one in categories if not one.retired)},
        )
    _check_values(decision)
    for missing in missing_demands(decision, demands):
        raise missing
    _check_steps(decision, prediction, mode)
    _check_links(decision, item, prediction)
    if decision.kind == ReviewKind.ACCEPTED:
        # whether the labels agree would reveal the guard's
        if mode == ReviewMode.BLIND:
            raise DecisionNotValid("kind", _("cannot be accepted: this queue is reviewed blind."))
        if prediction is None or not prediction.parsed:
            raise DecisionNotValid(
                "kind", _("cannot be accepted: the guard gave no readable judgement. Choose the labels.")
            )
        if not same_labels(decision, prediction) or any(
            wrote(step) or step.mark == StepMark.WRONG for step in decision.steps
        ):
            raise DecisionNotValid(
                "kind", _("is accepted, but labels or steps differ from the guard's. Submit it as corrected.")
            )


def missing_demands(decision: Decision, demands: Collection[str]) -> list[DecisionNotValid]:
    """What the queue demands of a harmful verdict and the decision lacks."""
    missing: list[DecisionNotValid] = []
    if Harmfulness.HARMFUL not in (decision.prompt_label, decision.response_label):
        return missing
    if Demand.CATEGORY in demands and not decision.categories:
        words = _("must name one: this queue demands a category for a harmful verdict.")
        missing.append(DecisionNotValid("categories", words))
    if Demand.SEVERITY in demands and decision.severity is None:
        words = _("is missing: this queue demands a severity for a harmful verdict.")
        missing.append(DecisionNotValid("severity", words))
    if Demand.REASON in demands and not decision.reason.strip():
        words = _("is missing: this queue demands a reason for a harmful verdict.")
        missing.append(DecisionNotValid("reason", words))
    return missing


def _check_values(decision: Decision) -> None:
    if decision.severity is not None and not 0 <= decision.severity <= 3:
        raise DecisionNotValid("severity", _("must be 0 (none) to 3 (severe)."))
    if decision.confidence is not None and not 1 <= decision.confidence <= 3:
        raise DecisionNotValid("confidence", _("must be 1 (low) to 3 (high)."))
    if len(decision.note) > MAX_NOTE_CHARACTERS:
        raise DecisionNotValid("note", _("is longer than %(most)s characters.") % {"most": f"{MAX_NOTE_CHARACTERS:,}"})
    if len(decision.reason) > MAX_REASON_CHARACTERS:
        raise DecisionNotValid(
            "reason",
            _("is longer than %(most)s characters. Put the rest into the note.") % {"most": MAX_REASON_CHARACTERS},
        )


def _check_links(decision: Decision, item: Item, prediction: Prediction | None) -> None:
    for step in decision.steps:
        if len(step.links) > MOST_LINKS:
            raise DecisionNotValid("steps", _("have more than %(most)s links at one step.") % {"most": MOST_LINKS})
        for link in step.links:
            check_link(link, item, prediction)


def _check_steps(decision: Decision, prediction: Prediction | None, mode: ReviewMode) -> None:
    if not decision.steps:
        return
    if mode == ReviewMode.BLIND:
        raise DecisionNotValid("steps", _("must be empty: this queue is reviewed blind."))
    if len(decision.steps) > MAX_STEPS:
        raise DecisionNotValid("steps", _("are more than %(most)s.") % {"most": MAX_STEPS})
    shown = list(prediction.steps) if prediction is not None else []
    if [step.text for step in decision.steps if step.text is not None] != shown:
        raise DecisionNotValid("steps", _("are not the ones that the guard wrote for this item. Reload the item."))


def wrote(step: StepReview) -> bool:
    """Whether the reviewer changed the text of the step."""
    return step.edit is not None and clean_step(step.edit) != clean_step(step.text or "")


def same_labels(decision: Decision, prediction: Prediction) -> bool:
    return (decision.prompt_label, decision.response_label) == (prediction.prompt_label, prediction.response_label)


def corrected_steps(steps: Sequence[StepReview]) -> tuple[str, ...]:
    """The reasoning with the reviewer's edits applied; steps marked wrong but not rewritten are dropped."""
    kept: list[str] = []
    for step in steps:
        text = step.text if step.edit is None else step.edit
        if step.mark == StepMark.WRONG and not wrote(step):
            continue
        if text is not None and clean_step(text):
            kept.append(clean_step(text))
    return tuple(kept)
