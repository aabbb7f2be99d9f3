"""The form of a webhook."""

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import Webhook
from annotation.status import WebhookEvent


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    url = forms.URLField(max_length=500, assume_scheme="https", label=_("Address"), widget=forms.URLInput(attrs={"placeholder": "https://"}))
    events = forms.MultipleChoiceField(choices=WebhookEvent.choices, widget=forms.CheckboxSelectMultiple, label=_("It is told when"),
                                       error_messages={"required": _("Choose at least one event.")})

    class Meta:
        model = Webhook
        fields = ["name", "url", "events"]
        labels = {"name": _("Name")}
