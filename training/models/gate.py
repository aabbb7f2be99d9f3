"""Thresholds of the promotion gate."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import User
from training.gate.values import Thresholds

SHARES = ("alpha", "f1_margin", "category_margin", "false_positive_cap", "parse_failure_cap", "regression_cap")


class GateSettings(models.Model):
    """The gate's thresholds (training.gate.values.Thresholds), append-only: the newest row is in force."""

    alpha = models.FloatField(default=0.05)
    f1_margin = models.FloatField(default=0.02)
    category_margin = models.FloatField(default=0.05)
    false_positive_cap = models.FloatField(default=0.20)
    parse_failure_cap = models.FloatField(default=0.02)
    regression_cap = models.FloatField(default=0.02)
    fewest_rows = models.PositiveIntegerField(default=20)
    open_blocks = models.BooleanField(default=False)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{name}__gte": 0, f"{name}__lte": 1}), name=f"gate_{name}_is_0_to_1"
                )
                for name in SHARES
            ),
            models.CheckConstraint(condition=Q(fewest_rows__gte=1), name="gate_wants_at_least_a_row"),
        )

    def __str__(self) -> str:
        return f"gate of {self.at:%Y-%m-%d %H:%M}"

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(**{name: getattr(self, name) for name in (*SHARES, "fewest_rows", "open_blocks")})
