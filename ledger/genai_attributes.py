"""The attributes in which OpenTelemetry spans and log records tell of a model call: today's names, and older ones.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/; by the convention input tokens include cached
ones. The `llm.*` names are those of OpenLLMetry and OpenInference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["INPUT", "MODEL", "OUTPUT", "READS", "TIER", "WRITES", "count_of", "first", "is_one_call"]

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
MODEL: Final = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "llm.request.model")
TIER: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_SUMS: Final = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool"})
"""Operations whose usage repeats that of the calls inside them."""


def first(attributes: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of these attributes that is there and not empty; None when none is."""
    return next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)


def is_one_call(attributes: Mapping[str, Any]) -> bool:
    """Whether these attributes tell of one model call, and do not sum up others."""
    return first(attributes, *INPUT, *OUTPUT) is not None and attributes.get("gen_ai.operation.name") not in _SUMS


def count_of(value: object) -> int | None:
    """A count as exporters spell it: a number, digits, or a float without a fraction; None for anything else.

    Claude Code exports numbers as text, and integers of 64 bits are text in OTLP/JSON.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer() and 0 <= value < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
