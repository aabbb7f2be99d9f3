"""Users, API keys and sign-in attempts."""

import secrets

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from annotation.status import Role


def new_pseudonym() -> str:
    """Generate the name that replaces the person's in exports."""
    return f"reviewer-{secrets.token_hex(4)}"


class User(AbstractUser):
    """A person. `role` determines their permissions; exports contain only `pseudonym`."""

    role = models.CharField(max_length=16, choices=Role, default=Role.REVIEWER)
    pseudonym = models.CharField(max_length=32, unique=True, default=new_pseudonym, editable=False)
    blur_media = models.BooleanField(default=True, help_text="Blur media until revealed.")
    grey_media = models.BooleanField(default=False, help_text="Show media in grey.")
    mute_media = models.BooleanField(default=True, help_text="Start videos without sound.")
    opted_out = models.JSONField(default=list, blank=True, help_text="category codes that this person is not given")
    keymap = models.JSONField(default=dict, blank=True, help_text="{action: key} where it differs from the default")
    ui_language = models.CharField(max_length=16, blank=True, help_text="BCP 47; empty: the browser's")
    time_zone = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="such as Europe/Berlin; empty: the setting"
    )
    exposure_limit_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="unblurred seconds a day; empty: the setting"
    )
    severe_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="severe items a day; empty: the setting"
    )
    groups_of_review = models.ManyToManyField("annotation.ReviewerGroup", blank=True, related_name="members")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_is_known")]

    @property
    def is_lead(self) -> bool:
        return self.role in (Role.LEAD, Role.ADMIN)

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN


class ApiKey(models.Model):
    """A program's API key, `prefix` + "." + secret. Only its sha256 is stored."""

    name = models.CharField(max_length=100)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys")
    prefix = models.CharField(max_length=16, unique=True)
    hashed_secret = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


class SignInAttempt(models.Model):
    """A sign-in attempt that failed or is still being checked.

    `key` is a digest of account and address that reveals neither.
    """

    key = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["key", "at"], name="sign_in_of_key"),
            models.Index(fields=["at"], name="sign_in_by_time"),
        ]
