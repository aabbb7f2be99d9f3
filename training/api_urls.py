"""Addresses of training's API, from the root: included by guardapp.urls."""

from django.urls import path

from training.api import base as api, runs as api_runs, schedules as api_schedules

urlpatterns = [
    path("api/v1/snapshots", api.SnapshotsView.as_view(), name="api-snapshots"),
    path("api/v1/runs", api_runs.RunsView.as_view(), name="api-runs"),
    path("api/v1/runs/<int:run_id>", api_runs.RunView.as_view(), name="api-run"),
    path("api/v1/runs/<int:run_id>/cancel", api_runs.CancelView.as_view(), name="api-run-cancel"),
    path("api/v1/runs/<int:run_id>/resume", api_runs.ResumeView.as_view(), name="api-run-resume"),
    path("api/v1/runs/<int:run_id>/clone", api_runs.CloneView.as_view(), name="api-run-clone"),
    path("api/v1/runs/<int:run_id>/rollouts", api_runs.RolloutsView.as_view(), name="api-run-rollouts"),
    path("api/v1/pipelines", api_runs.PipelinesView.as_view(), name="api-pipelines"),
    path("api/v1/pipelines/<int:pipeline_id>", api_runs.PipelineView.as_view(), name="api-pipeline"),
    path("api/v1/pipelines/<int:pipeline_id>/cancel", api_runs.CancelPipelineView.as_view(), name="api-pipeline-cancel"),
    path("api/v1/pipelines/<int:pipeline_id>/clone", api_runs.ClonePipelineView.as_view(), name="api-pipeline-clone"),
    path("api/v1/schedules", api_schedules.SchedulesView.as_view(), name="api-schedules"),
    path("api/v1/schedules/<int:schedule_id>", api_schedules.ScheduleView.as_view(), name="api-schedule"),
    path("api/v1/schedules/<int:schedule_id>/fire", api_schedules.FireView.as_view(), name="api-schedule-fire"),
    path("api/v1/versions/<int:version_id>/promote", api.PromoteView.as_view(), name="api-version-promote"),
]
