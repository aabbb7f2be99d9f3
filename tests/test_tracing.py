"""One trace from a web request through Celery's message to the task, and to the process that holds the guard."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

# a process of its own: instrumentation changes Django and Celery for good
PROGRAM = """
import django
django.setup()
from celery.contrib.testing.worker import start_worker
from django.core.management import call_command
from django.test import Client
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guardapp.celery import app
from guardapp.tracing import carried, span, start_tracing

kept = InMemorySpanExporter()
start_tracing("test", kept)
app.conf.update(broker_url="memory://", task_ignore_result=True)
done = []

@app.task(name="traced")
def traced():
    done.append(carried()["traceparent"])

app.conf.task_routes = {}
with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
    with span("web", endpoint="test"):
        traced.apply_async(queue="default")
        headers = carried()
    import time
    deadline = time.monotonic() + 30
    while not done and time.monotonic() < deadline:
        time.sleep(0.05)
with span("judge", headers):
    pass
Client().get("/healthz")
spans = {one.name: one for one in kept.get_finished_spans()}
trace = spans["web"].context.trace_id
assert spans["judge"].context.trace_id == trace and spans["judge"].parent.span_id == spans["web"].context.span_id
assert spans["run/traced"].context.trace_id == trace, spans.keys()
assert done[0].split("-")[1] == format(trace, "032x")
assert "GET healthz" in spans, spans.keys()
print("traced")
"""


def test_a_request_its_task_and_the_guard_are_one_trace(tmp_path: Path) -> None:
    environment = os.environ | {
        "GUARDAPP_DATA": str(tmp_path),
        "GUARDAPP_TRACES": "1",
        "DJANGO_SETTINGS_MODULE": "guardapp.settings",
        "GUARDAPP_HOSTS": "testserver",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.stdout.strip().endswith("traced"), done.stderr[-3_000:]
