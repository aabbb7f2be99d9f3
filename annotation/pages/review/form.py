"""Forms of the review page, which turn submitted fields into decisions."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from annotation.database.storable import why_not_json
from annotation.errors import DecisionNotValid
from annotation.models import Item, Prediction, Review
from annotation.predictions.active_policy import KnownCategory
from annotation.review.adjudication import decision_for_guard, decision_for_side
from annotation.review.adjudication_values import GUARD, OWN
from annotation.review.decision import Decision, StepReview, same_labels, wrote
from annotation.review.step_links import Link
from annotation.status import ErrorKind, ReviewKind, StepMark
from guardapp.guard.taxonomy import Harmfulness

_LABELS = [(label.value, label.value) for label in Harmfulness]


class DecisionForm(forms.Form):
    """The decision pane.

    Steps are submitted as step-1-mark, step-1-edit, … and `added`; texts of existing steps come from the prediction.
    """

    prompt_label = forms.ChoiceField(
        choices=_LABELS, error_messages={"required": _("Choose harmful or unharmful for the prompt.")}
    )
    response_label = forms.ChoiceField(
        choices=_LABELS, required=False, error_messages={"required": _("Choose harmful or unharmful for the response.")}
    )
    categories = forms.MultipleChoiceField(required=False)
    severity = forms.TypedChoiceField(choices=[(n, n) for n in range(4)], coerce=int, empty_value=None, required=False)
    confidence = forms.TypedChoiceField(
        choices=[(n, n) for n in range(1, 4)], coerce=int, empty_value=None, required=False
    )
    note = forms.CharField(required=False, max_length=10_000, widget=forms.Textarea)
    reason = forms.CharField(required=False, max_length=300)
    error_kinds = forms.MultipleChoiceField(choices=ErrorKind.choices, required=False)

    def __init__(
        self, data: QueryDict, *, item: Item, shown: Prediction | None, categories: Sequence[KnownCategory]
    ) -> None:
        """`shown` is the prediction that the reviewer saw; None if the queue hides it. `categories` includes retired
        ones: the page may have been opened under an earlier policy.
        """
        super().__init__(data)
        self.item = item
        self.shown = shown
        self.fields["response_label"].required = item.response is not None
        if item.response is None:
            del self.fields["response_label"]
        field = self.fields["categories"]
        assert isinstance(field, forms.MultipleChoiceField)
        named = [] if shown is None else list(shown.categories)
        field.choices = [(category.code, category.name) for category in categories] + [(code, code) for code in named]

    def steps(self) -> tuple[StepReview, ...]:
        texts = list(self.shown.steps) if self.shown is not None else []
        given = [self._step(number, text) for number, text in enumerate(texts, 1)]
        added = (
            [StepReview(None, None, text.strip()) for text in self._all("added") if text.strip()]
            if self.shown is not None
            else []
        )
        return (*given, *added)

    def decision(self) -> Decision:
        """The decision; the form must be valid."""
        clean = self.cleaned_data
        response = clean.get("response_label")
        decision = Decision(
            kind=ReviewKind.CORRECTED,
            prompt_label=Harmfulness(clean["prompt_label"]),
            response_label=Harmfulness(response) if response else None,
            categories=tuple(clean["categories"]),
            severity=clean["severity"],
            confidence=clean["confidence"],
            note=clean["note"],
            steps=self.steps(),
            reason=clean["reason"],
            error_kinds=tuple(ErrorKind(kind) for kind in clean["error_kinds"]),
        )
        return replace(decision, kind=ReviewKind.ACCEPTED) if self._accepts(decision) else decision

    def draft(self) -> dict[str, Any]:
        """The form's state, complete or not; text that submitting would reject is kept as typed."""
        self.full_clean()
        clean = self.cleaned_data
        return {
            "prompt_label": clean.get("prompt_label"),
            "response_label": clean.get("response_label") or None,
            "categories": clean.get("categories", self._offered("categories")),
            "severity": clean.get("severity"),
            "confidence": clean.get("confidence"),
            "note": clean.get("note", self._one("note")),
            "reason": clean.get("reason", self._one("reason")),
            "error_kinds": clean.get("error_kinds", self._offered("error_kinds")),
            "steps": [step.as_json() for step in self.steps()],
        }

    def problems(self) -> list[str]:
        """The form's errors, as sentences."""
        return [str(problem) for problems in self.errors.values() for problem in problems]

    def _accepts(self, decision: Decision) -> bool:
        shown = self.shown
        if shown is None or not shown.parsed or not same_labels(decision, shown):
            return False
        untouched = not any(wrote(step) or step.mark == StepMark.WRONG for step in decision.steps)
        return untouched and set(decision.categories) == set(shown.categories)

    def _step(self, number: int, text: str) -> StepReview:
        mark = self._one(f"step-{number}-mark")
        edit = self._one(f"step-{number}-edit").replace("\r\n", "\n").strip()
        step = StepReview(text, StepMark(mark) if mark in StepMark.values else None, edit or None, self._links(number))
        return step if wrote(step) else replace(step, edit=None)

    def _links(self, number: int) -> tuple[Link, ...]:
        """The submitted links of a step, without unreadable ones; the service validates the rest."""
        try:
            given = json.loads(self._one(f"step-{number}-links") or "[]")
            readable = isinstance(given, list) and why_not_json(given) is None
            return tuple(Link.of(link) for link in given) if readable else ()
        except (ValueError, DecisionNotValid):
            return ()

    def _offered(self, name: str) -> list[str]:
        """The ticked values that are still among the field's choices."""
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)
        return [value for value in self._all(name) if field.valid_value(value)]

    def _one(self, name: str) -> str:
        return str(self.data.get(name) or "")

    def _all(self, name: str) -> list[str]:
        data = self.data
        return [str(value) for value in data.getlist(name)] if isinstance(data, QueryDict) else []


