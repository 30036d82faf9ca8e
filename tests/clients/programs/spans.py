"""OpenTelemetry in a program: spans for our processor, and the same exported to a receiver."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from ledger import span_processor
from tests.clients.programs.common import Job

__all__ = ["provider_of"]


def provider_of(job: Job, way: str, *, exports: bool) -> TracerProvider:
    """Return a provider whose spans are charged to the workflow of a way.

    Args:
        exports: send the spans to the receiver, too, which puts them into `otlp/requests`.
    """
    provider = TracerProvider(resource=Resource.create({"costledger.workflow_id": job.workflow_id}))
    provider.add_span_processor(span_processor(job.way(way), agent="main"))
    if exports:
        exporter = OTLPSpanExporter(endpoint=f"{job.address('otlp')}/v1/traces")
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider
