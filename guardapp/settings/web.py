"""The web: addresses, sessions, security, logs."""

import hashlib
import os
import re
import secrets
import tempfile
import zoneinfo
from pathlib import Path

from csp import constants as csp
from django.core.exceptions import ImproperlyConfigured

from guardapp.env import Section
from guardapp.settings.places import DATA_DIR, OBJECT_STORE

read = Section("The web")

BIND = read.text("GUARDAPP_BIND", "127.0.0.1", "address on which `manage.py up` listens")
PORT = read.integer("GUARDAPP_PORT", 8000, "port on which `manage.py up` listens", minimum=1)
WEB_WORKERS = read.integer("GUARDAPP_WEB_WORKERS", 2, "number of web processes", minimum=1)
WEB_THREADS = read.integer(
    "GUARDAPP_WEB_THREADS",
    24,
    "threads per web process; moderation may use all but an eighth of them. If you start gunicorn yourself, give it "
    "the same `--threads`",
    minimum=2,
)
# moderation leaves these free
PAGE_THREADS = max(1, WEB_THREADS // 8)
ALLOWED_HOSTS = read.words("GUARDAPP_HOSTS", "localhost,127.0.0.1,[::1]", "host names under which the web is reachable")
CSRF_TRUSTED_ORIGINS = read.words(
    "GUARDAPP_ORIGINS",
    "",
    "origins from which forms are accepted, with scheme, for example `https://guard.example.org`",
)
HTTPS = read.boolean(
    "GUARDAPP_HTTPS", False, "`1` behind a proxy that terminates TLS and sets `X-Forwarded-Proto`: secure cookies, HSTS"
)


def _path() -> str:
    """Without a slash at its end; "" at the root of the host."""
    given = read.text(
        "GUARDAPP_PATH",
        "",
        "path under which a proxy serves the product, for example `/guard`; the proxy may pass it on or strip it "
        "([deploy.md](deploy.md#under-a-path))",
        shown="empty: the root of the host",
    ).rstrip("/")
    if given and not re.fullmatch(r"(/[\w.~-]+)+", given, re.ASCII):
        raise ImproperlyConfigured(f"GUARDAPP_PATH={given!r} is no path such as /guard.")
    return given


URL_PATH = _path()
FORCE_SCRIPT_NAME = URL_PATH or None


def _secret_key() -> str:
    """From the environment, or else created once in the data folder, readable only by its owner."""
    given = read.text(
        "GUARDAPP_SECRET_KEY",
        "",
        "signs sessions; must be the same for all web processes of a team installation",
        shown="created once in the data folder",
    )
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
WEBHOOKS_PRIVATE = read.boolean(
    "GUARDAPP_WEBHOOKS_PRIVATE",
    False,
    "`1`: webhooks may call this machine and its private network, and pictures may be fetched from it",
)
IMAGE_HOSTS = read.words(
    "GUARDAPP_IMAGE_HOSTS",
    "",
    "hosts from which pictures are fetched by https ([team.md](team.md#pictures-by-address))",
    shown="empty: none are fetched",
)
PAGES_TIME_ZONE = read.text(
    "GUARDAPP_TIME_ZONE",
    "UTC",
    "time zone in which pages show times, such as `Europe/Berlin`, unless a person has chosen one; exports and the API "
    "always have UTC",
)
if PAGES_TIME_ZONE not in zoneinfo.available_timezones():
    raise ImproperlyConfigured(f"GUARDAPP_TIME_ZONE={PAGES_TIME_ZONE!r} is no time zone such as Europe/Berlin.")
DEBUG = read.boolean("GUARDAPP_DEBUG", False, "Django's debug pages; never on a machine that others can reach")
LOG_LEVEL = read.choice(
    "GUARDAPP_LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"], "minimum severity of logged messages"
)
LOG_FORMAT = read.choice("GUARDAPP_LOG_FORMAT", "line", ["line", "json"], "`json`: one object per line")
METRICS_TOKEN = read.text(
    "GUARDAPP_METRICS_TOKEN",
    "",
    "bearer token that Prometheus sends",
    shown="empty: only leads may read `/metrics`",
)
TRACES = read.boolean(
    "GUARDAPP_TRACES",
    False,
    "`1`: OpenTelemetry traces (extra `otel`), whose destination is set by OpenTelemetry's own "
    "variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`",
)

# in the database rather than Redis, so that pages work while Redis is down
SESSION_ENGINE = "django.contrib.sessions.backends.db"
# Browsers do not tell ports of one host apart: names of their own keep two installations from signing each other out.
COOKIES = (
    read.text(
        "GUARDAPP_COOKIES",
        "",
        "how the names of the cookies begin, the same for all web processes of an installation",
        shown="`guardapp_` and six digits from the secret key",
    )
    or f"guardapp_{hashlib.sha256(SECRET_KEY.encode()).hexdigest()[:6]}"
)
if not re.fullmatch(r"[\w-]+", COOKIES, re.ASCII):
    raise ImproperlyConfigured(f"GUARDAPP_COOKIES={COOKIES!r} has other characters than letters, digits, _ and -.")
SESSION_COOKIE_NAME = f"{COOKIES}_session"
CSRF_COOKIE_NAME = f"{COOKIES}_csrf"
LANGUAGE_COOKIE_NAME = f"{COOKIES}_language"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = f"{URL_PATH}/"
CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
X_FRAME_OPTIONS = "DENY"
_MEDIA_FROM = [csp.SELF, OBJECT_STORE.origin] if OBJECT_STORE else [csp.SELF]
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.SELF],
        "script-src": [csp.SELF],
        "style-src": [csp.SELF],
        "img-src": [*_MEDIA_FROM, "data:"],
        "media-src": _MEDIA_FROM,
        "connect-src": [csp.SELF],
        "object-src": [csp.NONE],
        "base-uri": [csp.NONE],
        "frame-ancestors": [csp.NONE],
        "form-action": [csp.SELF],
    }
}

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
            "formatter": LOG_FORMAT,
        }
    },
    "root": {
        "handlers": ["console"],
        "level": LOG_LEVEL,
    },
    # these log a line for each request at INFO
    "loggers": {"httpx2": {"level": "WARNING"}, "httpcore2": {"level": "WARNING"}},
}
