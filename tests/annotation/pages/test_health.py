"""What machines ask: is it alive, can it work, how is it going; and logs that machines read."""

import json
import logging
import os
import re
import sys
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from annotation import prometheus
from annotation.models import Webhook
from annotation.predictions.predict import predict_pending
from annotation.prometheus import figures, forget_old_figures
from annotation.queues.counts import renew_tallies
from annotation.status import ItemStatus, Role
from guardapp.logs import JsonFormatter
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import default_policy, make_item, make_user, production
from tests.paths import ROOT

pytestmark = pytest.mark.django_db


def value_of(name: str, **labels: str) -> float:
    """The figure as a scraper reads it; 0 where it is not told."""
    found = 0.0
    for family in text_string_to_metric_families(figures().decode()):
        found += sum(
            sample.value for sample in family.samples if sample.name == name and labels.items() <= sample.labels.items()
        )
    return found


def test_a_process_is_alive_whatever_the_database_does(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(connection, "cursor", gone)
    assert client.get("/healthz").content == b"ok\n"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "OperationalError")


def test_it_is_ready_without_a_broker_and_not_without_room_for_media(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    production()
    answer = client.get("/readyz")  # no broker listens on the test's socket
    assert (answer.status_code, answer.json()) == (
        200,
        {"ready": True, "database": "ok", "storage": "ok", "broker": "away"},
    )
    (tmp_path / "file").write_text("in the way")
    settings.MEDIA_ROOT = tmp_path / "file"
    assert client.get("/readyz").status_code == 503


def test_figures_are_for_the_token_and_for_leads(client: Client, settings: Settings) -> None:
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403
    settings.METRICS_TOKEN = "a-token"
    assert client.get("/metrics", headers={"Authorization": "Bearer other"}).status_code == 403
    assert "guardapp_leases" in client.get("/metrics", headers={"Authorization": "Bearer a-token"}).text
    client.force_login(make_user(Role.REVIEWER))
    assert client.get("/metrics").status_code == 403
    client.force_login(make_user(Role.LEAD))
    assert client.get("/metrics").status_code == 200


def test_work_shows_in_the_figures(client: Client) -> None:
    default_policy()
    make_item(status=ItemStatus.PENDING, predicted=False)
    make_item(status=ItemStatus.READY)
    renew_tallies(force=True)
    assert value_of("guardapp_items", queue="default", status="pending") == 1
    assert value_of("guardapp_oldest_item_seconds", queue="default", status="ready") >= 0
    before = value_of("guardapp_predictions_total", outcome="ready")
    predict_pending(engine=ScriptedEngine(), version=production(), limit=5)
    assert value_of("guardapp_predictions_total", outcome="ready") == before + 1
    requests = value_of("guardapp_http_request_seconds_count", view="login", status="200")
    client.get("/login/")
    assert value_of("guardapp_http_request_seconds_count", view="login", status="200") == requests + 1
    assert value_of("guardapp_version", version="starter") == 1


def test_figures_of_other_processes_and_hosts_are_added(settings: Settings, tmp_path: Path) -> None:
    prometheus.REVIEWS.labels("accepted").inc()
    [written] = Path(settings.METRICS_DIR).glob(f"*/counter_{os.getpid()}.db")
    alone = value_of("guardapp_reviews_total", kind="accepted")
    settings.METRICS_DIR = tmp_path
    for host in ("one", "two"):
        (tmp_path / host).mkdir()
        (tmp_path / host / "counter_7.db").write_bytes(written.read_bytes())
    mine = value_of("guardapp_reviews_total", kind="accepted")
    assert 0 < mine <= 2 * alone and mine % 2 == 0


def test_files_of_processes_long_gone_are_forgotten(settings: Settings, tmp_path: Path) -> None:
    settings.METRICS_DIR = tmp_path
    (tmp_path / "host").mkdir()
    for name, age in (("counter_1.db", 8 * 86_400), ("counter_2.db", 60)):
        file = tmp_path / "host" / name
        file.touch()
        os.utime(file, (file.stat().st_atime - age, file.stat().st_mtime - age))
    forget_old_figures()
    assert [file.name for file in (tmp_path / "host").iterdir()] == ["counter_2.db"]


def test_runs_and_messages_are_in_the_metrics() -> None:
    Webhook.objects.create(name="x", url="https://example.org", events=[]).deliveries.create(
        event="item.decided", payload={}
    )
    text = figures().decode()
    assert "# TYPE guardapp_runs gauge" in text and "guardapp_webhook_messages_waiting 1.0" in text


def test_a_log_line_is_one_object_with_its_exception_and_what_was_added() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("guard", logging.ERROR, "file.py", 7, "Item %s failed", (3,), sys.exc_info())
    record.item = 3
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["logger"], line["message"], line["item"]) == ("ERROR", "guard", "Item 3 failed", 3)
    assert "ValueError: broken" in line["exception"] and line["at"].endswith("+00:00")


def test_the_dashboard_uses_metrics_that_are_exported() -> None:
    """Every name in docker/grafana-dashboard.json is one that annotation.prometheus or training.progress.prometheus
    defines.
    """
    dashboard = json.loads((ROOT / "docker" / "grafana-dashboard.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"guardapp_\w+", target["expr"])
    }
    told = {
        sample
        for metric in (
            prometheus.REQUESTS,
            prometheus.PREDICTIONS,
            prometheus.PREDICTION_SECONDS,
            prometheus.MODERATIONS,
            prometheus.REVIEWS,
            prometheus.MODERATION_SECONDS,
            prometheus.MODERATIONS_REFUSED,
            prometheus.MESSAGES,
        )
        for sample in (f"{metric._name}_total", f"{metric._name}_bucket", f"{metric._name}_count")
    }
    told |= {family.name for family in text_string_to_metric_families(figures().decode())}
    assert asked and asked <= told
