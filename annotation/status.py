"""The status words of annotation's rows. Each derived status has one writer, named here."""

from django.db.models import TextChoices


class Role(TextChoices):
    """What a person may do. A lead may do what a reviewer may; an admin may do all."""

    REVIEWER = "reviewer", "Reviewer"
    LEAD = "lead", "Lead"
    ADMIN = "admin", "Admin"


class ItemStatus(TextChoices):
    """Where an item stands in the loop. Writers: services.ingest, services.infer, services.review, services.gold."""

    PENDING = "pending", "Waiting for the guard"
    PREDICTING = "predicting", "The guard is reasoning"
    READY = "ready", "Ready for review"
    ESCALATED = "escalated", "Escalated to a lead"
    REVIEWED = "reviewed", "Reviewed"
    PREDICTION_FAILED = "prediction_failed", "Prediction failed"


class Lane(TextChoices):
    """Why an item is in front of a person."""

    UNCERTAIN = "uncertain", "Uncertain"
    AUDIT = "audit", "Audit"
    FLAGGED = "flagged", "Flagged"
    GOLD = "gold", "Gold"
    APPEAL = "appeal", "Appeal"
    COOL_DOWN = "cool_down", "Cool-down"


class VersionStatus(TextChoices):
    """Writer: training.services.promotion; candidates are made by training.services.finishing."""

    CANDIDATE = "candidate", "Candidate"
    PRODUCTION = "production", "Production"
    RETIRED = "retired", "Retired"


class AssignmentState(TextChoices):
    """Writer: services.assignment and services.review."""

    ACTIVE = "active", "Active"
    SUBMITTED = "submitted", "Submitted"
    SKIPPED = "skipped", "Skipped"
    ESCALATED = "escalated", "Escalated"
    EXPIRED = "expired", "Expired"
    UNDONE = "undone", "Undone"


# an assignment that ended so leaves no trace of a decision: the same person may hold the item again
REOPENABLE = (AssignmentState.EXPIRED, AssignmentState.UNDONE)


class ReviewMode(TextChoices):
    OPEN = "open", "Open: the guard's judgement is shown"
    DECIDE_FIRST = "decide_first", "Decide first, then see the guard's judgement"
    BLIND = "blind", "Blind: the guard's judgement is never shown"


class QueueOrder(TextChoices):
    """What a queue serves first. It becomes the items' priority when they are routed: services.route."""

    RISK = "risk", "Doubt, severity and age"
    DISAGREEMENT = "disagreement", "Disagreement of the guard with itself"
    SEVERITY = "severity", "Severity"
    OLDEST = "oldest", "Oldest report first"
    RANDOM = "random", "Random, the same for everybody"


class ErrorKind(TextChoices):
    """What was wrong with the guard's judgement, as the reviewer saw it."""

    MISSED_HARM = "missed_harm", "Missed harm"
    OVER_REFUSAL = "over_refusal", "Called harmless content harmful"
    WRONG_CATEGORY = "wrong_category", "Wrong category"
    MISREAD = "misread", "Misread the text or media"
    INVENTED = "invented", "Named evidence that is not there"
    FAULTY_REASONING = "faulty_reasoning", "The conclusion does not follow"
    POLICY = "policy", "Right on the facts, wrong by the policy"
    OTHER = "other", "Other"


class AppealState(TextChoices):
    """Writer: services.appeals."""

    OPEN = "open", "Open"
    UPHELD = "upheld", "The verdict stands"
    OVERTURNED = "overturned", "The verdict was changed"


class RegenerationState(TextChoices):
    """Writer: services.regenerate."""

    QUEUED = "queued", "Waiting for the guard"
    RUNNING = "running", "The guard is writing"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class ReviewKind(TextChoices):
    """How the person came to the verdict. Skips and escalations are assignments, not reviews."""

    ACCEPTED = "accepted", "Accepted verdict and reasoning"
    CORRECTED = "corrected", "Corrected"


class StepMark(TextChoices):
    RIGHT = "right", "Right"
    UNSURE = "unsure", "Unsure"
    WRONG = "wrong", "Wrong"


class GoldSource(TextChoices):
    CONSENSUS = "consensus", "Consensus of reviews"
    ADJUDICATED = "adjudicated", "Settled by a lead"
    APPEAL = "appeal", "Settled on appeal"
    BULK = "bulk", "Bulk decision on near-copies"


class TargetSource(TextChoices):
    """Where the reasoning that training learns from comes from."""

    ACCEPTED = "accepted", "The guard's own, accepted by a person"
    EDITED = "edited", "Edited by a person"
    OWN_ROLLOUT = "own_rollout", "The guard's own rollout that reached the gold verdict"
    FORCED_LABEL = "forced_label", "The guard's continuation with the gold verdict forced"
    PENDING = "pending", "Waiting for the guard to write it"
    UNAVAILABLE = "unavailable", "None could be made"


class EventKind(TextChoices):
    """Append-only audit."""

    INGESTED = "ingested", "Ingested"
    PREDICTED = "predicted", "Predicted"
    PREDICTION_FAILED = "prediction_failed", "Prediction failed"
    RETRIED = "retried", "Sent back to the guard"
    ASSIGNED = "assigned", "Assigned"
    RELEASED = "released", "Lease ran out"
    SKIPPED = "skipped", "Skipped"
    ESCALATED = "escalated", "Escalated"
    REVIEWED = "reviewed", "Reviewed"
    UNDONE = "undone", "Review undone"
    GOLD_SETTLED = "gold_settled", "Gold label settled"
    GOLD_WITHDRAWN = "gold_withdrawn", "Gold label withdrawn"
    PROMOTED = "promoted", "Promoted"
    ROLLED_BACK = "rolled_back", "Rolled back"
    SHADOWING = "shadowing", "Shadow mode changed"
    SNAPSHOT_CREATED = "snapshot_created", "Snapshot created"
    RUN_REQUESTED = "run_requested", "Run requested"
    EXPORTED = "exported", "Exported"
    KEY_CREATED = "key_created", "API key created"
    KEY_REVOKED = "key_revoked", "API key revoked"
    APPEALED = "appealed", "Appealed"
    APPEAL_CLOSED = "appeal_closed", "Appeal closed"
    GOLD_SUPERSEDED = "gold_superseded", "Gold label replaced by a later one"
    GOLD_STALE = "gold_stale", "Gold label stale: the policy changed"
    POLICY_CHANGED = "policy_changed", "Policy changed"
    BULK_DECIDED = "bulk_decided", "Decided in bulk"
    BULK_UNDONE = "bulk_undone", "Bulk decision undone"
    FLAGGED_FOR_LATER = "flagged_for_later", "Flagged for later"
    REROUTED = "rerouted", "Moved to another queue"
    BREAK_TAKEN = "break_taken", "Break taken"


class ApiScope(TextChoices):
    """What an API key may do."""

    ITEMS_WRITE = "items:write", "Ingest items"
    ITEMS_READ = "items:read", "Read items and their predictions"
    REVIEWS_WRITE = "reviews:write", "Take assignments and submit reviews as the key's owner"
    EXPORT = "export", "Export curated data"
    MODERATE = "moderate", "Have content judged at once"
    TRAIN = "train", "Create snapshots, start and cancel runs, promote versions"
