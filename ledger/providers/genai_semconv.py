"""The attributes of a model call in OpenTelemetry spans and log records: current names and older ones.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/; by the convention input tokens include cached
ones. The `llm.*` names are those of OpenLLMetry and OpenInference. No attribute gives the lifetime of cache writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from ledger.errors import InvalidEvent, shown
from ledger.providers.further_costs import shows_a_fee

__all__ = [
    "INPUT",
    "MODEL",
    "OUTPUT",
    "READS",
    "WRITES",
    "count_of",
    "first",
    "has_unknown_lifetimes",
    "is_lower_bound",
    "is_one_call",
    "known_counts",
    "shows_tokens",
    "text",
    "tier_of",
    "token_count",
]

INPUT: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
READS: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
WRITES: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
MODEL: Final = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.response.model_name",
    "llm.model_name",
    "llm.request.model",
    "embedding.model_name",
)
_TIER: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_CALLS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""Operations that are one call of a model."""
_HIDES_CACHED: Final = "openinference.instrumentation.openai_agents"
"""A scope whose spans of chat completions count the whole input, and do not report its cached part (version 2.6)."""
_TWO_LIFETIMES: Final = ("claude", "kimi-k3")
_SUMS: Final = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool"})
"""Operations whose usage repeats that of the calls inside them."""


def first(attributes: Mapping[str, Any], *names: str) -> Any:
    """Return the value of the first of these attributes that is present and not empty; None when none is."""
    return next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)


def is_one_call(attributes: Mapping[str, Any], *, failed: bool = True) -> bool:
    """Return whether these attributes describe one model call, and not a sum of others.

    One without any token did use some, unless it failed: OpenAI's streamed chats show no usage unless they are asked
    for it, and OpenLLMetry's spans of the OpenAI Agents SDK have none of a chat (version 0.62).

    Args:
        failed: whether it ended in an error, or that is not known.
    """
    operation = attributes.get("gen_ai.operation.name")
    if shows_tokens(attributes):
        return operation not in _SUMS
    return operation in _CALLS and not failed and first(attributes, *MODEL) is not None


def shows_tokens(attributes: Mapping[str, Any]) -> bool:
    return first(attributes, *INPUT, *OUTPUT) is not None


def tier_of(attributes: Mapping[str, Any]) -> Any:
    """Return the tier that served a call: of the response, or among OpenInference's parameters of the request."""
    named, parameters = first(attributes, *_TIER), attributes.get("llm.invocation_parameters")
    if named is not None or not isinstance(parameters, str):
        return named
    with suppress(ValueError):
        found = json.loads(parameters)
        return found.get("service_tier") if isinstance(found, dict) else None
    return None


def known_counts(scope: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span without an input count of which it is not known how much was cached.

    Cached tokens cost less, so a cost at the full price could be too high.
    """
    if scope != _HIDES_CACHED or first(attributes, *READS) is not None:
        return dict(attributes)
    return {name: value for name, value in attributes.items() if name not in INPUT}


def is_lower_bound(attributes: Mapping[str, Any], model: str | None, writes: int) -> bool:
    """Return whether a call cost more than its counts show.

    It has no input, cache writes of an unknown lifetime, or a web search or the like in OpenInference's `output.value`.
    """
    unknown = first(attributes, *INPUT) is None or has_unknown_lifetimes(model, writes)
    return unknown or shows_a_fee(attributes.get("output.value"))


def has_unknown_lifetimes(model: str | None, writes: int) -> bool:
    """Return whether these cache writes may have cost more than 5-minute ones.

    Anthropic sells two lifetimes, the 1-hour one at 1.6 times the price
    (https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing), and Moonshot does for its newest.
    """
    return writes > 0 and (model is None or any(family in model.lower() for family in _TWO_LIFETIMES))


def text(value: Any) -> str | None:
    """Return an attribute's value as text; None when it is absent or empty."""
    return None if value is None or value == "" else str(value)


def token_count(attributes: Mapping[str, Any], *names: str) -> int:
    """Return the token count in the first of these attributes that is present; 0 when none is.

    Raises:
        InvalidEvent: it is not a whole number.
    """
    value = first(attributes, *names)
    count = 0 if value is None else count_of(value)
    if count is None:
        raise InvalidEvent(names[0], f"expected a whole number, not {shown(value)}")
    return count


def count_of(value: object) -> int | None:
    """Return a count as exporters spell it: a number, digits, or a float without a fraction; else None.

    Claude Code exports numbers as text, and integers of 64 bits are text in OTLP/JSON.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer() and 0 <= value < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
