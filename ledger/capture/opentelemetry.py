"""OpenTelemetry: a span processor that charges model calls at the end of their spans.

A span with `gen_ai.usage.*`, or an older name of these, is one call
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/). By the convention input tokens include cached
ones; some exporters leave them out, which an input smaller than its cached part shows. Spans of agents and tools
repeat the usage of the calls inside them and are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ledger.capture.workflow import Workflow
from ledger.errors import MissingExtra
from ledger.events import timestamps
from ledger.providers.genai_semconv import (
    INPUT,
    MODEL,
    OUTPUT,
    READS,
    WRITES,
    count_of,
    first,
    is_lower_bound,
    is_one_call,
    known_counts,
    shows_tokens,
    text,
    tier_of,
)
from ledger.providers.usage import disjoint

__all__ = ["span_processor"]

_log = logging.getLogger("costledger")
_BUCKETS: Final = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")


def span_processor(workflow: Workflow, *, agent: str | None = None) -> Any:
    """Return a processor for `TracerProvider.add_span_processor` that charges a workflow; errors: `Workflow.track`.

    Args:
        agent: of spans that name none (`gen_ai.agent.name`).

    Raises:
        MissingExtra: the OpenTelemetry SDK is not installed.
    """
    try:
        from opentelemetry.sdk.trace import SpanProcessor
        from opentelemetry.trace import StatusCode
    except ModuleNotFoundError:
        raise MissingExtra("the OpenTelemetry span processor", "otel") from None

    class LedgerSpanProcessor(SpanProcessor):  # type: ignore[misc]
        """Charge each ended span of one model call."""

        def on_end(self, span: Any) -> None:
            """Charge the span if it is of one call."""
            given = span.attributes or {}
            if not is_one_call(given, failed=span.status.status_code is StatusCode.ERROR):
                return
            if not shows_tokens(given):
                _log.warning("the cost of the call of span %r is unknown: it has no tokens", span.name)
            attributes = known_counts(getattr(span.instrumentation_scope, "name", ""), given)
            workflow.charge_later(
                _answer(attributes, f"{span.context.trace_id:032x}-{span.context.span_id:016x}"),
                agent=attributes.get("gen_ai.agent.name") or agent,
                session_id=attributes.get("gen_ai.conversation.id"),
                observed_at=_moment(span.end_time),
                partial=_is_partial(attributes),
            )

    return LedgerSpanProcessor()


def _answer(attributes: Mapping[str, Any], span_id: str) -> dict[str, Any]:
    """Return a span as a response; invalid counts are unchanged, so that the reader can report them."""
    given = [0 if (count := first(attributes, *names)) is None else count for names in (INPUT, WRITES, READS, OUTPUT)]
    return {
        "id": attributes.get("gen_ai.response.id") or span_id,
        "model": first(attributes, *MODEL),
        "service_tier": text(tier_of(attributes)),
        "usage": _usage(given) if shows_tokens(attributes) else None,
    }


def _usage(given: Sequence[Any]) -> dict[str, Any]:
    counts = [whole for count in given if (whole := count_of(count)) is not None]
    return disjoint(*counts) if len(counts) == len(given) else dict(zip(_BUCKETS, given, strict=True))


def _is_partial(attributes: Mapping[str, Any]) -> bool | None:
    """True where a call cost more than its span shows; else None."""
    writes = count_of(first(attributes, *WRITES)) or 0
    return is_lower_bound(attributes, text(first(attributes, *MODEL)), writes) or None


def _moment(end_time: Any) -> datetime | None:
    """Return when a span ended; None when its end, in nanoseconds since 1970, is no valid time."""
    try:
        return timestamps.from_unix(end_time / 1e9)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
