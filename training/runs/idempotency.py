"""Idempotency keys: a request that is sent twice (double click, resubmitted form, retry) starts only one thing."""

from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, transaction

from training.errors import AskedAlready
from training.models import Pipeline, TrainingRequest, TrainingRun

Made = TypeVar("Made", TrainingRun, Pipeline)


def once(*, key: str, kind: type[Made], make: Callable[[], Made]) -> Made:
    """Return what `make` returns, or the result of the first request with this key; "" means no key.

    The key is taken before the work and released if the work fails, so that a form can be corrected and resubmitted.
    Raises AskedAlready while the first request is in progress.
    """
    if not key:
        return make()
    try:
        with transaction.atomic():
            request = TrainingRequest.objects.create(key=key)
    except IntegrityError:
        return _made(key, kind)
    try:
        made = make()
    except BaseException:
        request.delete()
        raise
    column = "run" if isinstance(made, TrainingRun) else "pipeline"
    setattr(request, column, made)
    request.save(update_fields=[column])
    return made


def _made(key: str, kind: type[Made]) -> Made:
    request = TrainingRequest.objects.filter(key=key).select_related("run", "pipeline").first()
    made = (request.run or request.pipeline) if request else None
    if not isinstance(made, kind):
        raise AskedAlready
    return made
