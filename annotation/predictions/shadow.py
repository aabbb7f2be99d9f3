"""Shadow predictions on a share of live items, made after production's, in small batches that never delay it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from annotation.database.claims import Claim
from annotation.media.frames import Evidence, evidence_of
from annotation.models import Item, ModelVersion, Prediction, ShadowRequest
from annotation.predictions.active_policy import policy_codes, policy_for
from annotation.predictions.calibration import calibration_of
from annotation.predictions.predict import ENGINE_FAILURES, Answer, answer_greedily, prediction_row, sample_of
from annotation.predictions.shadow_requests import claim_shadow, give_back_shadow, shadow_version, waiting
from annotation.status import ItemStatus
from guardapp.guard.protocol import Engine

logger = logging.getLogger(__name__)

SHADOW_BATCH = 4  # small, because new items wait for a batch to finish


@dataclass(frozen=True, slots=True)
class Shadowed:
    """The result of one call: requests claimed and predictions stored. The rest are retried unless out of attempts."""

    claimed: int = 0
    count: int = 0


def shadow_wanted() -> bool:
    """Whether the shadow version has anything to predict."""
    version = shadow_version()
    return version is not None and waiting(version).exists()


def predict_shadow(*, engine_of: Callable[[ModelVersion], Engine]) -> Shadowed:
    """Predict the next few requests. Does nothing while items are pending for production.

    The engine is loaded only if there are requests.
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
    """Predict the claimed requests, store the results and delete the requests. `shadow` is stored on Prediction."""
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
    """Return answers and errors by item id. If the batch fails, each item is predicted alone."""
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
    """Store the answers for requests still claimed, and delete those requests.

    Existing predictions of the version are kept.
    """
    with transaction.atomic():
        held = list(claim.held().filter(item_id__in=answers).select_for_update(of=("self",)).select_related("item"))
        known = set(
            Prediction.objects.filter(version=version, item__in=[request.item_id for request in held]).values_list(
                "item_id", flat=True
            )
        )
        calibration = calibration_of(version)
        fresh = [
            prediction_row(
                request.item,
                version,
                answers[request.item_id],
                evidence[request.item_id],
                calibration,
                shadow=shadow,
            )
            for request in held
            if request.item_id not in known
        ]
        Prediction.objects.bulk_create(fresh)
        claim.held().filter(pk__in=[request.pk for request in held]).delete()
    return len(fresh)
