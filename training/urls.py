"""Addresses of the training pages: included by guardapp.urls under training/."""

from django.urls import path

from training import views

app_name = "training"
urlpatterns = [
    path("", views.home, name="home"),
    path("retrain/", views.start, name="retrain"),
    path("recipes/", views.recipes, name="recipes"),
    path("snapshots/new/", views.take_snapshot, name="take_snapshot"),
    path("snapshots/<int:snapshot_id>/", views.snapshot, name="snapshot"),
    path("snapshots/<int:snapshot_id>/train/", views.train_on, name="train_on"),
    path("runs/<int:run_id>/", views.run, name="run"),
    path("runs/<int:run_id>/state.json", views.run_state, name="run_state"),
    path("runs/<int:run_id>/cancel/", views.cancel, name="cancel"),
    path("runs/<int:run_id>/resume/", views.resume, name="resume"),
    path("runs/<int:run_id>/clone/", views.clone, name="clone"),
    path("versions/", views.versions, name="versions"),
    path("versions/rollback/", views.rollback, name="rollback"),
    path("versions/<int:version_id>/", views.version, name="version"),
    path("versions/<int:version_id>/evaluate/", views.evaluate, name="evaluate"),
    path("versions/<int:version_id>/promote/", views.promote, name="promote"),
]
