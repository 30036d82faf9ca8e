"""OpenTelemetry: a span processor that charges the model calls it sees end.

A span with `gen_ai.usage.*`, or an older name of these, is one call
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/). By the convention input tokens include cached
ones; some exporters leave them out, which an input smaller than its cached part shows. Spans of agents and tools
repeat the usage of the calls inside them and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ledger.errors import MissingExtra
from ledger.workflow import Workflow

__all__ = ["span_processor"]

_INPUT: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
_OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
_READS: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_WRITES: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_MODEL: Final = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "llm.request.model")
_TIER: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_SUMS: Final = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool"})
"""Operations whose usage repeats that of the calls inside them."""


def span_processor(workflow: Workflow, *, agent: str | None = None) -> Any:
    """A processor for `TracerProvider.add_span_processor` that charges a workflow; see `Workflow.track` for errors.

    Args:
        agent: of spans that name none (`gen_ai.agent.name`).

    Raises:
        MissingExtra: the OpenTelemetry SDK is not installed.
    """
    try:
        from opentelemetry.sdk.trace import SpanProcessor
    except ModuleNotFoundError:
        raise MissingExtra("the OpenTelemetry span processor", "otel") from None

    class LedgerSpanProcessor(SpanProcessor):  # type: ignore[misc]
        def on_end(self, span: Any) -> None:
            attributes = span.attributes or {}
            if _first(attributes, *_INPUT, *_OUTPUT) is None or attributes.get("gen_ai.operation.name") in _SUMS:
                return
            moment = None if span.end_time is None else datetime.fromtimestamp(span.end_time / 1e9, UTC)
            named, session_id = attributes.get("gen_ai.agent.name"), attributes.get("gen_ai.conversation.id")
            workflow.charge_later(
                _answer(attributes, f"{span.context.trace_id:032x}-{span.context.span_id:016x}"),
                agent=named or agent,
                session_id=session_id,
                observed_at=moment,
            )

    return LedgerSpanProcessor()


def _answer(attributes: Mapping[str, Any], span_id: str) -> dict[str, Any]:
    """A span as the answer that it tells of."""
    reads, writes = _first(attributes, *_READS) or 0, _first(attributes, *_WRITES) or 0
    whole = _first(attributes, *_INPUT) or 0
    return {
        "id": attributes.get("gen_ai.response.id") or span_id,
        "model": _first(attributes, *_MODEL),
        "service_tier": _first(attributes, *_TIER),
        "usage": {
            "input_tokens": whole - reads - writes if whole >= reads + writes else whole,
            "cache_write_tokens": writes,
            "cache_read_tokens": reads,
            "output_tokens": _first(attributes, *_OUTPUT) or 0,
        },
    }


def _first(attributes: Mapping[str, Any], *names: str) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)
