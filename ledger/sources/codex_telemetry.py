"""What Codex CLI exports over OpenTelemetry.

From `[otel]` in its `config.toml` (https://developers.openai.com/codex/config-advanced), observed in version 0.171:

- the log record `codex.sse_event` of a `response.completed` is one call, written once with token counts and once
  without: `input_token_count` with cached ones and cache writes inside, `output_token_count` with reasoning
  inside. It names its thread, `conversation.id`, and the model, and neither the response's id nor the service tier;
- the log record `codex.tool_result` of `spawn_agent` shows that a sub-agent ran. Its calls have another conversation;
- that of a `response.web_search_call.completed` shows a web search, or the opening of a page, which has no price;
- spans repeat those calls with `gen_ai.usage.*`, without a model, and with a number of an operating system's thread as
  `thread.id`; metrics count them without a session. Both are ignored.

A call has no id that a rollout has too: of a session that both show, the higher sum counts (see the planner).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import InvalidEvent, shown
from ledger.events.ids import digest
from ledger.providers.genai_semconv import count_of
from ledger.providers.usage import disjoint

__all__ = ["AGENT", "Shown", "is_own", "repeats_a_call", "shown_by"]

AGENT: Final = "main"
"""What a thread's own agent is called, as in rollouts."""

_PREFIX: Final = "codex."
_COMPLETED: Final = "response.completed"
_SEARCHED: Final = "response.web_search_call.completed"
_SPAWN: Final = "spawn_agent"
_COUNTS: Final = (
    "input_token_count",
    "cached_token_count",
    "cache_write_token_count",
    "output_token_count",
    "reasoning_token_count",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A call that a record shows.

    Attributes:
        usage: in our buckets; of a sub-agent, whose calls are in records of its own, and of a search it is unknown.
        partial: the session had calls that are not in its records.
    """

    native_id: str
    session: str | None
    model: str | None
    usage: Mapping[str, int] | None
    partial: bool = False


def is_own(attributes: Mapping[str, Any]) -> bool:
    """Return whether a log record is Codex's."""
    return str(attributes.get("event.name", "")).startswith(_PREFIX)


def repeats_a_call(attributes: Mapping[str, Any]) -> bool:
    """Return whether a span is one of Codex's that counts the tokens of a call."""
    return "codex.usage.total_tokens" in attributes


def shown_by(attributes: Mapping[str, Any], moment: str | None) -> Shown | None:
    """Return what a log record of Codex shows of calls; None when that is nothing.

    Args:
        moment: of the record, for one without `event.timestamp`.

    Raises:
        InvalidEvent: a count is no whole number.
    """
    session, model = (str(attributes[key]) if attributes.get(key) else None for key in ("conversation.id", "model"))
    when = attributes.get("event.timestamp") or moment
    if attributes.get("event.kind") == _COMPLETED and attributes.get("input_token_count") not in (None, ""):
        whole, reads, writes, output, reasoning = (_count(attributes, name) for name in _COUNTS)
        native = digest("codex", "completed", session, when, model, whole, reads, writes, output, reasoning)
        reads = min(reads, whole)
        return Shown(native, session, model, disjoint(whole, min(writes, whole - reads), reads, output))
    if attributes.get("event.kind") == _SEARCHED:
        return _lower_bound(digest("codex", "searched", session, when), session, model)
    if attributes.get("event.name") == "codex.tool_result" and attributes.get("tool_name") == _SPAWN:
        return _lower_bound(digest("codex", "spawned", session, attributes.get("call_id") or when), session, model)
    return None


def _lower_bound(native: str, session: str | None, model: str | None) -> Shown:
    """Return what makes a session a lower bound, and costs nothing itself."""
    return Shown(native, session, model, disjoint(0, 0, 0, 0) if model else None, partial=True)


def _count(attributes: Mapping[str, Any], name: str) -> int:
    value = attributes.get(name)
    count = 0 if value in (None, "") else count_of(value)
    if count is None:
        raise InvalidEvent(name, f"expected a whole number, not {shown(value)}")
    return count
