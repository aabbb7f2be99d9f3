"""URLs of the API, from the root; included by guardapp.urls."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from annotation.api import (
    appeals,
    exports,
    items,
    moderation,
    reports,
    reviews,
    withdraw,
)
from annotation.web.openapi import SCHEMA_SETTINGS, DocsView
from annotation.web.problems import no_such_endpoint

urlpatterns = [
    path("api/docs", DocsView.as_view(), name="api-docs"),
    path("api/v1/schema", SpectacularAPIView.as_view(custom_settings=SCHEMA_SETTINGS), name="api-schema"),
    path("api/v1/items", items.ItemsView.as_view(), name="api-items"),
    path("api/v1/items/<int:item_id>", items.ItemView.as_view(), name="api-item"),
    path("api/v1/items/<int:item_id>/appeals", appeals.AppealView.as_view(), name="api-appeal"),
    path("api/v1/items/<int:item_id>/reports", reports.ReportsView.as_view(), name="api-reports"),
    path("api/v1/items/withdraw", withdraw.WithdrawManyView.as_view(), name="api-withdraw-many"),
    path("api/v1/items/<int:item_id>/withdraw", withdraw.WithdrawView.as_view(), name="api-withdraw"),
    path("v1/moderations", moderation.OpenAIView.as_view(), name="openai-moderations"),
    path("api/v1/moderate", moderation.ModerateView.as_view(), name="api-moderate"),
    path("api/v1/moderate/stream", moderation.StreamView.as_view(), name="api-moderate-stream"),
    path("api/v1/export", exports.ExportView.as_view(), name="api-export"),
    path("api/v1/export/summary", exports.ExportSummaryView.as_view(), name="api-export-summary"),
    path("api/v1/exports", exports.ExportsView.as_view(), name="api-exports"),
    path("api/v1/exports/<int:export_id>", exports.ExportOfView.as_view(), name="api-export-of"),
    path("api/v1/exports/<int:export_id>/files/<str:name>", exports.ExportFileView.as_view(), name="api-export-file"),
    path("api/v1/queues/<slug:slug>/next", reviews.NextView.as_view(), name="api-next"),
    path("api/v1/assignments/<uuid:token>/submit", reviews.SubmitView.as_view(), name="api-submit"),
    path("api/v1/assignments/<uuid:token>/reveal", reviews.RevealView.as_view(), name="api-reveal"),
    path("api/v1/assignments/<uuid:token>/skip", reviews.SkipView.as_view(), name="api-skip"),
    path("api/v1/assignments/<uuid:token>/escalate", reviews.EscalateView.as_view(), name="api-escalate"),
    path("api/v1/assignments/<uuid:token>/heartbeat", reviews.HeartbeatView.as_view(), name="api-heartbeat"),
    path("api/v1/assignments/<uuid:token>/draft", reviews.DraftView.as_view(), name="api-draft"),
    path("api/v1/assignments/undo", reviews.UndoLastView.as_view(), name="api-undo-last"),
    path("api/v1/assignments/<uuid:token>/undo", reviews.UndoAssignmentView.as_view(), name="api-undo-assignment"),
    path("api/v1/reviews/<int:review_id>/undo", reviews.UndoView.as_view(), name="api-undo"),
]

# include after every other API URL: unknown paths then get a problem response instead of an HTML page
unknown_urlpatterns = [re_path(r"^api/v1/", no_such_endpoint)]
