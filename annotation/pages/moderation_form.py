"""The form of moderation's thresholds: one row for all harm, one for each category of the policy."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import ModerationThreshold, ReviewQueue


def _score() -> forms.FloatField:
    return forms.FloatField(required=False, min_value=0, max_value=1.1, widget=forms.NumberInput(attrs={"step": "0.01", "class": "input"}))


class ThresholdForm(forms.Form):
    """Both scores, or neither: then the category has the common ones."""

    review_at = _score()
    block_at = _score()
    queue = forms.ModelChoiceField(ReviewQueue.objects.order_by("name"), required=False, empty_label=_("Default"),
                                   widget=forms.Select(attrs={"class": "input"}))

    def __init__(self, data: Any, *, category: str, name: str, row: ModerationThreshold | None) -> None:
        initial = {"review_at": row.review_at, "block_at": row.block_at, "queue": row.queue_id} if row else {}
        super().__init__(data, prefix=category, initial=initial)
        self.category, self.name, self.row = category, name, row
        for field, words in (("review_at", _("Review at")), ("block_at", _("Block at")), ("queue", _("Queue"))):
            self.fields[field].widget.attrs["aria-label"] = f"{name}: {words}"

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        scores = (given.get("review_at"), given.get("block_at"))
        if self.errors:
            return given
        if None in scores and (scores != (None, None) or given.get("queue") is not None):
            raise forms.ValidationError(_("Give both scores, or leave the row empty."))
        if scores != (None, None) and scores[1] < scores[0]:  # type: ignore[operator]  # both are numbers
            raise forms.ValidationError(_("Blocking cannot begin below reviewing."))
        return given
