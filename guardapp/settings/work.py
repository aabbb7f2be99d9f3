"""Parameters of workers and reviews, and retention periods."""

from guardapp.env import Section

read = Section("Workers and reviews")

INFERENCE_BATCH = read.integer("GUARDAPP_BATCH", 32, "items that a worker claims at once", minimum=1)
CLAIM_SECONDS = read.integer(
    "GUARDAPP_CLAIM_SECONDS",
    60,
    "duration of a worker's claim in seconds. A working worker renews it three times within that time; the items of a "
    "dead worker wait until it expires",
    minimum=1,
)
AUDIT_SHARE = (
    read.integer("GUARDAPP_AUDIT_SHARE", 5, "percentage of items sent to the audit lane, whatever the guard predicts")
    / 100
)
SETTLE_SECONDS = read.integer(
    "GUARDAPP_SETTLE_SECONDS",
    10,
    "seconds in which a review can be undone before its gold label may be used for training",
)
HOLDOUT_SHARE = (
    read.integer("GUARDAPP_HOLDOUT_SHARE", 20, "percentage of a snapshot's groups held out for evaluation", minimum=1)
    / 100
)
DEMO_ITEMS = read.integer(
    "GUARDAPP_DEMO_ITEMS",
    60,
    "generated items that `manage.py up` loads into an empty installation; `0` for none",
)
# the classes of annotation.operations.retention
RETENTION_CLASSES = (
    "messages",
    "exports",
    "leases",
    "lease-events",
    "predictions",
    "regenerations",
    "shadow-requests",
    "sign-ins",
    "media",
)
RETENTION_DAYS = read.days(
    "GUARDAPP_RETENTION",
    RETENTION_CLASSES,
    "retention in days where it differs from the default, `0` for ever; the names are "
    + ", ".join(f"`{name}`" for name in RETENTION_CLASSES),
)
