"""Locations of data, media, models and messages."""

import os
import socket
from pathlib import Path

from guardapp import object_store, redis_tls
from guardapp.env import Section

read = Section("Storage and connections")

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = read.path(
    "GUARDAPP_DATA",
    BASE_DIR / "var",
    "data folder: database, media, models, runs, snapshots, logs (`log/`), the broker's socket",
    shown="`var/` in the source tree",
)
UMASK = read.choice(
    "GUARDAPP_UMASK",
    "077",
    ["077", "027", "022"],
    "what others on this machine may do with files of the data folder and of backups: nothing; `027` lets their group "
    "read, such as a proxy that serves static files; `022` everybody",
)
os.umask(int(UMASK, 8))
DATA_DIR.mkdir(parents=True, exist_ok=True)
BACKUP_KEY = read.text(
    "GUARDAPP_BACKUP_KEY",
    "",
    "signs backups; `manage.py restore` then takes only backups signed with it. Keep it elsewhere than the backups",
    shown="empty: backups are not signed",
)
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
    "broker of a team installation, for example `redis://host:6379/0`, or `rediss://host:6379/0` for TLS "
    "([team.md](team.md#redis-over-tls))",
    shown="empty: a private Valkey under `manage.py up`",
)
REDIS_CA = read.text(
    "GUARDAPP_REDIS_CA",
    "",
    "file with the certificates that sign the one of a `rediss://` server, which is always checked, name included",
    shown="empty: those of the system",
)
REDIS_TLS: dict[str, object] | None = redis_tls.options(REDIS_URL, REDIS_CA)
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
KEEP_METADATA = read.boolean(
    "GUARDAPP_KEEP_METADATA",
    False,
    "`1`: media are stored as sent. Otherwise EXIF, places, names, comments and previews are taken out of JPEG, PNG, "
    "WebP, GIF, MP4 and QuickTime files before they are stored",
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
