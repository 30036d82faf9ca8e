"""Spans of the LiteLLM proxy (its callback `otel`): what they contain beyond the conventions of OpenTelemetry.

https://docs.litellm.ai/docs/observability/opentelemetry_integration and recorded spans of LiteLLM 1.108: the span
`litellm_request` is one call.

- `gen_ai.cost.total_cost` is LiteLLM's own figure for the call; as in its spend log, 0 for tokens means an unknown
  price, unless its cache may have answered.
- `gen_ai.response.model` may be the alias that the caller used. `litellm.provider.model` is the model, spelled as in
  the spend log.
- `metadata.…` are Python's text of a mapping: `usage_object` has all kinds of tokens, `spend_logs_metadata` names the
  workflow. The trace is the `session_id` of the spend log, so that both ways in meet.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ledger.errors import InvalidEvent
from ledger.providers.genai_semconv import count_of, first, text
from ledger.providers.usage import usage_of

__all__ = ["Facts", "facts_of"]

_OWN: Final = ("litellm.provider.model", "litellm.call_id", "gen_ai.cost.total_cost")
_TEXT_CHARACTERS_MAX: Final = 20_000
"""Of a mapping's text; LiteLLM's have less than 2,000, and parsing costs memory."""
_NAMES: Final = {"workflow_id": "costledger.workflow_id", "adw_id": "costledger.workflow_id"}


class Facts(NamedTuple):
    """What a span of LiteLLM contains about its call.

    Attributes:
        model: None when the span has no more than the conventions.
        usage: in disjoint buckets; None when the span has no more than the conventions.
        cost_usd: as LiteLLM spells it; None: unknown.
        partial: the cost may be more than this.
        names: attributes as other spans spell them, for those that this one spells in its own way.
    """

    model: str | None
    usage: dict[str, int] | None
    cost_usd: object
    partial: bool
    names: dict[str, Any]


def facts_of(attributes: Mapping[str, Any], trace: str | None) -> Facts | None:
    """Return what a span of LiteLLM contains; None for a span of another program.

    Args:
        trace: the trace's id in hexadecimal.
    """
    if first(attributes, *_OWN) is None:
        return None
    cost, partial = _cost(attributes)
    given = _mapping(attributes.get("metadata.requester_metadata"))
    given |= _mapping(attributes.get("metadata.spend_logs_metadata"))
    names: dict[str, Any] = {"session.id": trace} if trace else {}
    for field in ("adw_id", "workflow_id", "agent_name", "agent", "project"):
        for spelling in (field, f"costledger.{field}"):
            if (value := text(given.get(spelling))) is not None:
                names[_NAMES.get(field, f"costledger.{field.removesuffix('_name')}")] = value
    model = text(first(attributes, "litellm.provider.model", "gen_ai.request.model"))
    return Facts(model, _usage(attributes), cost, partial, names)


def _cost(attributes: Mapping[str, Any]) -> tuple[object, bool]:
    hidden = _mapping(attributes.get("hidden_params"))
    cost = first(attributes, "gen_ai.cost.total_cost")
    cost = hidden.get("response_cost") if cost is None else cost
    if cost is None or cost == "" or not _is_zero(cost):
        return cost or None, False
    return (cost, True) if hidden.get("cache_key") is not None else (None, False)


def _is_zero(cost: object) -> bool:
    try:
        return float(str(cost)) == 0
    except ValueError:
        return False  # refused where the event is made, with its name


def _usage(attributes: Mapping[str, Any]) -> dict[str, int] | None:
    given = _mapping(attributes.get("metadata.usage_object"))
    if not given or count_of(given.get("prompt_tokens")) is None:
        return None
    try:
        return usage_of(given)
    except InvalidEvent:
        return None


def _mapping(value: Any) -> dict[str, Any]:
    """The mapping that a text spells, as JSON or as Python writes one; empty for anything else."""
    if not isinstance(value, str) or not value.startswith("{") or len(value) > _TEXT_CHARACTERS_MAX:
        return {}
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        return found if isinstance(found, dict) else {}
    return {}
