"""Usage: the token counts of a provider's response in this project's disjoint buckets.

Anthropic's `input_tokens` does not include cached ones
(https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance); OpenAI's
`prompt_tokens` and `input_tokens` include them, and count them under `…_tokens_details`
(https://platform.openai.com/docs/api-reference/responses/object), and so do LiteLLM's; Gemini's `prompt_token_count`
includes cached ones but not `tool_use_prompt_token_count`, its `candidates_token_count` does not include thoughts
(https://ai.google.dev/api/generate-content#UsageMetadata).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from ledger.errors import InvalidEvent, shown
from ledger.events.fields import TOKENS_MAX, USAGE_FIELDS, check_usage, problem_of_count

__all__ = ["disjoint", "is_larger", "mapping", "measure", "of", "usage_of"]

_WRITES = ("cache_write_tokens", "cache_creation_tokens")
"""Cache writes among the details of an input: OpenAI's name, and LiteLLM's. Some versions of LiteLLM report them only
outside the details, as Anthropic does."""

_MEASURE: Final = struct.Struct(">6Q")
_COST: Final = struct.Struct(">Q")
_MEASURE_MAX: Final = (1 << 64) - 1
_OUTPUT_BYTES: Final = 8
_NAMED_MAX: Final = 5

_COUNTS: Final = (
    *("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "prompt_token_count", "promptTokenCount"),
    *("total_token_count", "totalTokenCount", "candidates_token_count", "candidatesTokenCount"),
)
"""A usage without any of these is unknown: it is not $0."""

_OURS = frozenset(USAGE_FIELDS)
_GEMINI = frozenset({"prompt_token_count", "total_token_count", "promptTokenCount", "totalTokenCount"})


def usage_of(response_usage: object) -> dict[str, int]:
    """Return the token counts of the usage of a response, as an event records them.

    Args:
        response_usage: buckets named as ours (`USAGE_FIELDS`), or the `usage` of an Anthropic, OpenAI, LiteLLM or
            Gemini response, as an object of their SDKs or as parsed JSON.

    Raises:
        InvalidEvent: it is none of these, or a count is not valid.
    """
    given = mapping(response_usage)
    if given and given.keys() <= _OURS:
        return _ours(given)
    usage: dict[str, int] | None
    if not _GEMINI.isdisjoint(given):
        usage = _gemini(given)
    elif "prompt_tokens" in given or "input_tokens_details" in given:
        usage = _openai(given)
    elif "input_tokens" in given and "output_tokens" in given:
        usage = _anthropic(given)
    else:
        usage = None
    if usage is None or (given.get("input_tokens") is None and all(given.get(name) is None for name in _COUNTS)):
        what = f"the fields {_names(given)}" if given else shown(response_usage)
        ours = f"{', '.join(USAGE_FIELDS)}, or what an Anthropic, OpenAI, LiteLLM or Gemini response holds"
        raise InvalidEvent("usage", f"not a usage this version knows: {what}; expected {ours}")
    return {name: value for name, value in usage.items() if value or name in ("input_tokens", "output_tokens")}


def _names(given: Mapping[str, Any]) -> str:
    """Return the first fields that are not ours, or all fields when they are ours and not enough."""
    names = [name for name in given if name not in _OURS] or list(given)
    return ", ".join(map(shown, names[:_NAMED_MAX])) + (", …" if len(names) > _NAMED_MAX else "")


def disjoint(whole_input: int, writes: int, reads: int, output: int) -> dict[str, int]:
    """Return our buckets from an input count that includes cached tokens.

    Some exporters break that convention, which shows when the input is smaller than its cached part.
    """
    cached = writes + reads
    usage = {
        "input_tokens": whole_input - cached if whole_input >= cached else whole_input,
        "cache_write_tokens": writes,
        "cache_read_tokens": reads,
        "output_tokens": output,
    }
    return {name: count for name, count in usage.items() if count or name in ("input_tokens", "output_tokens")}


def measure(usage: Mapping[str, int], nanousd: int | None = None) -> bytes:
    """Return a sort key for reports of one response: the output, then what the rest costs, then its buckets.

    The rest is weighed in twentieths of an uncached input token as every Claude model is priced (writes 1.25 and 2,
    reads 0.1; https://docs.anthropic.com/en/docs/about-claude/pricing). So of two reports with the same output the
    larger is the one with the highest figure of the fold, in any order of the appends.

    Args:
        nanousd: what the report says that it cost: of two with the same usage the higher is larger, and one without a
            cost is smaller.

    Returns:
        big-endian numbers, which compare as bytes in Python and in SQLite; empty when a count is out of range.
    """
    get = usage.get
    fresh, writes, lasting = get("input_tokens", 0), get("cache_write_tokens", 0), get("cache_write_1h_tokens", 0)
    rest = 20 * fresh + 25 * writes + 15 * lasting + 2 * get("cache_read_tokens", 0)
    searches = get("web_search_requests", 0)
    try:
        used = _MEASURE.pack(get("output_tokens", 0), min(rest, _MEASURE_MAX), fresh, writes, lasting, searches)
        return used if nanousd is None else used + _COST.pack(nanousd)
    except struct.error:
        return b""


def is_larger(new: bytes, had: bytes, *, same_model: bool) -> bool:
    """Return whether a report replaces another one: by the whole measure, or between two models by the output alone.

    One id with two models is two responses that share it, whose inputs are not comparable.
    """
    return new > had if same_model else new[:_OUTPUT_BYTES] > had[:_OUTPUT_BYTES]


def mapping(value: object) -> Mapping[str, Any]:
    """Return the fields of an SDK object or of parsed JSON; empty for anything else."""
    if isinstance(value, dict):  # parsed JSON; the next check is much slower
        return value
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)  # SDK objects are pydantic models
    dumped = dump() if callable(dump) else getattr(value, "__dict__", {})
    return dumped if isinstance(dumped, Mapping) else {}


def of(answer: object, name: str) -> Any:
    """Return a field of an SDK object or of parsed JSON; a whole response is never converted, it can be large."""
    return answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)


def _ours(given: Mapping[str, Any]) -> dict[str, int]:
    try:
        return check_usage({name: count for name, count in given.items() if count is not None})
    except ValueError as error:
        raise InvalidEvent("usage", str(error)) from None


def _anthropic(given: Mapping[str, Any]) -> dict[str, int]:
    writes = _count(given, "cache_creation_input_tokens")
    lifetimes, tools = given.get("cache_creation"), given.get("server_tool_use")
    lasting = _count(mapping(lifetimes), "ephemeral_1h_input_tokens") if lifetimes else 0
    return {
        "input_tokens": _count(given, "input_tokens"),
        "cache_write_tokens": writes,
        "cache_write_1h_tokens": min(lasting, writes),  # some logs have a part above the total
        "cache_read_tokens": _count(given, "cache_read_input_tokens"),
        "output_tokens": _count(given, "output_tokens"),
        "web_search_requests": _count(mapping(tools), "web_search_requests") if tools else 0,
    }


def _openai(given: Mapping[str, Any]) -> dict[str, int]:
    kind = ("prompt_tokens", "completion_tokens") if "prompt_tokens" in given else ("input_tokens", "output_tokens")
    details = mapping(given.get(f"{kind[0]}_details"))
    whole = _count(given, kind[0])
    reads = min(_count(details, "cached_tokens"), whole)
    named = next((name for name in _WRITES if details.get(name) is not None), _WRITES[0])
    outside = _count(given, "cache_creation_input_tokens") if "prompt_tokens" in given else 0
    writes = min(_count(details, named) or outside, whole - reads)
    lasting = _count(mapping(details.get("cache_creation_token_details")), "ephemeral_1h_input_tokens")
    return {
        "input_tokens": whole - reads - writes,
        "cache_write_tokens": writes,
        "cache_write_1h_tokens": min(lasting, writes),
        "cache_read_tokens": reads,
        "output_tokens": _count(given, kind[1]),
        "web_search_requests": _count(mapping(given.get("server_tool_use")), "web_search_requests"),
    }


def _gemini(given: Mapping[str, Any]) -> dict[str, int]:
    def count(name: str) -> int:
        """Return a count by its name in Python, or in the REST response."""
        first, *rest = name.split("_")
        return _count(given, name) or _count(given, first + "".join(word.capitalize() for word in rest))

    whole = count("prompt_token_count")
    reads = min(count("cached_content_token_count"), whole)
    return {
        "input_tokens": whole - reads + count("tool_use_prompt_token_count"),
        "cache_read_tokens": reads,
        "output_tokens": count("candidates_token_count") + count("thoughts_token_count"),
    }


def _count(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    if type(value) is int and 0 <= value <= TOKENS_MAX:
        return value  # nearly all counts
    if value is None:
        return 0
    raise InvalidEvent("usage", f"{name}: {problem_of_count(value)}")
