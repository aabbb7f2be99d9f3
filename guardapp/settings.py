"""The only settings module. Everything that differs between machines comes from the environment.

See docs/settings.md.
"""

import os
import secrets
import socket
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF

from guardapp import env, object_store

env.refuse_unknown(
    "GUARDAPP_",
    [
        "GUARDAPP_DATA",
        "GUARDAPP_DEBUG",
        "GUARDAPP_SECRET_KEY",
        "GUARDAPP_HOSTS",
        "GUARDAPP_ORIGINS",
        "GUARDAPP_PORT",
        "GUARDAPP_BIND",
        "GUARDAPP_HTTPS",
        "GUARDAPP_ROLLOUTS",
        "GUARDAPP_BATCH",
        "GUARDAPP_CLAIM_SECONDS",
        "GUARDAPP_SETTLE_SECONDS",
        "GUARDAPP_MEDIA_PRESET",
        "GUARDAPP_MAX_NEW_TOKENS",
        "GUARDAPP_REQUIRE_SERVICES",
        "GUARDAPP_REFERENCE_DATA",
        "GUARDAPP_WEB_WORKERS",
        "GUARDAPP_LOG_LEVEL",
        "GUARDAPP_DEVICE",
        "GUARDAPP_HOLDOUT_SHARE",
        "GUARDAPP_AUDIT_SHARE",
        "GUARDAPP_DEMO_ITEMS",
        "GUARDAPP_THREADS",
        "GUARDAPP_WEB_THREADS",
        "GUARDAPP_GUARD_URL",
        "GUARDAPP_SERVING_BATCH",
        "GUARDAPP_SERVING_QUEUE",
        "GUARDAPP_MODERATION_SECONDS",
        "GUARDAPP_VLLM_URLS",
        "GUARDAPP_VLLM_KEY",
        "GUARDAPP_VLLM_STRUCTURED",
        "GUARDAPP_TEST_VLLM",
        "GUARDAPP_WEBHOOKS_PRIVATE",
        "GUARDAPP_METRICS_TOKEN",
        "GUARDAPP_LOG_FORMAT",
        "GUARDAPP_TRACES",
        "GUARDAPP_TEST_POSTGRES",
        "GUARDAPP_TEST_REDIS",
        "GUARDAPP_MEDIA_URL",
        "GUARDAPP_MEDIA_LINK_SECONDS",
        "GUARDAPP_MEDIA_CACHE_MB",
        "GUARDAPP_IMAGE_HOSTS",
        "GUARDAPP_DATABASE_POOL",
        "GUARDAPP_PULSE",
        "GUARDAPP_SHARED_DEVICE",
        "GUARDAPP_EVALUATION_ENGINE",
        "GUARDAPP_RETENTION",
        "GUARDAPP_EXPOSURE_LIMIT_SECONDS",
        "GUARDAPP_SEVERE_LIMIT",
        "GUARDAPP_BREAK_MINUTES",
    ],
)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.path("GUARDAPP_DATA", BASE_DIR / "var")
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _secret_key() -> str:
    """From the environment, or else created once in the data folder, readable only by its owner."""
    given = env.text("GUARDAPP_SECRET_KEY", "")
    if given:
        return given
    kept = DATA_DIR / "secret_key"
    if not kept.exists():
        # mode 0600
        with tempfile.NamedTemporaryFile("w", dir=DATA_DIR, delete=False) as made:
            made.write(secrets.token_urlsafe(50))
        try:
            # atomic: if several processes create one, the first wins
            os.link(made.name, kept)
        except FileExistsError:
            pass
        finally:
            Path(made.name).unlink()
    return kept.read_text().strip()


SECRET_KEY = _secret_key()
DEBUG = env.boolean("GUARDAPP_DEBUG", False)
ALLOWED_HOSTS = env.words("GUARDAPP_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("GUARDAPP_ORIGINS", "")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "annotation",
    "training",
]

MIDDLEWARE = [
    "annotation.web.timing_middleware.TimingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "annotation.web.chunked_body_middleware.ChunkedBodyMiddleware",
    "annotation.web.clean_text_middleware.CleanTextMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "annotation.web.language_middleware.LanguageMiddleware",
    "annotation.web.permissions.SignInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "guardapp.urls"
WSGI_APPLICATION = "guardapp.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ]
        },
    }
]

_database: dict[str, Any] = dict(
    dj_database_url.config(default=f"sqlite:///{DATA_DIR / 'guardapp.sqlite3'}", conn_max_age=600)
)
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        "timeout": 30,  # seconds that a writer waits for another
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
# Number of PostgreSQL connections shared by the threads of a process; 0 gives each thread its own.
DATABASE_POOL = env.integer("GUARDAPP_DATABASE_POOL", 0)
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

