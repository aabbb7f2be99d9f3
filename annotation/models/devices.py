"""One card for serving and training: who has it now."""

from django.db import models


class DeviceLoan(models.Model):
    """A training job has the device until `until`, unless it is renewed: so a trainer that dies gives it back."""

    device = models.CharField(max_length=60, unique=True)
    holder = models.CharField(max_length=200, help_text="the job, as people know it")
    token = models.UUIDField()
    until = models.DateTimeField()


class DeviceUse(models.Model):
    """A process that has a guard on the device. `seen_at` is renewed while it lives; one that died counts no more after
    a while.
    """

    device = models.CharField(max_length=60)
    process = models.UUIDField(unique=True)
    seen_at = models.DateTimeField()
