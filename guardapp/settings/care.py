"""Reviewer wellbeing: daily limits, which can be set per person."""

from guardapp.env import Section

read = Section("Reviewer wellbeing")

EXPOSURE_LIMIT_S = read.integer(
    "GUARDAPP_EXPOSURE_LIMIT_SECONDS",
    2 * 3_600,
    "seconds of unblurred evidence per person and day (UTC); beyond that, only items that the guard calls harmless are "
    "served",
    minimum=1,
)
SEVERE_LIMIT = read.integer(
    "GUARDAPP_SEVERE_LIMIT", 100, "items of the highest severity per person and day, with the same effect", minimum=1
)
IDLE_SECONDS = read.integer(
    "GUARDAPP_IDLE_SECONDS",
    60,
    "seconds without a key, click or movement after which the time on the review page no longer counts as work on the "
    "item",
    minimum=5,
)
BREAK_MINUTES = read.integer(
    "GUARDAPP_BREAK_MINUTES", 55, "minutes of work without a pause after which a break is suggested", minimum=1
)
