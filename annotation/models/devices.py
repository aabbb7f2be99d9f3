"""Sharing one device between serving and training."""

from django.db import models


class DeviceLoan(models.Model):
    """A training job's loan of the device until `until`. It must be renewed, so a dead trainer releases the device."""

    device = models.CharField(max_length=60, unique=True)
    holder = models.CharField(max_length=200, help_text="the job, as people know it")
    token = models.UUIDField()
    until = models.DateTimeField()


class DeviceUse(models.Model):
    """A process with a guard on the device.

    `seen_at` is renewed while the process lives; a row that is no longer renewed is ignored after a while.
    """

    device = models.CharField(max_length=60)
    process = models.UUIDField(unique=True)
    seen_at = models.DateTimeField()
