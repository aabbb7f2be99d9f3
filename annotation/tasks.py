"""Doorbells. Each finds its work in the database, does one claim's worth, and rings again while there is more.

A lost message costs a minute (beat rings too), a second one finds nothing to do.
"""

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from annotation.services import claims, infer, known_predictions, presence, regenerate, routing, serving, tallies, targets, webhooks
from annotation.services import shadow as shadows
from annotation.services.shadow_requests import shadow_version

EXPIRES_SECONDS = 120  # a ring that waited longer has been followed by others: a busy worker leaves no heap of them behind
PAUSE_SECONDS = 10  # after a claim that came to nothing: the guard or the disk may need a moment


@shared_task(name="annotation.tasks.predict", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def predict() -> None:
    """Items that wait; then, a few at a time, hidden gold; then the shadow version has its turn."""
    version = serving.production_version()
    engine = serving.engine_for(version)
    done = infer.predict_pending(engine=engine, version=version, limit=settings.INFERENCE_BATCH)
    if done.claimed:
        predict.apply_async(countdown=0 if done.count or done.failed else PAUSE_SECONDS)
    elif (scored := known_predictions.predict_known(engine=engine, version=version)).claimed:
        predict.apply_async(countdown=0 if scored.count else PAUSE_SECONDS)
    elif shadow_version() is None:
        serving.release_shadow()
    elif shadows.shadow_wanted():
        shadow.delay()


@shared_task(name="annotation.tasks.shadow", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def shadow() -> None:
    """Rung by production's bell when it has no more to do."""
    done = shadows.predict_shadow(engine_of=serving.shadow_engine_for)
    if done.claimed:
        shadow.apply_async(countdown=0 if done.count else PAUSE_SECONDS)


@shared_task(name="annotation.tasks.complete_targets", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def complete_targets() -> None:
    version = serving.production_version()
    done = targets.complete_targets(engine=serving.engine_for(version), version=version, limit=settings.INFERENCE_BATCH)
    if done.claimed:
        complete_targets.apply_async(countdown=0 if done.completed else PAUSE_SECONDS)


@shared_task(name="annotation.tasks.regenerate", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def write_again() -> None:
    if not regenerate.regenerations_wait():
        return
    version = serving.production_version()
    done = regenerate.regenerate_next(engine=serving.engine_for(version), version=version, limit=settings.INFERENCE_BATCH)
    if done.claimed:
        write_again.apply_async(countdown=0 if done.done or done.failed else PAUSE_SECONDS)


@shared_task(name="annotation.tasks.release_stale", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def release_stale() -> None:
    if claims.release_stale_claims():
        predict.delay()


@shared_task(name="annotation.tasks.reroute", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def reroute() -> None:
    while routing.reroute_some():
        pass


@shared_task(name="annotation.tasks.count_queues", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def count_queues() -> None:
    tallies.renew_tallies()
    presence.forget_the_gone()


@shared_task(name="annotation.tasks.deliver", expires=EXPIRES_SECONDS)  # type: ignore[untyped-decorator]
def deliver() -> None:
    if webhooks.deliver_due():
        deliver.delay()


@worker_ready.connect  # type: ignore[untyped-decorator]
def look_at_once(**_: object) -> None:
    """A worker that has just started need not wait for beat."""
    release_stale.delay()
    predict.delay()
    write_again.delay()
    complete_targets.delay()
