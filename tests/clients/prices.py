"""List prices, typed by hand from the providers' pages: the truth does not ask the price book that it judges.

https://docs.anthropic.com/en/docs/about-claude/pricing, https://openai.com/api/pricing,
https://ai.google.dev/gemini-api/docs/pricing, as of 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

__all__ = ["anthropic_cost", "gemini_cost", "openai_cost"]

Json = Mapping[str, Any]

_MILLION: Final = Decimal(1_000_000)

ANTHROPIC: Final = {  # USD for a million: input, 5-minute write, 1-hour write, cache read, output
    "claude-haiku-4-5": ("1", "1.25", "2", "0.1", "5"),
    "claude-opus-4-5": ("5", "6.25", "10", "0.5", "25"),
    "claude-opus-5-5": ("4", "5", "8", "0.2", "20"),
    "claude-sonnet-4-5": ("3", "3.75", "6", "0.3", "15"),
    "claude-sonnet-5": ("2", "2.5", "4", "0.2", "10"),
}
_SEARCH: Final = Decimal("0.01")
OPENAI: Final = {  # input, cached input, output
    "gpt-5": ("1.25", "0.125", "10"),
    "gpt-5-codex": ("1.25", "0.125", "10"),
    "gpt-5-mini": ("0.25", "0.025", "2"),
    "gpt-5-nano": ("0.05", "0.005", "0.4"),
    "gpt-5.4-nano": ("0.2", "0.02", "1.25"),
}
GEMINI: Final = {  # input, cached input, output; from 200,000 input tokens on the second row
    "gemini-2.5-flash": (("0.3", "0.03", "2.5"), ("0.3", "0.03", "2.5")),
    "gemini-2.5-flash-lite": (("0.1", "0.01", "0.4"), ("0.1", "0.01", "0.4")),
    "gemini-3-flash-preview": (("0.5", "0.05", "3"), ("0.5", "0.05", "3")),
    "gemini-2.5-pro": (("1.25", "0.125", "10"), ("2.5", "0.25", "15")),
}
_GEMINI_LONG: Final = 200_000


def anthropic_cost(model: str, usage: Json) -> Decimal | None:
    """Return the cost in USD of one response; None for a model that is not in the list."""
    name = max((name for name in ANTHROPIC if model.startswith(name)), key=len, default=None)
    if name is None:
        return None
    plain, five, hour, read, output = map(Decimal, ANTHROPIC[name])
    split = usage.get("cache_creation") or {}
    hours = split.get("ephemeral_1h_input_tokens", 0)
    tokens: Decimal = (
        usage["input_tokens"] * plain
        + (usage["cache_creation_input_tokens"] - hours) * five
        + hours * hour
        + usage["cache_read_input_tokens"] * read
        + usage["output_tokens"] * output
    )
    searches: int = (usage.get("server_tool_use") or {}).get("web_search_requests", 0)
    return tokens / _MILLION + searches * _SEARCH


def openai_cost(model: str, usage: Json) -> Decimal | None:
    """Return the cost in USD of a usage as the Responses API spells it: cached tokens are inside the input."""
    if model not in OPENAI:
        return None
    plain, read, output = map(Decimal, OPENAI[model])
    cached: int = usage["input_tokens_details"]["cached_tokens"]
    uncached: int = usage["input_tokens"] - cached
    written: int = usage["output_tokens"]
    return (uncached * plain + cached * read + written * output) / _MILLION


def gemini_cost(model: str, usage: Json) -> Decimal | None:
    """Return the cost in USD: cached tokens are inside the prompt, thoughts beside the candidates."""
    if model not in GEMINI:
        return None
    plain, read, output = map(Decimal, GEMINI[model][usage["promptTokenCount"] > _GEMINI_LONG])
    cached: int = usage.get("cachedContentTokenCount", 0)
    tools: int = usage.get("toolUsePromptTokenCount", 0)
    written: int = usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
    uncached: int = usage["promptTokenCount"] - cached + tools
    return (uncached * plain + cached * read + written * output) / _MILLION
