"""The models of the annotation app, one module per subject."""

from annotation.models.authors import Author
from annotation.models.devices import DeviceLoan, DeviceUse
from annotation.models.events import Event
from annotation.models.exports import Export, ExportFile
from annotation.models.guards import Calibration, ModelVersion, Prediction, ShadowRequest
from annotation.models.hidden_gold import HiddenGold
from annotation.models.items import Item, ItemMedia, MediaAsset
from annotation.models.moderation import ModerationThreshold
from annotation.models.people import ApiKey, SignInAttempt, User
from annotation.models.policies import Policy, PolicyCategory, PolicyVersion
from annotation.models.queues import QueueTally, ReviewDay, ReviewerGroup, ReviewQueue, RoutingRule
from annotation.models.reports import Report
from annotation.models.review_support import Exposure, Presence, Regeneration
from annotation.models.reviews import Appeal, Assignment, Draft, GoldLabel, HardSample, Review, ReviewRetraction
from annotation.models.search import BulkDecision, Fingerprint, ItemText, SavedFilter, SearchFill
from annotation.models.webhooks import Delivery, Webhook

__all__ = [
    "ApiKey",
    "Appeal",
    "Assignment",
    "Author",
    "BulkDecision",
    "Calibration",
    "Delivery",
    "DeviceLoan",
    "DeviceUse",
    "Draft",
    "Event",
    "Export",
    "ExportFile",
    "Exposure",
    "Fingerprint",
    "GoldLabel",
    "HardSample",
    "HiddenGold",
    "Item",
    "ItemMedia",
    "ItemText",
    "MediaAsset",
    "ModelVersion",
    "ModerationThreshold",
    "Policy",
    "PolicyCategory",
    "PolicyVersion",
    "Prediction",
    "Presence",
    "QueueTally",
    "Regeneration",
    "Report",
    "Review",
    "ReviewDay",
    "ReviewQueue",
    "ReviewRetraction",
    "ReviewerGroup",
    "RoutingRule",
    "SavedFilter",
    "SearchFill",
    "ShadowRequest",
    "SignInAttempt",
    "User",
    "Webhook",
]
