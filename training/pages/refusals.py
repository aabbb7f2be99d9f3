"""What the actions of the training pages share: a service that may refuse, and the bell for the workers."""

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
# what services refuse with a sentence for the person who asked
REFUSALS = (ServiceError, SettingUnknown, RecipeUnknown, LaunchNotUsable, RowNotReadable)


def attempt(request: HttpRequest, action: Callable[[], Made]) -> Made | None:
    """The service's answer; where it refuses, its reason as a message and None."""
    try:
        return action()
    except REFUSALS as error:
        messages.error(request, str(error))
        return None


def ring_workers() -> None:
    ring(execute)
