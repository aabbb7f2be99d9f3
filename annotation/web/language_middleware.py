"""The language of the pages: the user's choice, else the browser's.

The API always uses English, because programs read its messages.
"""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.views.decorators.cache import cache_control
from django.views.i18n import JavaScriptCatalog

from annotation.models import User

API = ("/api/", "/v1/")

# translations for scripts, as an external script because the Content-Security-Policy forbids inline ones
javascript_words = login_not_required(cache_control(private=True, max_age=3600)(JavaScriptCatalog.as_view()))


class LanguageMiddleware(LocaleMiddleware):
    """Must come after the authentication middleware, because the user's choice overrides the browser's."""

    def process_request(self, request: HttpRequest) -> None:
        language = language_of(request)
        translation.activate(language)
        request.LANGUAGE_CODE = language


def language_of(request: HttpRequest) -> str:
    if request.path.startswith(API):
        return settings.LANGUAGE_CODE
    if isinstance(request.user, User) and request.user.ui_language in dict(settings.LANGUAGES):
        return request.user.ui_language
    return translation.get_language_from_request(request)
