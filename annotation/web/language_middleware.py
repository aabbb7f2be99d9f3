"""The language and the time zone of the pages: the user's choice, else the browser's and the installation's.

The API always uses English, because programs read its messages.
"""

import zoneinfo

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import timezone, translation
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
        timezone.activate(zone_of(request))

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        timezone.deactivate()
        return super().process_response(request, response)


def zone_of(request: HttpRequest) -> str:
    """The time zone that pages show times in: the person's, else the installation's. For programs UTC."""
    if request.path_info.startswith(API):
        return "UTC"
    zone = request.user.time_zone if isinstance(request.user, User) else ""
    return zone if zone in zoneinfo.available_timezones() else settings.PAGES_TIME_ZONE


def language_of(request: HttpRequest) -> str:
    if request.path_info.startswith(API):
        return settings.LANGUAGE_CODE
    if isinstance(request.user, User) and request.user.ui_language in dict(settings.LANGUAGES):
        return request.user.ui_language
    return translation.get_language_from_request(request)
