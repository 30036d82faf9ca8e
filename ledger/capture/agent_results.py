"""Results of Claude's agents: the cost of a session so far, as the Claude Agent SDK and `claude -p` report it.

The SDK's `ResultMessage` (https://github.com/anthropics/claude-agent-sdk-python) and the `result` line of stream-json
carry `total_cost_usd` and the usage of each model, both cumulative: since the process started, and from Claude Code
2.1.277 on over the processes and sessions that it resumed or forked. `usage` is of the one prompt, without helper
models and sub-agents; newer lines have `model_usage_since_last_result`, which is exactly what this result adds.

So a result adds its own part to its session's meter. Where that part is uncertain, its certain minimum is added, and
the reading is partial. Recognised by their fields; no SDK is imported. Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import InvalidEvent, InvalidMoney, shown
from ledger.events import money
from ledger.events.event import Line
from ledger.events.fields import check_name
from ledger.events.ids import digest
from ledger.providers.usage import mapping, of, usage_of

__all__ = ["KIND", "AgentResult", "Price", "SessionResults", "is_result", "result_of"]

KIND: Final = "claude_result"
"""The source of readings of a result."""

Price = Callable[[str, Mapping[str, int]], int | None]
"""The cost of a usage of a model, in nanodollars; None without a price."""

_CARRIES: Final = ("thinkingTokens", "costBasis")
"""Counts that only versions report whose total may continue from an earlier process."""
_COUNTS: Final = {
    "inputTokens": "input_tokens",
    "cacheCreationInputTokens": "cache_creation_input_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
    "outputTokens": "output_tokens",
}
_BUCKETS: Final = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class ResultFigure:
    """A cost and its usage."""

    nanousd: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: ResultFigure, sign: int = 1) -> ResultFigure:
        """Return the sum, or with -1 the difference, of which no part is below zero."""
        names = {**self.usage, **other.usage}
        usage = {name: max(0, self.usage.get(name, 0) + sign * other.usage.get(name, 0)) for name in names}
        return ResultFigure(max(0, self.nanousd + sign * other.nanousd), usage)


Models = Mapping[str, ResultFigure]


@dataclass(frozen=True, slots=True)
class AgentResult:
    """The content of one result.

    Attributes:
        id: the same for the same result.
        total: its cumulative figures by model; empty when it has none.
        own: what it adds; None when it does not report that.
        used: tokens of its own prompt, without helpers; None when it does not report them.
        may_carry: its total may include the cost of an earlier process.
    """

    session_id: str
    id: str
    total_nanousd: int
    total: Models
    own: Models | None
    used: Mapping[str, int] | None
    may_carry: bool


def is_result(answer: object) -> bool:
    """Return whether this is a result, as an object or as parsed JSON, readable or not."""
    if isinstance(answer, Mapping):
        return answer.get("type") == "result"
    return isinstance(of(answer, "session_id"), str) and isinstance(of(answer, "num_turns"), int)


def result_of(answer: object) -> AgentResult:
    """Return the content of a result.

    Raises:
        InvalidEvent: it has no valid session or cost.
    """
    try:
        session_id = check_name(of(answer, "session_id"))
    except ValueError as error:
        raise InvalidEvent("session_id", f"of a result of {shown(type(answer).__name__)}: {error}") from None
    given = next((found for name in ("modelUsage", "model_usage") if (found := mapping(of(answer, name)))), {})
    own = of(answer, "model_usage_since_last_result")
    used = mapping(of(answer, "usage"))
    total, cost = _models(given), of(answer, "total_cost_usd")
    if cost is None and not total:
        raise InvalidEvent("total_cost_usd", f"the result of session {shown(session_id)} names no cost")
    nanousd = sum(figure.nanousd for figure in total.values()) if cost is None else _nanousd("total_cost_usd", cost)
    named = of(answer, "uuid")
    parts = (session_id, nanousd, of(answer, "num_turns"), of(answer, "duration_ms"), sorted(given))
    return AgentResult(
        session_id,
        digest(KIND, session_id, named) if isinstance(named, str) and named else digest(KIND, *parts),
        nanousd,
        total,
        _models(own) if isinstance(own, Mapping) else None,
        usage_of(used) if used else None,
        any(name in counts for counts in map(mapping, given.values()) for name in _CARRIES),
    )


def _models(given: Mapping[str, Any]) -> dict[str, ResultFigure]:
    return {_model(name): _figure(mapping(counts)) for name, counts in given.items()}


def _model(name: object) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise InvalidEvent("modelUsage", f"the name of a model: {error}") from None


def _figure(counts: Mapping[str, Any]) -> ResultFigure:
    searches = {"web_search_requests": counts.get("webSearchRequests")}
    lasting = {"ephemeral_1h_input_tokens": counts.get("cacheCreationEphemeral1hInputTokens")}
    usage = usage_of(
        {ours: counts.get(theirs, 0) for theirs, ours in _COUNTS.items()}
        | {"server_tool_use": searches, "cache_creation": lasting}
    )
    return ResultFigure(_nanousd("modelUsage", counts.get("costUSD", 0)), usage)


def _nanousd(name: str, value: object) -> int:
    try:
        return money.parse(value)
    except InvalidMoney as error:
        raise InvalidEvent(name, str(error)) from None


@dataclass(slots=True)
class SessionResults:
    """One session's results in a ledger.

    Attributes:
        lines: by the result's id, its readings.
        interrupted: a process of this run may have spent more than it reported.
    """

    interrupted: bool = False
    lines: dict[str, list[Line]] = field(default_factory=dict)
    _total: AgentResult | None = None
    _counted: dict[str | None, ResultFigure] = field(default_factory=dict)
    _models: dict[tuple[str | None, str], ResultFigure] = field(default_factory=dict)
    _partial: set[str | None] = field(default_factory=set)

    def learn(self, lines: Iterable[Line], session_id: str) -> SessionResults:
        """Add the readings of a ledger."""
        for line in lines:
            source = line.get("source") or {}
            if source.get("kind") == KIND and line.get("session_id") == session_id:
                self._learn(line, source)
        return self

    def _learn(self, line: Line, source: Mapping[str, Any]) -> None:
        self.lines.setdefault(str(source.get("result")), []).append(line)
        figure, agent = ResultFigure(money.from_wire(line["cost_usd"]), line.get("usage") or {}), line.get("agent")
        if "model" in line:
            self._models[agent, line["model"]] = figure
            return
        self._counted[agent] = figure
        if line.get("partial"):
            self._partial.add(agent)
        total = {
            name: ResultFigure(money.from_wire(part["cost_usd"]), part["usage"])
            for name, part in (source.get("total") or {}).items()
        }
        nanousd = money.from_wire(source["total_cost_usd"])
        if self._total is None or nanousd >= self._total.total_nanousd:
            self._total = AgentResult(line["session_id"], "", nanousd, total, None, None, may_carry=False)

    def readings(self, result: AgentResult, agent: str | None, price: Price) -> Iterator[dict[str, Any]]:
        """Yield the fields of the readings of a result: of its models, as far as these are certain, and its session."""
        own, models, exact = self._own(result, price)
        source: dict[str, Any] = {"kind": KIND, "result": result.id}
        source |= {"interrupted": True} if self.interrupted else {}
        for name, figure in models.items():
            now = self._models.get((agent, name), ResultFigure()).plus(figure)
            yield {
                "id": digest(KIND, result.id, "model", name),
                "model": name,
                "cost_usd": money.to_wire(now.nanousd),
                "usage": {bucket: count for bucket, count in now.usage.items() if count} or None,
                "source": source,
            }
        counted = self._counted.get(agent, ResultFigure()).nanousd + own
        total = {
            name: {"cost_usd": money.to_wire(figure.nanousd), "usage": dict(figure.usage)}
            for name, figure in result.total.items()
        }
        yield {
            "id": digest(KIND, result.id),
            "cost_usd": money.to_wire(counted),
            "partial": True if not exact or self.interrupted or agent in self._partial else None,
            "source": source | {"total_cost_usd": money.to_wire(result.total_nanousd), "total": total},
        }

    def _own(self, result: AgentResult, price: Price) -> tuple[int, Models, bool]:
        """Return what a result adds, in all and by model, and whether that is exact."""
        last = self._total
        grown = result.total_nanousd - (0 if last is None else last.total_nanousd)
        if result.own is not None:
            own = sum(figure.nanousd for figure in result.own.values())
            return own, result.own, True
        if last is None:
            if result.may_carry and _sum(result.total) != _buckets(result.used or {}):
                return min(_least(result, price), result.total_nanousd), {}, False
            return result.total_nanousd, result.total, True
        if grown >= 0 and _continues(last.total, result):
            before = last.total
            models = {name: now.plus(before.get(name, ResultFigure()), -1) for name, now in result.total.items()}
            return grown, models, True
        return max(0, grown), {}, False


def _continues(before: Models, result: AgentResult) -> bool:
    """Return whether a total includes an earlier one: no model has less, and one has just the prompt's tokens more.

    A process that started at zero could show the same only if its sub-agents had used the tokens of the earlier one.
    """
    used = _buckets(result.used or {})
    grown = [
        [now - then for now, then in zip(_counts(result.total, name), _counts(before, name), strict=True)]
        for name in {**before, **result.total}
    ]
    return any(used) and used in grown and all(count >= 0 for counts in grown for count in counts)


def _counts(models: Models, name: str) -> list[int]:
    return _buckets(models.get(name, ResultFigure()).usage)


def _least(result: AgentResult, price: Price) -> int:
    """Return the least cost of the prompt's own tokens: by the model of the session that is cheapest for them."""
    costs = [price(name, result.used or {}) for name in result.total]
    return min((cost for cost in costs if cost is not None), default=0) if None not in costs else 0


def _sum(models: Models) -> list[int]:
    each = [_buckets(figure.usage) for figure in models.values()]
    return [sum(counts) for counts in zip(*each, strict=True)] if each else [0] * len(_BUCKETS)


def _buckets(usage: Mapping[str, int]) -> list[int]:
    return [usage.get(bucket, 0) for bucket in _BUCKETS]
