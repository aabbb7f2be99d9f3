"""The version that serves judges the hidden gold by itself, so that it is scored as reviewers are, from its first day
on.

What is still to be judged follows from the rows: after a promotion, or when an item becomes hidden gold, it is asked
for at the worker's next idle moment. It is claimed as a shadow's requests are, so nothing is judged twice and a worker
that dies loses nothing.
"""

from django.db.models import Exists, OuterRef

from annotation.models import HiddenGold, Item, ModelVersion, Prediction, ShadowRequest
from annotation.predictions.shadow import SHADOW_BATCH, Shadowed, answer_requests
from annotation.predictions.shadow_requests import claim_shadow
from annotation.status import ItemStatus
from guardapp.guard.protocol import Engine


def predict_hidden_gold(*, engine: Engine, version: ModelVersion) -> Shadowed:
    """Judge the next few hidden gold items; nothing while an item waits for the guard. `version` is the one that
    serves.
    """
    if Item.objects.filter(status=ItemStatus.PENDING).exists():
        return Shadowed()
    _request_missing(version)
    return answer_requests(engine, version, claim_shadow(version=version, limit=SHADOW_BATCH), shadow=False)


def _request_missing(version: ModelVersion) -> None:
    """Ask for what the version has neither judged nor been asked."""
    judged = Prediction.objects.filter(version=version, item=OuterRef("item"))
    asked = ShadowRequest.objects.filter(version=version, item=OuterRef("item"))
    missing = HiddenGold.objects.filter(~Exists(judged), ~Exists(asked), active=True).values_list("item_id", flat=True)
    ShadowRequest.objects.bulk_create(
        [ShadowRequest(item_id=item_id, version=version) for item_id in missing], ignore_conflicts=True
    )
