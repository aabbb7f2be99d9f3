"""Has the production version judge the hidden gold, so that it is scored like reviewers from its first day.

Missing judgements are found by query and requested when the worker is next idle, such as after a promotion or when an
item becomes hidden gold. They are claimed like shadow requests, so nothing is judged twice and nothing is lost if a
worker dies.
"""

from django.db.models import Exists, OuterRef

from annotation.models import HiddenGold, Item, ModelVersion, Prediction, ShadowRequest
from annotation.predictions.shadow import SHADOW_BATCH, Shadowed, answer_requests
from annotation.predictions.shadow_requests import claim_shadow
from annotation.status import ItemStatus
from guardapp.guard.protocol import Engine


def predict_hidden_gold(*, engine: Engine, version: ModelVersion) -> Shadowed:
    """Judge the next few hidden gold items with the production version. Does nothing while items are pending."""
    if Item.objects.filter(status=ItemStatus.PENDING).exists():
        return Shadowed()
    _request_missing(version)
    return answer_requests(engine, version, claim_shadow(version=version, limit=SHADOW_BATCH), shadow=False)


def _request_missing(version: ModelVersion) -> None:
    """Request the hidden gold items that the version has neither judged nor been asked to judge."""
    judged = Prediction.objects.filter(version=version, item=OuterRef("item"))
    asked = ShadowRequest.objects.filter(version=version, item=OuterRef("item"))
    missing = HiddenGold.objects.filter(~Exists(judged), ~Exists(asked), active=True).values_list("item_id", flat=True)
    ShadowRequest.objects.bulk_create(
        [ShadowRequest(item_id=item_id, version=version) for item_id in missing], ignore_conflicts=True
    )
