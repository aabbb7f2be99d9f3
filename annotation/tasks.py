"""Doorbells. Each task finds its work in the database, handles one claim, and rings again if there is more.

A lost message costs at most a minute, because beat rings too; a duplicate finds nothing to do.
"""

import logging
from collections.abc import Callable
from functools import partial, wraps

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings

from annotation.doorbell import ring
from annotation.exporting import export_files
from annotation.ingest import item_text
from annotation.insights import days
from annotation.operations import retention
from annotation.outbound import webhooks
from annotation.predictions import (
    claims,
    hidden_gold,
    loaded_engine,
    shared_device,
    target_reasoning,
)
from annotation.predictions.predict import predict_pending
from annotation.predictions.production import production_version
from annotation.predictions.shadow import predict_shadow, shadow_wanted
from annotation.predictions.shadow_requests import shadow_version
from annotation.queues import counts, rules
from annotation.review import leases, regenerate

logger = logging.getLogger(__name__)

# by then other rings have followed; no shorter, since the machines' clocks may be minutes apart
EXPIRES_SECONDS = 3_600
# after a claim without results: the guard or the disk may need time to recover
PAUSE_SECONDS = 10


def needs_guard(work: Callable[[], None]) -> Callable[[], None]:
    """Decorate a task that loads a guard: it does nothing while training holds the device."""

    @wraps(work)
    def guarded() -> None:
        try:
            with shared_device.on_device(partial(ring, predict)):
                work()
        except shared_device.DeviceInTraining:
            logger.info("%s waits: a training run has the device", work.__name__)

    return guarded


@shared_task(name="annotation.tasks.predict", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
@needs_guard
def predict() -> None:
    """Predict pending items, then a few hidden gold items, then let the shadow version run."""
    version, engine = loaded_engine.engine_or_former(production_version())
    done = predict_pending(engine=engine, version=version, limit=settings.INFERENCE_BATCH)
    if done.claimed:
        ring(predict, countdown=0 if done.count or done.failed or done.apart else PAUSE_SECONDS)
    elif (scored := hidden_gold.predict_hidden_gold(engine=engine, version=version)).claimed:
        ring(predict, countdown=0 if scored.count else PAUSE_SECONDS)
    elif shadow_version() is None:
        loaded_engine.release_shadow()
    elif shadow_wanted():
        ring(shadow)


@shared_task(name="annotation.tasks.shadow", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
@needs_guard
def shadow() -> None:
    """Predict for the shadow version. Rung by `predict` when production has nothing left to do."""
    done = predict_shadow(engine_of=loaded_engine.shadow_engine_for)
    if done.claimed:
        ring(shadow, countdown=0 if done.count else PAUSE_SECONDS)


@shared_task(name="annotation.tasks.complete_targets", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
@needs_guard
def complete_targets() -> None:
    version, engine = loaded_engine.engine_or_former(production_version())
    done = target_reasoning.complete_targets(engine=engine, version=version, limit=settings.INFERENCE_BATCH)
    if done.claimed:
        ring(complete_targets, countdown=0 if done.completed else PAUSE_SECONDS)


@shared_task(name="annotation.tasks.regenerate", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
@needs_guard
def write_again() -> None:
    if not regenerate.regenerations_wait():
        return
    version, engine = loaded_engine.engine_or_former(production_version())
    done = regenerate.regenerate_next(engine=engine, version=version, limit=settings.INFERENCE_BATCH)
    if done.claimed:
        ring(write_again, countdown=0 if done.done or done.failed else PAUSE_SECONDS)


@shared_task(name="annotation.tasks.release_stale", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def release_stale() -> None:
    if claims.release_stale_claims():
        ring(predict)


@shared_task(name="annotation.tasks.reroute", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def reroute() -> None:
    while rules.reroute_some():
        pass


@shared_task(name="annotation.tasks.count_queues", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def count_queues() -> None:
    if counts.renew_tallies():
        days.count_days()
    leases.forget_the_gone()


@shared_task(name="annotation.tasks.deliver", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def deliver() -> None:
    if webhooks.deliver_due():
        ring(deliver)


@shared_task(name="annotation.tasks.write_exports", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def write_exports() -> None:
    if export_files.write_next():
        ring(write_exports)


@shared_task(name="annotation.tasks.fill_search", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def fill_search() -> None:
    """Write the texts for searches of items that have none. Another worker at it at the same time does no harm."""
    if item_text.fill_some():
        ring(fill_search)


@shared_task(name="annotation.tasks.prune", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def prune() -> None:
    retention.prune()


@worker_ready.connect  # type: ignore[untyped-decorator]
def ring_at_start(**_: object) -> None:
    """Ring at worker start, so that a new worker need not wait for beat."""
    ring(release_stale)
    ring(predict)
    ring(write_again)
    ring(complete_targets)


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def leave_the_device(**_: object) -> None:
    shared_device.leave()
