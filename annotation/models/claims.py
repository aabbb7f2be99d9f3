"""How workers claim the rows of each model. Claiming and releasing are in annotation.database.claims."""

from datetime import timedelta

from annotation.database.claims import Claims
from annotation.models.devices import DeviceLoan
from annotation.models.exports import Export
from annotation.models.guards import ShadowRequest
from annotation.models.items import Item
from annotation.models.review_support import Regeneration
from annotation.models.reviews import GoldLabel
from annotation.models.webhooks import Delivery
from annotation.status import DeliveryState, ExportState, ItemStatus, RegenerationState, TargetSource

ITEM_ATTEMPTS = 3


def _items_at_once(attempts: int, limit: int) -> int:
    """How many items to claim at once.

    After a failed attempt an item is claimed alone: one that kills its worker holds its neighbours for one claim only.
    """
    return 1 if attempts else limit


ITEM_CLAIMS = Claims(
    Item,
    state="status",
    open=(ItemStatus.PENDING,),
    held=ItemStatus.PREDICTING,
    most_attempts=ITEM_ATTEMPTS,
    size=_items_at_once,
)
SHADOW_CLAIMS = Claims(
    ShadowRequest,
    most_attempts=3,
    # no user waits for these
    times=10,
    size=lambda attempts, limit: 1 if attempts else limit,
    related=("item",),
)
TARGET_CLAIMS = Claims(
    GoldLabel,
    state="target_source",
    open=(TargetSource.PENDING,),
    fence="target_claimed_until",
    until="target_claimed_until",
    attempts="target_attempts",
    most_attempts=3,
    # several rounds of rollouts, and no user waits for them
    times=10,
    related=("item", "review", "prediction", "policy_version"),
)
REGENERATION_CLAIMS = Claims(
    Regeneration,
    state="state",
    open=(RegenerationState.QUEUED, RegenerationState.RUNNING),
    held=RegenerationState.RUNNING,
    most_attempts=3,
    related=("item", "prediction"),
)
EXPORT_CLAIMS = Claims(
    Export,
    state="state",
    open=(ExportState.QUEUED, ExportState.RUNNING),
    held=ExportState.RUNNING,
    # time to write one file
    most_attempts=3,
)
DELIVERY_CLAIMS = Claims(
    Delivery,
    state="state",
    open=(DeliveryState.WAITING,),
    fence="due_at",
    until="due_at",
    lasts=timedelta(minutes=2),
)
LOAN_CLAIMS = Claims(DeviceLoan, fence="token", until="until", attempts="")
