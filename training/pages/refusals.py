"""Common parts of the training pages' actions: service errors as messages, and the doorbell for the workers."""

from collections.abc import Callable
from typing import TypeVar

from django.contrib import messages
from django.http import HttpRequest

from annotation.doorbell import ring
from annotation.errors import ServiceError
from training.learning.rows import RowNotReadable
from training.recipes import RecipeUnknown, SettingUnknown
from training.recipes.launch import LaunchNotUsable
from training.tasks import execute

Made = TypeVar("Made")
# errors of services whose message is meant for the person who asked
REFUSALS = (ServiceError, SettingUnknown, RecipeUnknown, LaunchNotUsable, RowNotReadable)


def attempt(request: HttpRequest, action: Callable[[], Made]) -> Made | None:
    """Return the service's result; if it refuses, show its reason as a message and return None."""
    try:
        return action()
    except REFUSALS as error:
        messages.error(request, str(error))
        return None


def ring_workers() -> None:
    ring(execute)
