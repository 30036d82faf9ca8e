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
OPENAI_TIERS: Final = {
    ("gpt-5", "flex"): ("0.625", "0.0625", "5"),
    ("gpt-5", "priority"): ("2.5", "0.25", "20"),
    ("gpt-5-mini", "flex"): ("0.125", "0.0125", "1"),
    ("gpt-5-mini", "priority"): ("0.45", "0.045", "3.6"),
}
GEMINI: Final = {  # input, cached input, output; from 200,000 input tokens on the second row
    "gemini-2.5-flash": (("0.3", "0.03", "2.5"), ("0.3", "0.03", "2.5")),
    "gemini-2.5-flash-lite": (("0.1", "0.01", "0.4"), ("0.1", "0.01", "0.4")),
    "gemini-3-flash-preview": (("0.5", "0.05", "3"), ("0.5", "0.05", "3")),
    "gemini-2.5-pro": (("1.25", "0.125", "10"), ("2.5", "0.25", "15")),
}
_GEMINI_TIERS: Final = {"standard": "1", "flex": "0.5", "priority": "1.8"}
_GROUNDED_PROMPT: Final = Decimal("0.035")
_GEMINI_LONG: Final = 200_000


def anthropic_cost(model: str, usage: Json) -> Decimal | None:
    """Return the cost in USD of one response; None for a model that is not in the list."""
    name = max((name for name in ANTHROPIC if model.startswith(name)), key=len, default=None)
    if name is None:
        return None
    factor = _factor(usage)
    plain, five, hour, read, output = (Decimal(price) * factor for price in ANTHROPIC[name])
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
    others = [one for one in usage.get("iterations") or [] if one["type"] == "compaction"]
    compacted: Decimal = sum(
        (one["input_tokens"] * plain + one["output_tokens"] * output for one in others), start=Decimal(0)
    )
    return (tokens + compacted) / _MILLION + searches * _SEARCH


def _factor(usage: Json) -> Decimal:
    """Half for a batch, twice for fast mode, 1.1 for the United States."""
    batch = Decimal("0.5") if usage.get("service_tier") == "batch" else 1
    fast = 2 if usage.get("speed") == "fast" else 1
    return batch * fast * (Decimal("1.1") if usage.get("inference_geo") == "us" else Decimal(1))


def openai_cost(model: str, usage: Json, tier: str = "default", searches: int = 0) -> Decimal | None:
    """Return the cost in USD of a usage as the Responses API spells it: cached tokens are inside the input."""
    rates = OPENAI.get(model) if tier == "default" else OPENAI_TIERS.get((model, tier))
    if rates is None:
        return None
    plain, read, output = map(Decimal, rates)
    cached: int = usage["input_tokens_details"]["cached_tokens"]
    uncached: int = usage["input_tokens"] - cached
    written: int = usage["output_tokens"]
    return (uncached * plain + cached * read + written * output) / _MILLION + searches * _SEARCH


def gemini_cost(model: str, usage: Json, tier: str = "standard", *, grounded: bool = False) -> Decimal | None:
    """Return the cost in USD: cached tokens are inside the prompt, thoughts are in addition to the candidates."""
    if model not in GEMINI:
        return None
    plain, read, output = map(Decimal, GEMINI[model][usage["promptTokenCount"] > _GEMINI_LONG])
    cached: int = usage.get("cachedContentTokenCount", 0)
    tools: int = usage.get("toolUsePromptTokenCount", 0)
    written: int = usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
    uncached: int = usage["promptTokenCount"] - cached + tools
    tokens = (uncached * plain + cached * read + written * output) / _MILLION
    return tokens * Decimal(_GEMINI_TIERS[tier]) + (_GROUNDED_PROMPT if grounded else 0)
