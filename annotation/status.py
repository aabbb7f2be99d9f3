"""The statuses and other choices of annotation's models. Each derived status has one writer, named here."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Role(TextChoices):
    """A person's role. A lead has every permission of a reviewer; an admin has all permissions."""

    REVIEWER = "reviewer", _("Reviewer")
    LEAD = "lead", _("Lead")
    ADMIN = "admin", _("Admin")


class ItemStatus(TextChoices):
    """An item's place in the loop.

    Writers: ingest.store_items, predictions.predict, review.submit, review.gold, items.withdraw.
    """

    PENDING = "pending", _("Waiting for the guard")
    PREDICTING = "predicting", _("The guard is reasoning")
    READY = "ready", _("Ready for review")
    ESCALATED = "escalated", _("Escalated to a lead")
    REVIEWED = "reviewed", _("Reviewed")
    PREDICTION_FAILED = "prediction_failed", _("Prediction failed")
    WITHDRAWN = "withdrawn", _("Withdrawn by its sender")


class Lane(TextChoices):
    """Why an item is under review."""

    UNCERTAIN = "uncertain", _("Uncertain")
    AUDIT = "audit", _("Audit")
    FLAGGED = "flagged", _("Flagged")
    GOLD = "gold", _("Gold")
    APPEAL = "appeal", _("Appeal")
    COOL_DOWN = "cool_down", _("Cool-down")


# `Item.error_code` of an item that people decide about without a judgement, since the guard cannot read so much
TOO_LONG = "too_long_for_the_guard"


class VersionStatus(TextChoices):
    """Writer: training.versions.promotion; training.runs.finish creates candidates."""

    CANDIDATE = "candidate", _("Candidate")
    PRODUCTION = "production", _("Production")
    RETIRED = "retired", _("Retired")


class AssignmentState(TextChoices):
    """Writers: review.assign, review.leases and review.submit."""

    ACTIVE = "active", _("Active")
    SUBMITTED = "submitted", _("Submitted")
    SKIPPED = "skipped", _("Skipped")
    ESCALATED = "escalated", _("Escalated")
    EXPIRED = "expired", _("Expired")
    UNDONE = "undone", _("Undone")


# such an assignment ended without a decision, so the same person may be assigned the item again
REOPENABLE = (AssignmentState.EXPIRED, AssignmentState.UNDONE)
# the person ended it, and may undo that
ENDED_BY_PERSON = (AssignmentState.SUBMITTED, AssignmentState.SKIPPED, AssignmentState.ESCALATED)


class ReviewMode(TextChoices):
    OPEN = "open", _("Open: the guard's judgement is shown")
    DECIDE_FIRST = "decide_first", _("Decide first, then see the guard's judgement")
    BLIND = "blind", _("Blind: the guard's judgement is never shown")


class QueueOrder(TextChoices):
    """A queue's serving order. Routing turns it into the items' priority: queues.priority."""

    RISK = "risk", _("Doubt, severity, reports and age")
    DISAGREEMENT = "disagreement", _("Disagreement of the guard with itself")
    SEVERITY = "severity", _("Severity")
    OLDEST = "oldest", _("Oldest report first")
    REPORTS = "reports", _("Most reported first")
    RANDOM = "random", _("Random, the same for everybody")


class ErrorKind(TextChoices):
    """What was wrong with the guard's judgement, as the reviewer saw it."""

    MISSED_HARM = "missed_harm", _("Missed harm")
    OVER_REFUSAL = "over_refusal", _("Called harmless content harmful")
    WRONG_CATEGORY = "wrong_category", _("Wrong category")
    MISREAD = "misread", _("Misread the text or media")
    INVENTED = "invented", _("Named evidence that is not there")
    FAULTY_REASONING = "faulty_reasoning", _("The conclusion does not follow")
    POLICY = "policy", _("Right on the facts, wrong by the policy")
    OTHER = "other", _("Other")


class AppealState(TextChoices):
    """Writers: review.appeals, items.withdraw."""

    OPEN = "open", _("Open")
    UPHELD = "upheld", _("The verdict stands")
    OVERTURNED = "overturned", _("The verdict was changed")
    WITHDRAWN = "withdrawn", _("Not decided: the item was withdrawn")


class RegenerationState(TextChoices):
    """Writer: review.regenerate."""

    QUEUED = "queued", _("Waiting for the guard")
    RUNNING = "running", _("The guard is writing")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class ExportState(TextChoices):
    """Writer: exporting.export_files."""

    QUEUED = "queued", _("Waiting for a worker")
    RUNNING = "running", _("Being written")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class ExportLayout(TextChoices):
    """The file format of an export."""

    JSONL = "jsonl", _("JSON lines, gzip")
    PARQUET = "parquet", "Parquet"


class ReviewKind(TextChoices):
    """How the person reached the verdict. Skips and escalations are assignments, not reviews."""

    ACCEPTED = "accepted", _("Accepted verdict and reasoning")
    CORRECTED = "corrected", _("Corrected")


