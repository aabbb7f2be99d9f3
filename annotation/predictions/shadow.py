"""A shadow version predicts its share of live items silently: after production has, a few at a time, and never in its
way.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from annotation.database.claims import Claim
from annotation.media.frames import Evidence, evidence_of
from annotation.models import Item, ModelVersion, Prediction, ShadowRequest
from annotation.predictions.active_policy import policy_codes, policy_for
from annotation.predictions.predict import ENGINE_FAILURES, Answer, answer_greedily, prediction_row, sample_of
from annotation.predictions.shadow_requests import claim_shadow, give_back_shadow, shadow_version, waiting
from annotation.status import ItemStatus
from guardapp.guard.protocol import Engine

logger = logging.getLogger(__name__)

SHADOW_BATCH = 4  # as long as an item that comes in meanwhile waits at most


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What one call did: requests claimed, predictions stored. The rest wait for another attempt or are worn out."""

    claimed: int = 0
    count: int = 0


def shadow_wanted() -> bool:
    """Whether the shadow version has anything to predict."""
    version = shadow_version()
    return version is not None and waiting(version).exists()


def predict_shadow(*, engine_of: Callable[[ModelVersion], Engine]) -> Shadowed:
    """Predict the next few requests; nothing while an item waits for production's guard. The engine is loaded only for
    work.
    """
    version = shadow_version()
    if version is None or Item.objects.filter(status=ItemStatus.PENDING).exists() or not waiting(version).exists():
        return Shadowed()
    engine = engine_of(version)
    claim = claim_shadow(version=version, limit=SHADOW_BATCH)
    return answer_requests(engine, version, claim)


def answer_requests(
    engine: Engine, version: ModelVersion, claim: Claim[ShadowRequest], *, shadow: bool = True
) -> Shadowed:
    """Predict what is held, store it, and end its requests. `shadow`: as Prediction keeps it."""
    if not claim.rows:
        return Shadowed()
    items = [request.item for request in claim.rows]
    policy = policy_for(version)
    shown = evidence_of(items, policy, policy_codes(policy))
    evidence = {item_id: found for item_id, found in shown.items() if isinstance(found, Evidence)}
    errors = {item_id: str(found) for item_id, found in shown.items() if not isinstance(found, Evidence)}
    answers, failed = _ask(engine, [item for item in items if item.pk in evidence], evidence)
    give_back_shadow(claim=claim, errors=errors | failed)
    return Shadowed(len(items), _store(version, claim, answers, evidence, shadow=shadow))


def _ask(
    engine: Engine, items: Sequence[Item], evidence: dict[int, Evidence]
) -> tuple[dict[int, Answer], dict[int, str]]:
    """Answers and errors by item id. Where the batch fails each item is asked alone."""
    if not items:
        return {}, {}
    try:
        found = answer_greedily(engine, [sample_of(item, evidence[item.pk]) for item in items])
    except ENGINE_FAILURES as error:
        logger.warning("The shadow guard failed on %s items (%s)", len(items), error)
        if len(items) == 1:
            return {}, {items[0].pk: f"{type(error).__name__}: {error}"}
    else:
        return dict(zip([item.pk for item in items], found, strict=True)), {}
    alone = [_ask(engine, [item], evidence) for item in items]
    return (
        {key: answer for answers, _ in alone for key, answer in answers.items()},
        {key: error for _, errors in alone for key, error in errors.items()},
    )


def _store(
    version: ModelVersion,
    claim: Claim[ShadowRequest],
    answers: dict[int, Answer],
    evidence: dict[int, Evidence],
    *,
    shadow: bool,
) -> int:
    """Keep what is still ours to keep, and end its requests. An item that the version predicted before keeps that
    prediction.
    """
    with transaction.atomic():
        held = list(claim.held().filter(item_id__in=answers).select_for_update(of=("self",)).select_related("item"))
        known = set(
            Prediction.objects.filter(version=version, item__in=[request.item_id for request in held]).values_list(
                "item_id", flat=True
            )
        )
        fresh = [
            prediction_row(request.item, version, answers[request.item_id], evidence[request.item_id], shadow=shadow)
            for request in held
            if request.item_id not in known
        ]
        Prediction.objects.bulk_create(fresh)
        claim.held().filter(pk__in=[request.pk for request in held]).delete()
    return len(fresh)
