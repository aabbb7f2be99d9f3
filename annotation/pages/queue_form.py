"""Forms of queues and routing rules."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import ReviewerGroup, ReviewQueue, RoutingRule
from annotation.predictions.active_policy import KnownCategory, active_policy_version, offered_categories
from annotation.queues.conditions import HIGHEST, NAMES
from annotation.status import Demand
from guardapp.guard.taxonomy import Harmfulness, Modality

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SHARES = ("blind_share", "known_share", "audit_share")
LABELS = {
    "name": _("Name"),
    "slug": _("Address"),
    "mode": _("Mode"),
    "order": _("Order"),
    "reviews_per_item": _("Reviews per item"),
    "lease_minutes": _("Lease minutes"),
    "fewest_seconds": _("Fewest seconds of a decision"),
    "sla_hours": _("Hours that an item may wait"),
    "reopen_after_reports": _("New reports that reopen a decided item"),
    "open": _("Open: items are served"),
    "everybody": _("For everybody"),
    "groups": _("Groups"),
    "second_reviews_blind": _("Second reviews blind"),
    "blind_share": _("Blind share"),
    "known_share": _("Share of hidden gold"),
    "audit_share": _("Audit share"),
    "blur_default": _("Blur media until revealed"),
    "grey_default": _("Show media in grey"),
    "mute_default": _("Start videos without sound"),
    "queue": _("Queue"),
    "lane": _("Lane"),
    "enabled": _("Enabled"),
}
HINTS = {
    "mode": _("How much of the guard's judgement people see, and when."),
    "open": _("a closed queue keeps its items and serves none"),
    "order": _("What comes first. A change puts the waiting items in the new order."),
    "everybody": _("Every reviewer is given its items and may see them."),
    "groups": _("If it is not for everybody: only members are given its items and may see them; leads see all."),
    "second_reviews_blind": _("They never see the first review; this hides the guard's judgement too."),
    "blind_share": _("0 to 1. Blind whatever the mode, to see what people think on their own."),
    "known_share": _("0 to 1. Items whose verdict is known; they score people and the guard."),
    "audit_share": _("0 to 1. Always goes to people, whatever the guard says. Empty: as set for the installation."),
    "fewest_seconds": _("A faster decision is asked back once. 0: never."),
    "reopen_after_reports": _(
        "Counted since the decision; then people decide again, and the verdict stands until then. 0: never."
    ),
    "sla_hours": _("An item that waits longer is shown as late. Empty: no limit."),
}


_CATEGORIES = {False: "%(category)s (%(code)s)", True: _("%(category)s (%(code)s), retired")}


def _boxes(label: "StrOrPromise", choices: "Sequence[tuple[str, StrOrPromise]]") -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(label=label, choices=choices, required=False, widget=forms.CheckboxSelectMultiple)


def category_choices(categories: Iterable[KnownCategory]) -> list[tuple[str, str]]:
    """The categories as choices of a form, the retired ones marked."""
    return [(one.code, str(_CATEGORIES[one.retired]) % {"category": one.name, "code": one.code}) for one in categories]


def _offer_categories(form: forms.BaseForm, name: str) -> None:
    """Offer the policy's categories, and the retired ones that are chosen already: saving must not drop these."""
    field = form.fields[name]
    assert isinstance(field, forms.MultipleChoiceField)
    value = form[name].value()
    chosen = [code for code in value if isinstance(code, str)] if isinstance(value, list) else []
    field.choices = category_choices(offered_categories(active_policy_version(), chosen))


def _words(label: "StrOrPromise", help_text: "StrOrPromise") -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=2_000, help_text=help_text)


def _share() -> forms.FloatField:
    return forms.FloatField(required=False, min_value=0, max_value=1, widget=forms.NumberInput(attrs={"step": "0.01"}))