class AdjudicationForm(DecisionForm):
    """The decision of an adjudication: `take` is a side, the guard's judgement, or the lead's own decision."""

    take = forms.ChoiceField(
        error_messages={
            "required": _("Take a side, the guard's judgement, or decide yourself."),
            "invalid_choice": _(
                "The review whose side you took has been taken back. Reload the item and decide again."
            ),
        }
    )
    reason = forms.CharField(
        max_length=300, error_messages={"required": _("Give the reason: why does this verdict stand?")}
    )

    def __init__(
        self,
        data: QueryDict,
        *,
        item: Item,
        shown: Prediction | None,
        categories: Sequence[KnownCategory],
        sides: Sequence[Review],
    ) -> None:
        super().__init__(data, item=item, shown=shown, categories=categories)
        self.sides = {f"side-{side.pk}": side for side in sides}
        guard = [GUARD] if shown is not None and shown.parsed else []
        field = self.fields["take"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name) for name in (*self.sides, *guard, OWN)]
        for name in {"prompt_label", "response_label"} & set(self.fields):
            self.fields[name].required = self._one("take") == OWN

    @property
    def side(self) -> Review | None:
        """The review that the lead upholds; None if none."""
        return self.sides.get(self._one("take"))

    def decision(self) -> Decision:
        words = {"reason": self.cleaned_data["reason"], "note": self.cleaned_data["note"]}
        if self.side is not None:
            return self._graded(decision_for_side(self.side, prediction=self.shown, **words))
        if self.shown is not None and self.cleaned_data["take"] == GUARD:
            return self._graded(decision_for_guard(self.shown, **words))
        return super().decision()

    def _graded(self, taken: Decision) -> Decision:
        """The verdict that the lead takes, with their severity if it has none: a queue may demand one."""
        return taken if taken.severity is not None else replace(taken, severity=self.cleaned_data["severity"])

    def draft(self) -> dict[str, Any]:
        return super().draft() | {"take": self.cleaned_data.get("take", "")}
