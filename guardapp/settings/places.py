"""Locations of data, media, models and messages."""

import os
import socket
from pathlib import Path

from guardapp import object_store
from guardapp.env import Section

read = Section("Storage and connections")

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = read.path(
    "GUARDAPP_DATA",
    BASE_DIR / "var",
    "data folder: database, media, models, runs, snapshots, logs (`log/`), the broker's socket",
    shown="`var/` in the source tree",
)
DATA_DIR.mkdir(parents=True, exist_ok=True)
MODELS_DIR = DATA_DIR / "models"
RUNS_DIR = DATA_DIR / "runs"
SNAPSHOTS_DIR = DATA_DIR / "snapshots"
EXPORTS_DIR = DATA_DIR / "exports"
METRICS_DIR = DATA_DIR / "metrics"
MEDIA_ROOT = DATA_DIR / "media"
FRAMES_DIR = MEDIA_ROOT / "frames"
GUARD_SOCKET = DATA_DIR / "guard.sock"
BROKER_SOCKET = DATA_DIR / "broker.sock"
# one folder per host: processes in different containers may have the same id
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(METRICS_DIR / socket.gethostname()))
Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(parents=True, exist_ok=True)

REDIS_URL = read.text(
    "REDIS_URL",
    "",
    "broker and cache of a team installation, for example `redis://host:6379/0`",
    shown="empty: a private Valkey under `manage.py up`",
)
# If media are in a bucket, MEDIA_ROOT is a local cache. None: MEDIA_ROOT holds all media.
OBJECT_STORE = object_store.parse(
    read.text(
        "GUARDAPP_MEDIA_URL",
        "",
        "`s3://BUCKET/PREFIX?endpoint=…&region=…&public=…` ([team.md](team.md#media-in-a-bucket)); boto3 finds the "
        "account's keys",
        shown="empty: media are in the data folder",
    )
)
LONGEST_LINK_SECONDS = 300
MEDIA_LINK_SECONDS = min(
    read.integer(
        "GUARDAPP_MEDIA_LINK_SECONDS",
        LONGEST_LINK_SECONDS,
        "seconds for which a link to the bucket is valid, at most 300",
        minimum=1,
    ),
    LONGEST_LINK_SECONDS,
)
MEDIA_CACHE_MB = read.integer(
    "GUARDAPP_MEDIA_CACHE_MB",
    4_096,
    "size in MB of this machine's cache of frames if media are in a bucket",
    minimum=64,
)
read.elsewhere(
    "GUARDAPP_PULSE",
    "path",
    "`guardapp.worker_alive` in the system's temporary folder",
    "file that a worker touches and its health check reads; one per process on a host",
)
