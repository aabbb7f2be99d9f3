"""Addresses of the pages."""

from django.contrib.auth import views as auth
from django.urls import path

from annotation.views import accounts, exporting, items, media, pages, review, upload

urlpatterns = [
    path("", pages.home, name="home"),
    path("policy/", pages.policy, name="policy"),
    path("login/", auth.LoginView.as_view(template_name="annotation/login.html", redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("upload/", upload.upload, name="upload"),
    path("export/", exporting.export, name="export"),
    path("export/download/", exporting.download, name="export_download"),
    path("keys/", accounts.keys, name="keys"),
    path("keys/<slug:prefix>/revoke/", accounts.revoke, name="key_revoke"),
    path("account/blur/", accounts.blur, name="blur"),
    path("review/<slug:slug>/", review.review, name="review"),
    path("escalated/", review.review_escalated, name="review_escalated"),
    path("undo/", review.undo, name="undo_last"),
    path("undo/<int:review_id>/", review.undo, name="undo"),
    path("assignments/<uuid:token>/submit/", review.submit, name="submit"),
    path("assignments/<uuid:token>/skip/", review.skip, name="skip"),
    path("assignments/<uuid:token>/escalate/", review.escalate, name="escalate"),
    path("assignments/<uuid:token>/reveal/", review.reveal, name="reveal"),
    path("assignments/<uuid:token>/draft/", review.draft, name="draft"),
    path("assignments/<uuid:token>/heartbeat/", review.heartbeat, name="heartbeat"),
    path("assignments/<uuid:token>/retake/", review.retake, name="retake"),
    path("items/", items.items, name="items"),
    path("items/<int:item_id>/", items.item, name="item"),
    path("items/<int:item_id>/retry/", items.retry, name="item_retry"),
    path("frames/<int:prediction_id>/<int:medium>/<int:index>.png", media.frame, name="frame"),
    path("media/<slug:sha256>/", media.asset, name="asset"),
]