AUTH_USER_MODEL = "annotation.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
# in the database rather than Redis, so that pages work while Redis is down
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
HTTPS = env.boolean("GUARDAPP_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
X_FRAME_OPTIONS = "DENY"
# If media are in a bucket, MEDIA_ROOT is a local cache. None: MEDIA_ROOT holds all media.
OBJECT_STORE = object_store.parse(env.text("GUARDAPP_MEDIA_URL", ""))
LONGEST_LINK_SECONDS = 300
MEDIA_LINK_SECONDS = min(
    env.integer("GUARDAPP_MEDIA_LINK_SECONDS", LONGEST_LINK_SECONDS, minimum=1), LONGEST_LINK_SECONDS
)
MEDIA_CACHE_MB = env.integer("GUARDAPP_MEDIA_CACHE_MB", 4_096, minimum=64)
_MEDIA_FROM = [SELF, OBJECT_STORE.origin] if OBJECT_STORE else [SELF]
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [*_MEDIA_FROM, "data:"],
        "media-src": _MEDIA_FROM,
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "guardapp.static_files.StaticFiles"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "media"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 1_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

REDIS_URL = env.text("REDIS_URL", "")
BROKER_SOCKET = DATA_DIR / "broker.sock"
CELERY_BROKER_URL = REDIS_URL or f"redis+socket://{BROKER_SOCKET}"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ROUTES = {
    "annotation.tasks.predict": {"queue": "inference"},
    "annotation.tasks.complete_targets": {"queue": "inference"},
    "annotation.tasks.shadow": {"queue": "inference"},
    "annotation.tasks.regenerate": {"queue": "inference"},
    "training.tasks.execute": {"queue": "training"},
    "*": {"queue": "default"},
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ALWAYS_EAGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# a worker waits for its broker without limit
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# a silent broker counts as down
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 5, "socket_timeout": 30, "socket_keepalive": True}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# results are not stored, so beat has nothing to clean up
CELERY_RESULT_EXPIRES = None
# retraining schedules are rows in the database; the entries below become rows too
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# doorbells: each task finds its work in the database
CELERY_BEAT_SCHEDULE = {
    "predict": {"task": "annotation.tasks.predict", "schedule": timedelta(seconds=60)},
    "complete-targets": {"task": "annotation.tasks.complete_targets", "schedule": timedelta(seconds=60)},
    "regenerate": {"task": "annotation.tasks.regenerate", "schedule": timedelta(seconds=60)},
    "reroute": {"task": "annotation.tasks.reroute", "schedule": timedelta(seconds=60)},
    "count-queues": {"task": "annotation.tasks.count_queues", "schedule": timedelta(seconds=15)},
    "deliver": {"task": "annotation.tasks.deliver", "schedule": timedelta(seconds=5)},
    "prune": {"task": "annotation.tasks.prune", "schedule": timedelta(hours=1)},
    "write-exports": {"task": "annotation.tasks.write_exports", "schedule": timedelta(seconds=60)},
    "release-stale": {"task": "annotation.tasks.release_stale", "schedule": timedelta(seconds=20)},
    "execute": {"task": "training.tasks.execute", "schedule": timedelta(seconds=60)},
    "look-at-schedules": {"task": "training.tasks.look_at_schedules", "schedule": timedelta(seconds=300)},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotation.api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["annotation.web.orjson_format.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["annotation.web.orjson_format.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "annotation.web.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "guardapp",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "DESCRIPTION": "Ingest flagged content, read predictions and reviews, export curated data.",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
}
# Training's enums that several API fields share, by their names in the OpenAPI document.
API_ENUMS = {
    "RunStatus": "training.status.RunStatus",
    "RunKind": "training.status.RunKind",
    "PromotionKind": "training.status.PromotionKind",
}

# The guard
# a local folder or a hub id
GUARD_MODEL = env.text("GUARD_MODEL", "") or str(BASE_DIR / "guardapp" / "starter")
MEDIA_PRESET = env.text("GUARDAPP_MEDIA_PRESET", "starter")
INFERENCE_BATCH = env.integer("GUARDAPP_BATCH", 32, minimum=1)  # items per claim
# sampled completions besides the greedy one; 0 for none
ROLLOUTS = env.integer("GUARDAPP_ROLLOUTS", 4)
MAX_NEW_TOKENS = env.integer("GUARDAPP_MAX_NEW_TOKENS", 256, minimum=16)
# a worker's claim on items, renewed while it works
CLAIM_SECONDS = env.integer("GUARDAPP_CLAIM_SECONDS", 60, minimum=1)
# how long a review can be undone freely; afterwards its gold may be used for training
SETTLE_SECONDS = env.integer("GUARDAPP_SETTLE_SECONDS", 10)
HOLDOUT_SHARE = env.integer("GUARDAPP_HOLDOUT_SHARE", 20, minimum=1) / 100
# Retention in days where it differs from the defaults in operations.retention; 0 keeps for ever.
RETENTION_DAYS = env.days(
    "GUARDAPP_RETENTION",
    [
        "messages",
        "exports",
        "leases",
        "lease-events",
        "predictions",
        "regenerations",
        "shadow-requests",
        "sign-ins",
        "media",
    ],
)
# share of items that always go to reviewers, whatever the guard predicts
AUDIT_SHARE = env.integer("GUARDAPP_AUDIT_SHARE", 5) / 100
# Reviewer wellbeing: daily limits, which can be set per person
# seconds of unblurred exposure
EXPOSURE_LIMIT_S = env.integer("GUARDAPP_EXPOSURE_LIMIT_SECONDS", 2 * 3_600, minimum=1)
SEVERE_LIMIT = env.integer("GUARDAPP_SEVERE_LIMIT", 100, minimum=1)  # items of the highest severity
# minutes of work without a pause after which a break is suggested
BREAK_MINUTES = env.integer("GUARDAPP_BREAK_MINUTES", 55, minimum=1)
# Moderation while the caller waits
# address of `manage.py serve_guard --bind`; empty for the socket in the data folder
GUARD_URL = env.text("GUARDAPP_GUARD_URL", "")
GUARD_SOCKET = DATA_DIR / "guard.sock"
# contents of different callers that the guard judges together
SERVING_BATCH = env.integer("GUARDAPP_SERVING_BATCH", 32, minimum=1)
# contents that may wait for the guard; further ones are refused
SERVING_QUEUE = env.integer("GUARDAPP_SERVING_QUEUE", 256, minimum=1)
# longest wait for an answer
MODERATION_SECONDS = env.integer("GUARDAPP_MODERATION_SECONDS", 30, minimum=1)
# threads per web process; moderation leaves PAGE_THREADS of them free
WEB_THREADS = env.integer("GUARDAPP_WEB_THREADS", 24, minimum=2)
PAGE_THREADS = max(1, WEB_THREADS // 8)
# addresses of `vllm serve`; empty if each worker loads the guard itself
VLLM_URLS = env.words("GUARDAPP_VLLM_URLS", "")
VLLM_KEY = env.text("GUARDAPP_VLLM_KEY", "")
# servers restrict the output to what parses
VLLM_STRUCTURED = env.boolean("GUARDAPP_VLLM_STRUCTURED", False)
# concurrent batches: servers batch themselves, a loaded guard handles one call
SERVING_WORKERS = 4 if VLLM_URLS else 1
# webhooks may call this machine and its network
WEBHOOKS_PRIVATE = env.boolean("GUARDAPP_WEBHOOKS_PRIVATE", False)
# hosts from which images are fetched by https; empty for none
IMAGE_HOSTS = env.words("GUARDAPP_IMAGE_HOSTS", "")
# token that Prometheus presents to read the metrics; empty if only leads may read them
METRICS_TOKEN = env.text("GUARDAPP_METRICS_TOKEN", "")
METRICS_DIR = DATA_DIR / "metrics"
# one folder per host: processes in different containers may have the same id
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(METRICS_DIR / socket.gethostname()))
Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(parents=True, exist_ok=True)
MODELS_DIR = DATA_DIR / "models"
RUNS_DIR = DATA_DIR / "runs"
SNAPSHOTS_DIR = DATA_DIR / "snapshots"
EXPORTS_DIR = DATA_DIR / "exports"
FRAMES_DIR = MEDIA_ROOT / "frames"
DEVICE = env.choice("GUARDAPP_DEVICE", "auto", ["auto", "cpu", "cuda"])
EVALUATION_ENGINE = env.choice("GUARDAPP_EVALUATION_ENGINE", "transformers", ["transformers", "vllm"])
# any name: serving releases this device for training; empty if each has its own
SHARED_DEVICE = env.text("GUARDAPP_SHARED_DEVICE", "")
# torch threads per worker; 0 for torch's default
WORKER_THREADS = env.integer("GUARDAPP_THREADS", 1, minimum=0)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "guardapp.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env.choice("GUARDAPP_LOG_FORMAT", "line", ["line", "json"]),
        }
    },
    "root": {
        "handlers": ["console"],
        "level": env.choice("GUARDAPP_LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"]),
    },
}
