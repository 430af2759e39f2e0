"""Traces by OpenTelemetry and readable structured logs. Neither ever holds a customer's value.

Spans go wherever OTEL_EXPORTER_OTLP_ENDPOINT points; without it they stay in the process. Functions that are not
asynchronous do not inherit the host's trace, so it is taken from the invocation.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _ShowFields(logging.Filter):
    """Appends a record's structured fields to its text, so that every log sink shows them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(("shared", "handlers")):
            fields = {name: value for name, value in vars(record).items() if name not in _PLAIN}
            record.msg = " ".join([record.getMessage(), *(f"{name}={value!r}" for name, value in fields.items())])
            record.args = None
            for name in fields:
                delattr(record, name)  # shown once, however many sinks there are
        return True


@cache
def configure() -> None:
    """Set up logs and traces, once a process."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_ShowFields())
    logging.getLogger("azure").setLevel(logging.WARNING)
    provider = TracerProvider(resource=Resource.create({"service.name": "dataverse-hydration"}))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, trace_parent: str = "", **fields: str) -> Iterator[None]:
    """A span under the host's trace."""
    parent = extract({"traceparent": trace_parent}) if trace_parent else None
    attributes = {f"hydration.{key}": value for key, value in fields.items()}
    with trace.get_tracer("hydration").start_as_current_span(name, context=parent, attributes=attributes):
        yield
