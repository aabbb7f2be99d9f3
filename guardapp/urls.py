"""Composition root of the pages and the API."""

from django.urls import URLPattern, URLResolver, include, path

from annotation.api_urls import unknown_urlpatterns

handler500 = "annotation.web.error_pages.server_error"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("annotation.api_urls")),
    path("", include("training.api_urls")),
    *unknown_urlpatterns,
    path("", include("annotation.urls")),
    path("training/", include("training.urls")),
]
