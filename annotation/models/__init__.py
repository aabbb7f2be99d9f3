"""annotation's rows, one room a subject."""

from annotation.models.guards import ModelVersion, Prediction
from annotation.models.items import Event, Item, ItemMedia, MediaAsset, ReviewQueue
from annotation.models.people import ApiKey, User
from annotation.models.policies import Policy, PolicyCategory, PolicyVersion
from annotation.models.reviews import Assignment, Draft, GoldLabel, HardSample, Review, ReviewRetraction

__all__ = [
    "ApiKey", "Assignment", "Draft", "Event", "GoldLabel", "HardSample", "Item", "ItemMedia", "MediaAsset", "ModelVersion", "Policy",
    "PolicyCategory", "PolicyVersion", "Prediction", "Review", "ReviewQueue", "ReviewRetraction", "User",
]