class StepMark(TextChoices):
    RIGHT = "right", _("Right")
    UNSURE = "unsure", _("Unsure")
    WRONG = "wrong", _("Wrong")


class GoldSource(TextChoices):
    CONSENSUS = "consensus", _("Consensus of reviews")
    ADJUDICATED = "adjudicated", _("Settled by a lead")
    APPEAL = "appeal", _("Settled on appeal")
    BULK = "bulk", _("Bulk decision on near-copies")


class TargetSource(TextChoices):
    """The origin of the reasoning used for training."""

    ACCEPTED = "accepted", _("The guard's own, accepted by a person")
    EDITED = "edited", _("Edited by a person")
    OWN_ROLLOUT = "own_rollout", _("The guard's own rollout that reached the gold verdict")
    FORCED_LABEL = "forced_label", _("The guard's continuation with the gold verdict forced")
    PENDING = "pending", _("Waiting for the guard to write it")
    UNAVAILABLE = "unavailable", _("None could be made")


class Demand(TextChoices):
    """What a queue can demand of a decision that finds harm."""

    CATEGORY = "category", _("A category")
    SEVERITY = "severity", _("A severity")
    REASON = "reason", _("A reason")


class EventKind(TextChoices):
    """The kinds of event in the append-only audit."""

    INGESTED = "ingested", _("Ingested")
    PREDICTED = "predicted", _("Predicted")
    PREDICTION_FAILED = "prediction_failed", _("Prediction failed")
    RETRIED = "retried", _("Sent back to the guard")
    ASSIGNED = "assigned", _("Assigned")
    RELEASED = "released", _("Lease ran out")
    SKIPPED = "skipped", _("Skipped")
    ESCALATED = "escalated", _("Escalated")
    REVIEWED = "reviewed", _("Reviewed")
    UNDONE = "undone", _("Review undone")
    TAKEN_BACK = "taken_back", _("Skip or escalation undone")
    GOLD_SETTLED = "gold_settled", _("Gold label settled")
    GOLD_WITHDRAWN = "gold_withdrawn", _("Gold label withdrawn")
    PROMOTED = "promoted", _("Promoted")
    ROLLED_BACK = "rolled_back", _("Rolled back")
    SHADOWING = "shadowing", _("Shadow mode changed")
    SNAPSHOT_CREATED = "snapshot_created", _("Snapshot created")
    RUN_REQUESTED = "run_requested", _("Run requested")
    EXPORTED = "exported", _("Exported")
    KEY_CREATED = "key_created", _("API key created")
    KEY_REVOKED = "key_revoked", _("API key revoked")
    APPEALED = "appealed", _("Appealed")
    APPEAL_CLOSED = "appeal_closed", _("Appeal closed")
    GOLD_SUPERSEDED = "gold_superseded", _("Gold label replaced by a later one")
    GOLD_STALE = "gold_stale", _("Gold label stale: the policy changed")
    POLICY_CHANGED = "policy_changed", _("Policy changed")
    BULK_DECIDED = "bulk_decided", _("Decided in bulk")
    BULK_UNDONE = "bulk_undone", _("Bulk decision undone")
    FLAGGED_FOR_LATER = "flagged_for_later", _("Flagged for later")
    REROUTED = "rerouted", _("Moved to another queue")
    REPORTED = "reported", _("Reported again")
    REOPENED = "reopened", _("Reopened by reports")
    BREAK_TAKEN = "break_taken", _("Break taken")
    THRESHOLDS_CHANGED = "thresholds_changed", _("Moderation thresholds changed")
    WEBHOOK_CHANGED = "webhook_changed", _("Webhook changed")
    WEBHOOK_REPLAYED = "webhook_replayed", _("Webhook message sent again")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    IMPORTED = "imported", _("Records imported")


class WebhookEvent(TextChoices):
    """Events that webhooks can subscribe to."""

    DECIDED = "item.decided", _("An item is decided")
    DECISION_CHANGED = "item.decision_changed", _("A decision is changed or taken back")
    WITHDRAWN = "item.withdrawn", _("An item is withdrawn by its sender")
    PROMOTED = "version.promoted", _("A version is promoted or rolled back")
    RUN_FINISHED = "run.finished", _("A run has ended")


class DeliveryState(TextChoices):
    """Writer: outbound.webhooks."""

    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Failed")


class ApiScope(TextChoices):
    """What an API key permits."""

    ITEMS_WRITE = "items:write", _("Ingest items")
    ITEMS_READ = "items:read", _("Read items and their predictions")
    REVIEWS_WRITE = "reviews:write", _("Take assignments and submit reviews as the key's owner")
    EXPORT = "export", _("Export curated data")
    MODERATE = "moderate", _("Have content judged at once")
    TRAIN = "train", _("Create snapshots, start and cancel runs, promote versions")
