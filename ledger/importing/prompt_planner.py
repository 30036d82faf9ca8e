"""Planning of telemetry whose session may be another one's: it waits in the ledger until the session had a prompt.

A resumed process of older Claude Code names a session id of its own at first (`sources.claude_telemetry`), and counts
what it costs in the session that it resumes. So the calls of a session without a prompt are recorded without a cost:
the row says "at least". With the prompt they count. Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Final

from ledger.events import money
from ledger.events.event import cost_observed
from ledger.events.ids import digest
from ledger.importing.import_plan import ImportPlan
from ledger.sources.findings import Call, Counter, Findings, Location

__all__ = ["PromptPlanner"]

_ELSEWHERE: Final = ("kind", "location", "agent", "session_id", "waits", "cost_usd")
"""Fields of a finding that the reading has anyway, or that are spelled otherwise."""


class PromptPlanner:
    """Plans prompts, and the readings that wait for them."""

    def __init__(self, plan: ImportPlan) -> None:
        self._plan, self._state = plan, plan.state

    def ready(self, findings: Findings) -> tuple[list[Call], list[Counter]]:
        """Plan prompts and what still waits for one; return the calls and counters that count."""
        found: list[Call | Counter] = []
        for prompt in findings.calls:
            if prompt.prompt and prompt.session_id is not None:
                found += self._released(prompt, prompt.session_id)
        given: list[Call | Counter] = [*findings.calls, *findings.counters]
        for each in given:
            if isinstance(each, Call) and each.prompt:
                continue
            if each.waits and each.session_id is not None and each.session_id not in self._state.prompted:
                self._plan_waiting(each)
            else:
                found.append(each)
        calls = [each for each in found if isinstance(each, Call)]
        return calls, [each for each in found if isinstance(each, Counter)]

    def _released(self, prompt: Call, session_id: str) -> Iterable[Call | Counter]:
        """Plan the first prompt of a session; return what waited for it."""
        if session_id in self._state.prompted:
            self._plan.unchanged += 1
            return []
        self._state.prompted.add(session_id)
        self._add(prompt, prompt.message_id, {"prompt": True})
        return [_finding(line) for line in self._state.waiting.pop(session_id, [])]

    def _plan_waiting(self, each: Call | Counter) -> None:
        given = {field.name: getattr(each, field.name) for field in fields(each) if field.name not in _ELSEWHERE}
        defaults = {field.name: field.default for field in fields(each) if field.default is not MISSING}
        waiting = {name: value for name, value in given.items() if value not in (None, defaults.get(name))}
        if each.cost_usd is not None:
            waiting["cost_usd"] = money.to_wire(money.parse(each.cost_usd))
        native = each.message_id if isinstance(each, Call) else each.series
        figures = (waiting.get("cost_usd"), *sorted((each.usage or {}).items()))
        self._add(each, digest("waiting", native, *figures), {"waiting": waiting})

    def _add(self, each: Call | Counter, message_id: str, more: Mapping[str, Any]) -> None:
        """Add a reading that shows no cost."""
        agent = self._state.session_agents.setdefault(each.session_id or "", each.agent)
        source = {"kind": each.kind, "file": each.location.file, "line": each.location.line, **more}
        new = cost_observed(
            self._plan.workflow_id,
            agent=agent,
            session_id=each.session_id,
            model=each.model,
            message_id=message_id,
            partial=True,
            observed_at=each.observed_at,
            id=digest(each.kind, message_id),
            source=source,
        )
        self._plan.add(new)


def _finding(line: Mapping[str, Any]) -> Call | Counter:
    """A finding from the reading under which it waited."""
    source = line["source"]
    where = {"location": Location(source["file"], source["line"]), "agent": line.get("agent")}
    where |= {"session_id": line["session_id"], "kind": source["kind"]}
    given: dict[str, Any] = {"model": None, "usage": None, **source["waiting"], **where}
    return Counter(**given) if "series" in given else Call(**given)
