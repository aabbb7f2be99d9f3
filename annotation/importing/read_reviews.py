"""Reads the reviews of a record, standing ones and those taken back."""

from collections.abc import Iterator
from typing import Any

from annotation.errors import DecisionNotValid
from annotation.exporting.canonical import VALUE_OF_MARK
from annotation.importing.fields import Fields
from annotation.importing.record import Policy, ReviewFacts
from annotation.review.decision import MAX_NOTE_CHARACTERS, MAX_REASON_CHARACTERS, StepReview
from annotation.status import ErrorKind, Lane, ReviewKind, ReviewMode
from guardapp.guard.taxonomy import Harmfulness

LABELS = [label.value for label in Harmfulness]
CODE_CHARACTERS = 16
MARKS = {value: mark for mark, value in VALUE_OF_MARK.items()}


def read_reviews(record: Fields, model: Fields | None, policy: Policy) -> list[ReviewFacts]:
    """All reviews, in the order of their ids. Raises RecordNotReadable."""
    given = [(one, False) for one in record.each("review")]
    history = record.inner_or_none("history")
    if history is not None:
        given += [(one, True) for one in history.each("review")]
    found = [_review(one, -len(given) + place, model, policy, back) for place, (one, back) in enumerate(given)]
    found.sort(key=lambda one: one.id)
    ids = [one.id for one in found]
    for review, (one, _) in zip(found, sorted(given, key=lambda pair: pair[0].value.get("id") or 0), strict=True):
        if ids.count(review.id) > 1:
            raise one.wrong("id", "is used by two reviews of this record.")
        if review.upholds is not None and review.upholds not in ids[: ids.index(review.id)]:
            raise one.wrong("upholds", "names no earlier review of this record.")
    return found


def verdict_of(verdict: Fields) -> dict[str, Any]:
    """The columns of a verdict."""
    return {
        "prompt_label": verdict.choice_or_none("prompt", LABELS),
        "response_label": verdict.choice_or_none("response", LABELS),
        "categories": verdict.texts("categories", CODE_CHARACTERS),
    }


def _review(one: Fields, instead_of_id: int, model: Fields | None, policy: Policy, taken_back: bool) -> ReviewFacts:
    first, seconds = one.inner_or_none("first"), one.number("lead_time_ms", default=0.0) / 1000
    named = (one.text("policy_id", 50), one.whole("policy_version", 1)) if one.has("policy_id") else policy
    version = one.text_or_none("version", 100)
    if "version" not in one.value and model is not None:
        version = model.text("version", 100)
    columns = {
        "kind": one.choice("kind", ReviewKind.values),
        **verdict_of(one.inner("verdict")),
        "severity": one.whole_or_none("severity", 0, 3),
        "confidence": one.whole_or_none("confidence", 1, 3),
        "note": one.text("note", MAX_NOTE_CHARACTERS, default=""),
        "reason": one.text("reason", MAX_REASON_CHARACTERS, default=""),
        "error_kinds": _error_kinds(one),
        "steps": _steps(one, model),
        "mode": one.choice("mode", ReviewMode.values),
        "lane": one.choice("lane", Lane.values),
        "seconds": one.number("seconds", default=seconds),
        "created_at": one.moment("at"),
        "first_prompt_label": first.choice_or_none("prompt", LABELS) if first else None,
        "first_response_label": first.choice_or_none("response", LABELS) if first else None,
    }
    return ReviewFacts(
        id=one.whole("id", 1, 2**62, default=None) if one.has("id") else instead_of_id,
        reviewer=one.text("reviewer_pseudonym", 32, empty=False),
        version=version,
        policy=named,
        round=one.whole("round", 1, 32_000, default=1),
        columns=columns,
        upholds=one.whole_or_none("upholds", 1, 2**62),
        bulk=one.whole_or_none("bulk", 1, 2**62),
        of_hidden_gold=one.flag("hidden_gold"),
        taken_back_at=one.moment("taken_back_at") if taken_back else None,
    )


def _error_kinds(one: Fields) -> list[str]:
    kinds = one.texts("error_kinds")
    for place, kind in enumerate(kinds):
        if kind not in ErrorKind.values:
            raise one.wrong(f"error_kinds/{place}", f"is none of {', '.join(ErrorKind.values)}.")
    return kinds


def _steps(one: Fields, model: Fields | None) -> list[dict[str, Any]]:
    steps = [dict(step.value) for step in one.each("steps")] if one.has("steps") else list(_of_version_1(one, model))
    for place, step in enumerate(steps):
        try:
            StepReview.of(step)
        except (DecisionNotValid, ValueError, AttributeError, TypeError):
            raise one.wrong(f"steps/{place}", "is no step of a review: {text, mark, edit, links}.") from None
    return steps


def _of_version_1(one: Fields, model: Fields | None) -> Iterator[dict[str, Any]]:
    """The steps from their labels, edits and links."""
    texts, labels = model.texts("steps") if model is not None else [], one.listed("step_labels")
    edits = {edit.whole_or_none("step"): edit for edit in one.each("edits")}
    for place, label in enumerate(labels):
        edit = edits.get(place)
        text = edit.text("from") if edit else texts[place] if place < len(texts) else ""
        links = [
            {name: value for name, value in link.value.items() if name != "step"}
            for link in one.each("links")
            if link.value.get("step") == place
        ]
        plain = {"text": text, "mark": MARKS.get(label), "edit": edit.text("to") if edit else None}
        yield plain | {"links": links} if links else plain
    for edit in one.each("edits"):
        if edit.value.get("step") is None:
            yield {"text": None, "mark": None, "edit": edit.text("to", default="")}
