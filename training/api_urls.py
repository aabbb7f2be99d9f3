"""URLs of training's API, included by guardapp.urls at the root."""

from django.urls import path

from training.api import base, runs, schedules

urlpatterns = [
    path("api/v1/snapshots", base.SnapshotsView.as_view(), name="api-snapshots"),
    path("api/v1/runs", runs.RunsView.as_view(), name="api-runs"),
    path("api/v1/runs/<int:run_id>", runs.RunView.as_view(), name="api-run"),
    path("api/v1/runs/<int:run_id>/cancel", runs.CancelView.as_view(), name="api-run-cancel"),
    path("api/v1/runs/<int:run_id>/resume", runs.ResumeView.as_view(), name="api-run-resume"),
    path("api/v1/runs/<int:run_id>/clone", runs.CloneView.as_view(), name="api-run-clone"),
    path("api/v1/runs/<int:run_id>/rollouts", runs.RolloutsView.as_view(), name="api-run-rollouts"),
    path("api/v1/pipelines", runs.PipelinesView.as_view(), name="api-pipelines"),
    path("api/v1/pipelines/<int:pipeline_id>", runs.PipelineView.as_view(), name="api-pipeline"),
    path("api/v1/pipelines/<int:pipeline_id>/cancel", runs.CancelPipelineView.as_view(), name="api-pipeline-cancel"),
    path("api/v1/pipelines/<int:pipeline_id>/clone", runs.ClonePipelineView.as_view(), name="api-pipeline-clone"),
    path("api/v1/schedules", schedules.SchedulesView.as_view(), name="api-schedules"),
    path("api/v1/schedules/<int:schedule_id>", schedules.ScheduleView.as_view(), name="api-schedule"),
    path("api/v1/schedules/<int:schedule_id>/fire", schedules.FireView.as_view(), name="api-schedule-fire"),
    path("api/v1/versions/<int:version_id>/promote", base.PromoteView.as_view(), name="api-version-promote"),
]
