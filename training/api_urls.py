"""Addresses of training's API, from the root: included by guardapp.urls."""

from django.urls import path

from training import api

urlpatterns = [
    path("api/v1/snapshots", api.SnapshotsView.as_view(), name="api-snapshots"),
    path("api/v1/runs", api.RunsView.as_view(), name="api-runs"),
    path("api/v1/runs/<int:run_id>", api.RunView.as_view(), name="api-run"),
    path("api/v1/runs/<int:run_id>/cancel", api.CancelView.as_view(), name="api-run-cancel"),
    path("api/v1/versions/<int:version_id>/promote", api.PromoteView.as_view(), name="api-version-promote"),
]
