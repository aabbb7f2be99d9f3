"""Forms of the gate and of shadow mode."""

from django import forms

from training.gate.values import Thresholds
from training.pages.home_forms import ReasonForm


class PromoteForm(ReasonForm):
    """`override`: why an admin promotes the version although the gate did not pass."""

    override = forms.CharField(required=False, max_length=2_000)


class ThresholdsForm(forms.Form):
    """The gate's thresholds, as shares from 0 to 1."""

    alpha = forms.FloatField(min_value=0, max_value=1)
    f1_margin = forms.FloatField(min_value=0, max_value=1)
    category_margin = forms.FloatField(min_value=0, max_value=1)
    false_positive_cap = forms.FloatField(min_value=0, max_value=1)
    parse_failure_cap = forms.FloatField(min_value=0, max_value=1)
    regression_cap = forms.FloatField(min_value=0, max_value=1)
    fewest_rows = forms.IntegerField(min_value=1, max_value=1_000_000)
    open_blocks = forms.BooleanField(required=False)

    def thresholds(self) -> Thresholds:
        return Thresholds(**self.cleaned_data)


class ShadowForm(forms.Form):
    """The share of live items in percent; 0 stops shadowing."""

    percent = forms.FloatField(min_value=0, max_value=100)

    def share(self) -> float:
        return float(self.cleaned_data["percent"]) / 100
