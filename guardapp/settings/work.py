"""Parameters of workers and reviews, and retention periods."""

from guardapp.env import Section

read = Section("The work")

INFERENCE_BATCH = read.integer("GUARDAPP_BATCH", 32, "items that a worker claims at once", minimum=1)
CLAIM_SECONDS = read.integer(
    "GUARDAPP_CLAIM_SECONDS",
    60,
    "how long a worker's claim outlives its last renewal. It is renewed three times in that span while the worker "
    "works, so this is how long the items of a dead worker wait",
    minimum=1,
)
AUDIT_SHARE = (
    read.integer("GUARDAPP_AUDIT_SHARE", 5, "per cent of items that go to the audit lane whatever the guard says") / 100
)
SETTLE_SECONDS = read.integer(
    "GUARDAPP_SETTLE_SECONDS", 10, "how long a review can be undone before training may take its gold label"
)
HOLDOUT_SHARE = (
    read.integer(
        "GUARDAPP_HOLDOUT_SHARE", 20, "per cent of a snapshot's groups that are kept for evaluation", minimum=1
    )
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
    "days that something is kept where it differs from the default, `0` for ever; the names are "
    + ", ".join(f"`{name}`" for name in RETENTION_CLASSES),
)
