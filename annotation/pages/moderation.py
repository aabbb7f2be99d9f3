"""The thresholds at which moderated content is reviewed or blocked."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from annotation.models import ModerationThreshold, ReviewQueue
from annotation.moderation.thresholds import NewThreshold, set_thresholds
from annotation.pages.queue_form import category_choices
from annotation.predictions.active_policy import active_policy_version, offered_categories
from annotation.web.permissions import leads_only, person
from guardapp.guard.actions import DEFAULT_THRESHOLD, HARMFUL


def _score() -> forms.FloatField:
    return forms.FloatField(
        required=False, min_value=0, max_value=1.1, widget=forms.NumberInput(attrs={"step": "0.01", "class": "input"})
    )


class ThresholdForm(forms.Form):
    """Thresholds of one category: both scores, or neither to use the default ones."""

    review_at = _score()
    block_at = _score()
    queue = forms.ModelChoiceField(
        ReviewQueue.objects.order_by("name"),
        required=False,
        empty_label=gettext_lazy("Default"),
        widget=forms.Select(attrs={"class": "input"}),
    )

    def __init__(self, data: Any, *, category: str, name: str, row: ModerationThreshold | None) -> None:
        initial = {"review_at": row.review_at, "block_at": row.block_at, "queue": row.queue_id} if row else {}
        super().__init__(data, prefix=category, initial=initial)
        self.category, self.name, self.row = category, name, row
        for field, words in (
            ("review_at", gettext_lazy("Review at")),
            ("block_at", gettext_lazy("Block at")),
            ("queue", gettext_lazy("Queue")),
        ):
            self.fields[field].widget.attrs["aria-label"] = f"{name}: {words}"

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        scores = (given.get("review_at"), given.get("block_at"))
        if self.errors:
            return given
        if None in scores and (scores != (None, None) or given.get("queue") is not None):
            raise forms.ValidationError(gettext_lazy("Give both scores, or leave the row empty."))
        if scores != (None, None) and scores[1] < scores[0]:  # type: ignore[operator]  # both are numbers
            raise forms.ValidationError(gettext_lazy("Blocking cannot begin below reviewing."))
        return given


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def moderation(request: HttpRequest) -> HttpResponse:
    sent = request.POST if request.method == "POST" else None
    rows = {row.category: row for row in ModerationThreshold.objects.all()}
    names = {
        HARMFUL: _("All harm"),
        **dict(category_choices(offered_categories(active_policy_version(), rows.keys() - {HARMFUL}))),
    }
    rows_given = [
        ThresholdForm(sent, category=category, name=name, row=rows.get(category)) for category, name in names.items()
    ]
    if sent is not None and not any(form.errors for form in rows_given):
        set_thresholds(
            thresholds=[NewThreshold(form.category, **form.cleaned_data) for form in rows_given], actor=person(request)
        )
        messages.success(request, _("The thresholds are saved. They hold from the next request on."))
        return redirect("moderation")
    context = {"forms": rows_given, "default": DEFAULT_THRESHOLD}
    return render(request, "annotation/moderation/page.html", context, status=422 if sent is not None else 200)
