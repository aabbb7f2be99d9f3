"""Addresses of the API, from the root: included by guardapp.urls."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from annotation.api import (
    items as api,
    appeals as api_appeals,
    exports as api_exports,
    moderation as api_moderation,
    reviews as api_reviews,
)
from annotation.web.openapi import SCHEMA_SETTINGS, DocsView
from annotation.web.problems import no_such_endpoint

urlpatterns = [
    path("api/docs", DocsView.as_view(), name="api-docs"),
    path("api/v1/schema", SpectacularAPIView.as_view(custom_settings=SCHEMA_SETTINGS), name="api-schema"),
    path("api/v1/items", api.ItemsView.as_view(), name="api-items"),
    path("api/v1/items/<int:item_id>", api.ItemView.as_view(), name="api-item"),
    path("api/v1/items/<int:item_id>/appeals", api_appeals.AppealView.as_view(), name="api-appeal"),
    path("v1/moderations", api_moderation.OpenAIView.as_view(), name="openai-moderations"),
    path("api/v1/moderate", api_moderation.ModerateView.as_view(), name="api-moderate"),
    path("api/v1/moderate/stream", api_moderation.StreamView.as_view(), name="api-moderate-stream"),
    path("api/v1/export", api.ExportView.as_view(), name="api-export"),
    path("api/v1/export/summary", api.ExportSummaryView.as_view(), name="api-export-summary"),
    path("api/v1/exports", api_exports.ExportsView.as_view(), name="api-exports"),
    path("api/v1/exports/<int:export_id>", api_exports.ExportOfView.as_view(), name="api-export-of"),
    path("api/v1/exports/<int:export_id>/files/<str:name>", api_exports.ExportFileView.as_view(), name="api-export-file"),
    path("api/v1/queues/<slug:slug>/next", api_reviews.NextView.as_view(), name="api-next"),
    path("api/v1/assignments/<uuid:token>/submit", api_reviews.SubmitView.as_view(), name="api-submit"),
    path("api/v1/assignments/<uuid:token>/reveal", api_reviews.RevealView.as_view(), name="api-reveal"),
    path("api/v1/assignments/<uuid:token>/skip", api_reviews.SkipView.as_view(), name="api-skip"),
    path("api/v1/assignments/<uuid:token>/escalate", api_reviews.EscalateView.as_view(), name="api-escalate"),
    path("api/v1/assignments/<uuid:token>/heartbeat", api_reviews.HeartbeatView.as_view(), name="api-heartbeat"),
    path("api/v1/assignments/<uuid:token>/draft", api_reviews.DraftView.as_view(), name="api-draft"),
    path("api/v1/reviews/<int:review_id>/undo", api_reviews.UndoView.as_view(), name="api-undo"),
]

# to be included after every other address of the API: what is left is answered as a problem, not as a page
unknown_urlpatterns = [re_path(r"^api/v1/", no_such_endpoint)]
