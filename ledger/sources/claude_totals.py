"""What one process of Claude Code cost by its own `result` lines.

Observed with real clients against an API whose answers are known:

- up to 2.1.276 `total_cost_usd` and `modelUsage` begin at zero in each process; from 2.1.277 they continue from what
  the session had cost when the process began: a resumed process repeats the earlier ones, a fork repeats its parent;
- newer results have `model_usage_since_last_result`: their sum over one process is the process's own cost;
- a result's `usage` is what the main loop used for this result, without sub-agents and helper calls;
- before 2.1.276 a total may leave out a part of what was used.

So a figure is never more than the process cost; where it may be less, it is `partial`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import InvalidInput, shown
from ledger.events import money
from ledger.events.fields import USAGE_FIELDS, check_name
from ledger.providers.usage import usage_of
from ledger.sources.findings import Location, Total

__all__ = ["CARRIED_FROM", "Models", "ResultLine", "added", "is_short", "models_of", "own_total", "version_of"]

Models = Mapping[str, tuple[int, Mapping[str, int]]]
"""Nanodollars and tokens by model."""

_EXACT_FROM: Final = (2, 1, 276)
CARRIED_FROM: Final = (2, 1, 277)
"""The version from which a session's totals continue over its processes."""
_LONG_CONTEXT: Final = "[1m]"
"""What Claude Code adds to the name of a model used with its long context."""
_INPUT: Final = ("input_tokens", "cache_write_tokens", "cache_read_tokens")
"""The counts of a message that are right as soon as it begins; its output may be incomplete."""


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One `result` line.

    Attributes:
        nanousd: `total_cost_usd`.
        models: `modelUsage`.
        since: `model_usage_since_last_result`; None where the client does not write it.
        usage: `usage`, of the main loop for this result alone.
        recent: the client is 2.1.276 or later, as the fields of the line show.
    """

    nanousd: int
    models: Models
    since: Models | None
    usage: Mapping[str, int]
    recent: bool
    location: Location = field(compare=False)


def models_of(given: object) -> Models:
    """Return nanodollars and tokens by model, from `modelUsage`.

    Raises:
        InvalidInput: it is no such object, or a cost or a count in it is none.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(f"modelUsage: expected an object, not {shown(given)}")
    found: dict[str, tuple[int, dict[str, int]]] = {}
    for spelled, used in sorted(given.items()):
        if not isinstance(used, Mapping) or "costUSD" not in used:
            raise InvalidInput(f"modelUsage: {shown(spelled)} names no costUSD")
        try:
            model = check_name(spelled.removesuffix(_LONG_CONTEXT) or spelled)
        except ValueError as error:
            raise InvalidInput(f"modelUsage: {error}") from None
        cost, usage = found.get(model, (0, {}))
        more = money.parse(used["costUSD"], most_nanousd=money.READING_NANOUSD_MAX)
        found[model] = (cost + more, added((usage, _usage(used))))
    return found


def _usage(used: Mapping[str, Any]) -> dict[str, int]:
    return usage_of(
        {
            "input_tokens": used.get("inputTokens") or 0,
            "output_tokens": used.get("outputTokens") or 0,
            "cache_read_input_tokens": used.get("cacheReadInputTokens"),
            "cache_creation_input_tokens": used.get("cacheCreationInputTokens"),
            "cache_creation": {"ephemeral_1h_input_tokens": used.get("cacheCreationEphemeral1hInputTokens")},
            "server_tool_use": {"web_search_requests": used.get("webSearchRequests")},
        }
    )


def version_of(text: object) -> tuple[int, ...] | None:
    """Return the numbers of a version such as "2.1.332"; None for any other text."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) < 3 or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts[:3]):
        return None
    return tuple(int(part) for part in parts[:3])


def is_short(version: object) -> bool:
    """Return whether a client of this version may leave a part out of its figures; an unknown one is taken for newer.

    Observed up to 2.1.100: cache writes for an hour at the price of those for five minutes, and calls that were made
    again after an error are not counted.
    """
    numbers = version_of(version)
    return numbers is not None and numbers < _EXACT_FROM


def own_total(
    results: Sequence[ResultLine],
    version: tuple[int, ...] | None,
    messages: Iterable[Mapping[str, int]],
    main_model: str | None,
) -> Total | None:
    """Return what a process cost up to its last result; None without a result.

    Args:
        results: of one process, in the order of its log.
        version: of the client; None when the log has none.
        messages: usage of each message that the log shows, sub-agents' included.
        main_model: the model of the main loop.
    """
    if not results:
        return None
    if all(result.since is not None for result in results):
        return _summed(results)
    last = max(results, key=lambda result: result.nanousd)
    recent = version >= _EXACT_FROM if version is not None else last.recent
    carried = version >= CARRIED_FROM if version is not None else last.recent
    if not carried or _is_all_its_own(last, results, messages):
        models = tuple((model, cost, usage) for model, (cost, usage) in last.models.items())
        return Total(last.nanousd, models, last.location, partial=not recent)
    usage = added(result.usage for result in results)
    return Total(None, ((main_model or "", None, usage),), last.location, partial=True)


def _summed(results: Sequence[ResultLine]) -> Total:
    costs: dict[str, int] = {}
    used: dict[str, dict[str, int]] = {}
    for result in results:
        for model, (cost, usage) in (result.since or {}).items():
            costs[model] = costs.get(model, 0) + cost
            used[model] = added((used.get(model, {}), usage))
    models = tuple((model, cost, used[model]) for model, cost in sorted(costs.items()))
    own, whole = sum(costs.values()), max(result.nanousd for result in results)
    return Total(own, models, results[-1].location, carried_nanousd=max(0, whole - own))


def _is_all_its_own(last: ResultLine, results: Sequence[ResultLine], messages: Iterable[Mapping[str, int]]) -> bool:
    """Whether the tokens of the total are those that the process's own lines account for."""
    whole = added(usage for _, usage in last.models.values())
    if added(result.usage for result in results) == whole:
        return True
    shown = added(messages)
    return all(shown.get(name, 0) == whole.get(name, 0) for name in _INPUT) and any(shown.values())


def added(usages: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of usages, by bucket."""
    total: dict[str, int] = {}
    for usage in usages:
        for name in USAGE_FIELDS:
            if usage.get(name):
                total[name] = total.get(name, 0) + usage[name]
    return total