class ConditionsForm(forms.Form):
    """Conditions of a queue's filter or of a rule; an item must meet all the given ones."""

    prefix = "if"
    sources = _words(_("Sources"), _("Several with commas between."))
    authors = _words(_("Authors"), _("Ids of the platform, several with commas between."))
    modalities = _boxes(_("Modalities"), [(one.value, _(one.value)) for one in Modality])
    languages = _words(_("Languages"), _("BCP 47 codes as the senders name them: en, de, pt-BR."))
    categories = _boxes(_("Categories"), [])
    labels = _boxes(_("The guard says"), [(one.value, _(one.value)) for one in Harmfulness])
    versions = _words(_("Versions"), _("Names of guard versions."))
    score_from = _share()
    score_to = _share()
    disagreement_from = _share()
    severity_from = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", _("any")), (1, _("1 mild")), (2, _("2 grave")), (3, _("3 severe"))],
    )
    reports_from = forms.IntegerField(required=False, min_value=1, max_value=HIGHEST["reports_from"])

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        _offer_categories(self, "categories")
        for name, label, hint in (
            ("score_from", _("Probability of harm at least"), _("0 to 1.")),
            ("score_to", _("Probability of harm at most"), _("0 to 1.")),
            ("disagreement_from", _("Disagreement at least"), _("Share of the guard's rollouts, 0 to 1.")),
            ("severity_from", _("Severity at least"), ""),
            ("reports_from", _("Reports at least"), _("A waiting item is routed again with each report.")),
        ):
            self.fields[name].label, self.fields[name].help_text = label, hint

    @classmethod
    def shown(cls, conditions: dict[str, Any]) -> "ConditionsForm":
        """A form filled with stored conditions."""
        return cls(
            initial={
                name: ", ".join(value) if name in ("sources", "authors", "languages", "versions") else value
                for name, value in conditions.items()
            }
        )

    def conditions(self) -> dict[str, Any]:
        """The conditions as JSON values; the form must be valid."""
        values = dict(self.cleaned_data)
        for name in NAMES:
            given = values[name]
            values[name] = (
                [word.strip() for word in given.split(",") if word.strip()] if isinstance(given, str) else list(given)
            )
        return {name: value for name, value in values.items() if value not in (None, [], "")}


class QueueForm(forms.ModelForm):  # type: ignore[type-arg]
    demands = _boxes(_("A harmful verdict needs"), Demand.choices)
    blur_categories = _boxes(_("Always blur these categories"), [])

    class Meta:
        model = ReviewQueue
        fields = [
            "name",
            "slug",
            "mode",
            "order",
            "reviews_per_item",
            "lease_minutes",
            "fewest_seconds",
            "demands",
            "sla_hours",
            "reopen_after_reports",
            "open",
            "everybody",
            "groups",
            "second_reviews_blind",
            "blind_share",
            "known_share",
            "audit_share",
            "blur_default",
            "grey_default",
            "mute_default",
            "blur_categories",
        ]
        widgets = {
            "groups": forms.CheckboxSelectMultiple,
            **{name: forms.NumberInput(attrs={"step": "0.01"}) for name in SHARES},
        }
        labels = LABELS
        help_texts = HINTS

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if self.instance.pk:
            del self.fields["slug"]
        else:
            self.fields["slug"].help_text = _("Letters, digits and hyphens; it stands in links and cannot be changed.")
        self.fields["demands"].help_text = _("A decision that finds harm is not taken without it.")
        _offer_categories(self, "blur_categories")
        self.fields["blur_categories"].help_text = _("Media of items in which the guard names one of them.")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        for name in SHARES:
            value = values.get(name)
            if value is not None and not 0 <= value <= 1:
                self.add_error(name, _("This is a share: from 0 to 1."))
        if values.get("everybody") and values.get("groups"):
            self.add_error("groups", _("Choose either everybody or groups."))
        return values


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = RoutingRule
        fields = ["name", "queue", "lane", "enabled"]
        labels = LABELS
        help_texts = {"lane": _("Empty: as the guard's doubt says.")}


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ReviewerGroup
        fields = ["name"]
        labels = LABELS
