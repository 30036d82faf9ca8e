"""OpenHands' conversations, `~/.openhands/conversations/<id>/base_state.json`, and its evaluations, `output.jsonl`.

Source of the format: OpenHands/software-agent-sdk, `openhands/sdk/llm/utils/metrics.py` and `telemetry.py`, and
OpenHands/OpenHands-CLI (`locations.py`):

- a conversation has metrics by usage id: the agent, its condenser, and sub-agents (`delegate:<id>`). All of them add.
  An evaluation has one line for each instance, with the metrics of all of its usage ids together;
- `token_usages` has one entry for each call, in order. `costs` has one for each call that has a price, in order: if
  there are fewer, which calls they belong to is unknown, and only their sum is right. So the n-th cost counts with the
  n-th call; calls after the last cost do not count, unless there is no cost at all;
- `prompt_tokens` includes cache reads and writes, `completion_tokens` the reasoning. An agent over ACP may count the
  cache separately from the prompt, and names its session as the `response_id` of each call;
- a file is written again after each call. A conversation's calls come again in its evaluation, and a sub-agent's in its
  parent, with the same response ids;
- costs are computed by LiteLLM, or named by its proxy; `litellm_proxy/` and `openhands/` before a model are the proxy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.events.ids import digest
from ledger.providers.usage import disjoint
from ledger.sources.findings import file_time
from ledger.sources.names import name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, items, mapping, unix_moment
from ledger.sources.transcript import TranscriptMessage

__all__ = ["OpenHandsConversations"]

_STATE: Final = "base_state.json"
_MAIN: Final = "agent"
_PROXIES: Final = ("litellm_proxy/", "openhands/")


class OpenHandsConversations(SessionLog):
    """The logs `openhands`."""

    ignored = frozenset({"events", "node_modules", ".git", "llm_completions"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        file = path.rpartition("/")[2]
        return file in (_STATE, "output.jsonl") or (file.startswith("output.critic_") and file.endswith(".jsonl"))

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`."""
        if log.path.suffix == ".jsonl":
            first = next((line for _, line in log.lines(b'"instance_id"')), {})
            return "instance_id" in first and "metrics" in first
        return isinstance(mapping(mapping(log.document()).get("stats")).get("usage_to_metrics"), dict)

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        if log.path.suffix != ".jsonl":
            _take_conversation(log, mapping(log.document()))
            return
        for number, line in log.lines(b'"metrics"'):
            if name(line.get("instance_id")) and _has_metrics(line):
                metrics = mapping(line["metrics"])
                session_id = f"{name(line['instance_id'])}-{digest(*_first(metrics))[:8]}"
                log.begin(session_id, _begun(log, [metrics]))
                _take_metrics(log, number, session_id, "", metrics, None)


def _has_metrics(line: Mapping[str, Any]) -> bool:
    return "accumulated_cost" in mapping(line.get("metrics"))


def _first(metrics: Mapping[str, Any]) -> tuple[object, ...]:
    """What distinguishes two attempts at an instance: their first call."""
    usage, cost = next(iter(items(metrics.get("token_usages"))), {}), next(iter(items(metrics.get("costs"))), {})
    return usage.get("response_id"), cost.get("timestamp"), usage.get("completion_tokens")


def _take_conversation(log: LogReading, state: Mapping[str, Any]) -> None:
    id = name(state.get("id"))
    folder = name(mapping(state.get("workspace")).get("working_dir"))
    by_usage = mapping(mapping(state.get("stats")).get("usage_to_metrics"))
    log.begin(id, _begun(log, by_usage.values()), folder if folder.startswith("/") else "")
    main = mapping(mapping(state.get("agent")).get("llm")).get("usage_id") or _MAIN
    for usage_id, metrics in by_usage.items():
        kind = None if usage_id in (main, _MAIN) else usage_id.removeprefix("delegate:")
        _take_metrics(log, 1, id, usage_id, mapping(metrics), kind)


def _begun(log: LogReading, every: Iterable[object]) -> str:
    """The moment of the first cost; without one, the file's modification time."""
    moments = [unix_moment(cost.get("timestamp")) for metrics in every for cost in items(mapping(metrics).get("costs"))]
    return min(filter(None, moments), default=file_time(log.path).spent_at or "")


def _take_metrics(
    log: LogReading, line: int, session_id: str, usage_id: str, metrics: Mapping[str, Any], kind: str | None
) -> None:
    """Add the calls of one usage id, each with the cost at its place; without any cost, all calls."""
    usages, costs = items(metrics.get("token_usages")), items(metrics.get("costs"))
    whole = len(costs) in (0, len(usages))
    had: Counter[str] = Counter()
    for place in range(len(costs) or len(usages)):
        usage = usages[place] if place < len(usages) else {}
        cost = costs[place] if place < len(costs) else {}
        own = digest("openhands", "call", session_id, usage_id, place)
        id = own
        if response := name(usage.get("response_id")):
            had[response] += 1
            counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
            id = digest("openhands", "response", response, had[response], *counts)
        log.add(line, _call, log, (id, own, session_id, kind), usage, cost, whole)


def _call(
    log: LogReading, ids: Iterable[Any], usage: Mapping[str, Any], cost: Mapping[str, Any], whole: bool
) -> TranscriptMessage | None:
    """One call: what it used, what it cost, or both."""
    id, own, session_id, kind = ids
    reads, writes = count(usage.get("cache_read_tokens")), count(usage.get("cache_write_tokens"))
    used = disjoint(count(usage.get("prompt_tokens")), writes, reads, count(usage.get("completion_tokens")))
    model = name(usage.get("model") or cost.get("model"))
    for proxy in _PROXIES:
        model = model.removeprefix(proxy)
    at = unix_moment(cost.get("timestamp")) or file_time(log.path).spent_at or ""
    made = call(
        id,
        session_id,
        model,
        used if usage else {},
        at,
        nanousd=dollars(cost.get("cost")),
        subagent=kind,
        partial=not whole,
    )
    return made and made._replace(names=() if own == id else (own,))
