"""The settings: Django's own, and those of each subject from a module of this package.

Everything that differs between machines comes from the environment. docs/settings.md lists the variables;
`python -m guardapp.settings` writes it.
"""

from guardapp import env
from guardapp.settings.api import *  # noqa: F403
from guardapp.settings.care import *  # noqa: F403
from guardapp.settings.databases import *  # noqa: F403
from guardapp.settings.for_tests import *  # noqa: F403
from guardapp.settings.guard import *  # noqa: F403
from guardapp.settings.moderation import *  # noqa: F403
from guardapp.settings.places import *  # noqa: F403
from guardapp.settings.places import BASE_DIR, DATA_DIR
from guardapp.settings.queues import *  # noqa: F403
from guardapp.settings.web import *  # noqa: F403
from guardapp.settings.web import DEBUG, URL_PATH
from guardapp.settings.work import *  # noqa: F403

env.refuse_unknown("GUARDAPP_")

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
    "annotation.web.no_store_middleware.NoStoreMiddleware",
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
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["annotation.web.template_loader.Loader", "django.template.loaders.app_directories.Loader"],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ],
        },
    }
]

AUTH_USER_MODEL = "annotation.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# whole, since Django would put the path before it in whichever thread asks first, with what that thread knows of it
STATIC_URL = f"{URL_PATH}/static/"
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
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 1_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
