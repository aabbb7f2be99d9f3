"""The database and its connections."""

from typing import Any

import dj_database_url

from guardapp.env import Section
from guardapp.settings.places import DATA_DIR

read = Section("Storage and connections")

read.elsewhere(
    "DATABASE_URL",
    "address",
    "SQLite in the data folder",
    "for example `postgresql://user:password@host:5432/guardapp`",
)
# 0 gives each thread its own connection
DATABASE_POOL = read.integer(
    "GUARDAPP_DATABASE_POOL",
    0,
    "PostgreSQL connections shared by the threads of a process; `0`: one per thread ([team.md](team.md#connections))",
    shown="`8` under `guardapp.wsgi`, else `0`",
)

_database: dict[str, Any] = dict(
    dj_database_url.config(default=f"sqlite:///{DATA_DIR / 'guardapp.sqlite3'}", conn_max_age=600)
)
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        # seconds that a writer waits for another
        "timeout": 30,
        # takes the write lock at BEGIN, so that no lock upgrade can fail midway
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536; PRAGMA "
        "mmap_size=268435456;"
        "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864",
    }
    # a file, as in production: in-memory SQLite locks whole tables between threads without waiting
    _database["TEST"] = {"NAME": DATA_DIR / "test.sqlite3"}
elif _database["ENGINE"].endswith("postgresql"):
    # replaces a connection that a server restart has closed before it is used
    _database["CONN_HEALTH_CHECKS"] = True
    # Seconds until a silent server counts as down (tcp_user_timeout is in milliseconds).
    _database["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **_database.get("OPTIONS", {}),
    }
if DATABASE_POOL and _database["ENGINE"].endswith("postgresql"):
    # Pages and endpoints hold a connection for milliseconds; a request that waits for the guard or sends a file returns
    # its connection to the pool (annotation.database.pool). If the database is down, a request fails after 5 s. The
    # pool gives up reconnecting after 5 s too, since its retry delays would otherwise keep growing.
    _database |= {
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            "pool": {"min_size": 1, "max_size": DATABASE_POOL, "timeout": 5, "reconnect_timeout": 5, "max_idle": 300},
        },
    }
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
