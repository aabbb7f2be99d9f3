"""OpenTelemetry traces from a web request through Celery to the guard: GUARDAPP_TRACES=1, with the extra `otel`.

OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, set the destination.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings

_tracer: Any = None


def start_tracing(service: str, exporter: Any = None) -> None:
    """Start tracing once per process before it serves; does nothing unless traces are enabled.

    `exporter=None` sends by OTLP over HTTP.
    """
    global _tracer  # noqa: PLW0603  (one provider a process)
    if _tracer is not None or not settings.TRACES:
        return
    # an extra: loaded only if traces are enabled
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", f"guardapp-{service}")
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(SimpleSpanProcessor(exporter) if exporter else BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    _tracer = trace.get_tracer("guardapp")


@contextmanager
def span(name: str, carrier: Mapping[str, str] | None = None, **attributes: Any) -> Iterator[None]:
    """A span of the current trace, or of the trace that `carrier` (request headers) belongs to."""
    if _tracer is None:
        yield
        return
    from opentelemetry.propagate import extract

    with _tracer.start_as_current_span(
        name, context=extract(carrier) if carrier is not None else None, attributes=attributes
    ):
        yield


def carried() -> dict[str, str]:
    """Headers that carry the current trace to another process; empty without tracing."""
    if _tracer is None:
        return {}
    from opentelemetry.propagate import inject

    headers: dict[str, str] = {}
    inject(headers)
    return headers
