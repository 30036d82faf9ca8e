"""What Claude Code exports over OpenTelemetry: https://code.claude.com/docs/en/monitoring-usage.

- The log record `claude_code.api_request` is one call; the metrics `claude_code.cost.usage` and
  `claude_code.token.usage` count the same calls.
- A resumed process of an older version first names a session id of its own, until it has read the session, and counts
  the calls of that time in its total of the session. Observed in 2.0.76, and not in 2.1.100. Under such an id there
  are calls and what they cost, and nothing that follows a prompt: no `claude_code.user_prompt`, no
  `claude_code.active_time.total`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger.events.ids import digest
from ledger.sources.claude_totals import version_of

__all__ = [
    "AGENT",
    "ONLY_AFTER_A_PROMPT",
    "Series",
    "add_point",
    "is_request",
    "names_itself_first",
    "prompt_id",
    "shows_a_prompt",
]

AGENT: Final = "main"
ONLY_AFTER_A_PROMPT: Final = "claude_code.active_time.total"
"""A metric."""

_SCOPE: Final = "com.anthropic.claude_code"
_ONE_ID_FROM: Final = (2, 1, 100)
_COST: Final = "claude_code.cost.usage"
_TOKENS: Final = "claude_code.token.usage"
_BUCKETS: Final = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cacheRead": "cache_read_tokens",
    "cacheCreation": "cache_write_tokens",
}
_DELTA: Final = (1, "1", "AGGREGATION_TEMPORALITY_DELTA")

Series = dict[tuple[Any, ...], dict[str, Any]]


def is_request(scope: str, names: Sequence[Any]) -> bool:
    """Return whether a log record is a call."""
    return _is_event("api_request", scope, names)


def shows_a_prompt(scope: str, names: Sequence[Any]) -> bool:
    """Return whether a log record is a prompt of its session's user."""
    return _is_event("user_prompt", scope, names)


def _is_event(name: str, scope: str, names: Sequence[Any]) -> bool:
    return f"claude_code.{name}" in names or (scope.startswith(_SCOPE) and name in names)


def names_itself_first(version: object) -> bool:
    """Return whether a resumed process of a version names a session id of its own at first."""
    numbers = version_of(version)
    return numbers is not None and numbers < _ONE_ID_FROM


def prompt_id(session_id: str | None) -> str:
    """Return the id of what shows that a session had a prompt."""
    return digest("claude_code", "prompt", session_id)


def add_point(
    series: Series, metric: str, attributes: dict[str, Any], point: Mapping[str, Any], temporality: object
) -> None:
    """Add a data point of a metric to its series: a series' cost and its tokens of the same moment are together."""
    if metric not in (_COST, _TOKENS):
        return
    bucket = "" if metric == _COST else _BUCKETS.get(str(attributes.pop("type", "")))
    if bucket is None:
        return
    times = [str(point.get("startTimeUnixNano", 0))]
    if temporality in _DELTA:
        times.append(str(point.get("timeUnixNano", 0)))
    key = (*sorted((key, str(value)) for key, value in attributes.items()), *times)
    points = series.setdefault(key, {"attributes": attributes, "usage": {}, "at": point.get("timeUnixNano")})
    points["usage"][bucket] = point.get("asDouble", point.get("asInt"))
