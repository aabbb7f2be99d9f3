"""People and the keys that programs act with."""

import secrets

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from annotation.status import Role


def new_pseudonym() -> str:
    """The name that exports carry instead of the person's."""
    return f"reviewer-{secrets.token_hex(4)}"


class User(AbstractUser):
    """A person. `role` says what they may do; exports carry only `pseudonym`."""

    role = models.CharField(max_length=16, choices=Role, default=Role.REVIEWER)
    pseudonym = models.CharField(max_length=32, unique=True, default=new_pseudonym, editable=False)
    blur_media = models.BooleanField(default=True, help_text="Blur media until revealed.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_is_known")]

    @property
    def is_lead(self) -> bool:
        return self.role in (Role.LEAD, Role.ADMIN)

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN


class ApiKey(models.Model):
    """A program's key: only its sha256 is kept. The key is `prefix` + "." + secret."""

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
