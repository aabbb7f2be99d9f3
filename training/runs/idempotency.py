"""The same request sent twice starts one thing: a double click, a form sent again, a program that tries again."""

from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, transaction

from training.errors import AskedAlready
from training.models import Pipeline, TrainingRequest, TrainingRun

Asked = TypeVar("Asked", TrainingRun, Pipeline)


def once(*, key: str, kind: type[Asked], make: Callable[[], Asked]) -> Asked:
    """What `make` makes, or what the first request with this key made; "" is no key. Raises AskedAlready while that one
    is at work.

    The key is taken before the work and given back where the work fails, so that the same form can be mended and sent
    again.
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


def _made(key: str, kind: type[Asked]) -> Asked:
    request = TrainingRequest.objects.filter(key=key).select_related("run", "pipeline").first()
    made = (request.run or request.pipeline) if request else None
    if not isinstance(made, kind):
        raise AskedAlready
    return made
