"""Moderation while the caller waits."""

from guardapp.env import Section
from guardapp.settings.guard import VLLM_URLS

read = Section("Moderation while the caller waits")

GUARD_URL = read.text(
    "GUARDAPP_GUARD_URL",
    "",
    "address of `manage.py serve_guard --bind host:port`, for example `http://guard:8100`; only in a private network",
    shown="empty: the socket `guard.sock` in the data folder",
)
MODERATION_SECONDS = read.integer(
    "GUARDAPP_MODERATION_SECONDS", 30, "longest wait for an answer in seconds; a caller may request less", minimum=1
)
SERVING_BATCH = read.integer(
    "GUARDAPP_SERVING_BATCH", 32, "contents of different callers that the guard judges together", minimum=1
)
SERVING_QUEUE = read.integer(
    "GUARDAPP_SERVING_QUEUE", 256, "contents that may wait for the guard; further ones are refused with 429", minimum=1
)
# concurrent batches: servers batch themselves, a loaded guard handles one call
SERVING_WORKERS = 4 if VLLM_URLS else 1
