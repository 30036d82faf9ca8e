"""Weeks of made-up workflows: what `costledger demo --serve` shows, and what the questions of the documentation ask.

The same seed and moment make the same events. The prices are made up, too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ledger.events import money
from ledger.events.annotations import workflow_tagged
from ledger.events.event import Event, cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore

__all__ = ["STORY_ID", "ExampleWorkflows", "write_weeks"]

STORY_ID: Final = "a5b80595"
"""The workflow of the documentation: $0.09 after its first reading, $2.37 at its end."""

_WEEKS: Final = 8
_RUNNING: Final = 4


class _ModelPrices(NamedTuple):
    """Prices in USD per million tokens of input, cache reads and output; a cache write costs 1.25 inputs."""

    name: str
    input: float
    read: float
    output: float


_SONNET: Final = _ModelPrices("claude-sonnet-4-5-20250929", 3.0, 0.3, 15.0)
_OPUS: Final = _ModelPrices("claude-opus-4-5-20251101", 5.0, 0.5, 25.0)
_HAIKU: Final = _ModelPrices("claude-haiku-4-5-20251001", 1.0, 0.1, 5.0)
_GPT: Final = _ModelPrices("gpt-5.1-codex", 1.25, 0.125, 10.0)
_LOCAL: Final = "qwen3-coder-next-local"
"""A model without a price."""

_TEMPLATES: Final = {
    "adw_sdlc": (("planner", _SONNET), ("implementor", _SONNET), ("tester", _HAIKU), ("reviewer", _OPUS)),
    "adw_plan_build": (("planner", _OPUS), ("implementor", _SONNET)),
    "adw_review": (("reviewer", _OPUS), ("documenter", _HAIKU)),
    "codex_fix": (("codex", _GPT),),
}
_PROJECTS: Final = {"shop": (11, 58), "billing": (3, 31), "handbook": (101, 124)}
"""Projects, and the numbers of their issues."""

_TEAMS: Final = {"shop": "store", "billing": "payments", "handbook": "docs"}

_BUDGETS: Final = (None, None, "2.00", "4.00", "8.00")


@dataclass
class ExampleWorkflows:
    """Workflows of the weeks before a moment.

    Attributes:
        now: the moment; a few workflows still run then.
    """

    now: datetime
    seed: int = 17

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def past(self) -> Iterator[list[Event]]:
        """Yield the events of each workflow, in order."""
        for day in range(7 * _WEEKS, 0, -1):
            start = self.now - timedelta(days=day)
            many = self.chance.randrange(2, 6) if start.weekday() < 5 else self.chance.randrange(2)
            for _ in range(many):
                yield self._workflow(start + timedelta(hours=self.chance.uniform(-4, 5)))
        for _ in range(_RUNNING):
            yield self._workflow(self.now - timedelta(minutes=self.chance.uniform(15, 35)), until=self.now)
        yield self._without_price()
        yield self._story()

    def live(self, at_once: int = 3) -> Iterator[Event]:
        """Yield the events of workflows that go on for ever, some at once, each to be recorded when it is yielded."""
        running: list[Iterator[Event]] = []
        while True:
            if len(running) < at_once:
                running.append(iter(self._workflow(self.now, dated=False)))
            one = self.chance.choice(running)
            event = next(one, None)
            if event is None:
                running.remove(one)
            else:
                yield event

    def _workflow(self, start: datetime, *, until: datetime | None = None, dated: bool = True) -> list[Event]:
        """Return a workflow of some agents; one of seven fails and is tried again, and some fail for good."""
        chance = self.chance
        template = chance.choice(list(_TEMPLATES))
        project = chance.choice(list(_PROJECTS))
        issue = chance.randrange(*_PROJECTS[project])
        run = _ExampleRun(self, f"{chance.randrange(16**8):08x}", project, start, dated=dated)
        branch = f"issue-{issue}" if template != "adw_review" else "main"
        budget = chance.choice(_BUDGETS)
        run.events.append(
            workflow_started(
                run.id,
                issue_number=issue,
                workflow_template=template,
                project=f"/home/sam/{project}",
                branch=branch,
                budget_usd=budget,
                observed_at=run.moment,
            )
        )
        run.events.append(workflow_tagged(run.id, tags={"team": _TEAMS[project]}, observed_at=run.moment))
        if chance.random() < 1 / 7:
            for agent, model in _TEMPLATES[template][:2]:
                run.agent(agent, model)
            run.end("failed", "the tests failed twice")
            run.at += timedelta(minutes=chance.uniform(3, 40))
            run.events.append(workflow_started(run.id, observed_at=run.moment))
        for agent, model in _TEMPLATES[template]:
            run.agent(agent, model)
        ended = chance.random()
        status = "failed" if ended < 0.05 else "cancelled" if ended < 0.08 else "completed"
        run.end(status, "the tests failed again" if status == "failed" else None)
        return run.events if until is None else run.before(until)

    def _without_price(self) -> list[Event]:
        at = self.now - timedelta(days=1)
        started = workflow_started("c0ffee01", workflow_template="adw_plan_build", observed_at=at)
        usage = {"input_tokens": 41_200, "output_tokens": 3_100}
        call = cost_observed(
            "c0ffee01", agent="planner", model=_LOCAL, usage=usage, observed_at=self.now - timedelta(1)
        )
        return [started, call, workflow_ended("c0ffee01", "completed", observed_at=at)]

    def _story(self) -> list[Event]:
        """Return the workflow whose row once showed $0.09 when it had cost $2.37."""
        start = self.now - timedelta(hours=2)
        run = _ExampleRun(self, STORY_ID, "shop", start, dated=True)
        run.events.append(
            workflow_started(
                STORY_ID,
                issue_number=17,
                workflow_template="adw_sdlc",
                project="/home/sam/shop",
                branch="issue-17",
                budget_usd="2.50",
                observed_at=start,
            )
        )
        run.events.append(workflow_tagged(STORY_ID, tags={"team": _TEAMS["shop"]}, observed_at=start))
        readings = [(2, 0, "0.09"), (6, 0, "0.24"), (11, 1, "0.31"), (17, 1, "0.78"), (24, 1, "1.05")]
        readings += [(29, 2, "0.18"), (33, 2, "0.42"), (38, 3, "0.21"), (44, 3, "0.46"), (46, 3, "0.66")]
        for minute, at, cost in readings:
            run.at = start + timedelta(minutes=minute)
            agent, model = _TEMPLATES["adw_sdlc"][at]
            run.total(agent, f"{STORY_ID}-{agent}", model, cost, int(float(cost) * 700_000), final=minute == 46)
        run.end("completed")
        return run.events


class _ExampleRun:
    """A workflow as its agents report it, one event after the other."""

    def __init__(self, examples: ExampleWorkflows, id: str, project: str, start: datetime, *, dated: bool) -> None:
        self.id = id
        self.at = start
        self.events: list[Event] = []
        self.chance = examples.chance
        self._project = project
        self._dated = dated
        self._sessions = 0

    @property
    def moment(self) -> datetime | None:
        """The moment of the next event; None for one that is recorded when it happens."""
        return self.at if self._dated else None

    def before(self, until: datetime) -> list[Event]:
        """Return the events that are observed before a moment."""
        latest = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return [event for event in self.events if str(event.fields.get("observed_at", "")) < latest]

    def agent(self, name: str, model: _ModelPrices) -> None:
        """Let an agent make some calls in a session; Claude Code reports the session's total at its end."""
        chance, reached, tokens = self.chance, 0, 0
        self._sessions += 1
        session = f"{self.id}-{name}-{self._sessions}"
        context = chance.randrange(12_000, 40_000)
        for number in range(chance.randrange(3, 12)):
            self.at += timedelta(seconds=chance.uniform(20, 150))
            fresh, output = chance.randrange(800, 9_000), chance.randrange(150, 2_600)
            cost = _nanousd(model, fresh, context, output)
            usage = {
                "input_tokens": chance.randrange(5, 60),
                "cache_write_tokens": fresh,
                "cache_read_tokens": context,
                "output_tokens": output,
            }
            reached, tokens, context = reached + cost, tokens + sum(usage.values()), context + fresh
            self._read(name, session, model, cost, usage, line=number + 1, message=f"msg_{session}_{number}")
        if model is not _GPT:  # helper calls are in the total only
            total = reached + chance.randrange(1_000_000, 9_000_000)
            self._read(name, session, None, total, None, line=99, final=True)

    def total(self, name: str, session: str, model: _ModelPrices, cost: str, tokens: int, *, final: bool) -> None:
        """Let an agent report what its session has cost so far."""
        usage = {"input_tokens": tokens // 90, "cache_write_tokens": tokens // 12, "output_tokens": tokens // 60}
        usage["cache_read_tokens"] = tokens - tokens // 8
        self._read(name, session, model, money.parse(cost), usage, line=len(self.events), final=final)

    def end(self, status: str, error: str | None = None) -> None:
        """End the run."""
        self.at += timedelta(seconds=20)
        self.events.append(workflow_ended(self.id, status, error_message=error, observed_at=self.moment))

    def _read(
        self,
        agent: str,
        session: str,
        model: _ModelPrices | None,
        nanousd: int,
        usage: dict[str, int] | None,
        *,
        line: int,
        message: str | None = None,
        final: bool = False,
    ) -> None:
        kind, folder = ("codex", "sessions") if model is _GPT else ("claude", self._project)
        self.events.append(
            cost_observed(
                self.id,
                agent=agent,
                session_id=session,
                model=None if model is None else model.name,
                message_id=message,
                cost_usd=money.to_wire(nanousd),
                usage=usage,
                final=final or None,
                observed_at=self.moment,
                source={"kind": kind, "file": f"{folder}/{session}.jsonl", "line": line},
            )
        )


def _nanousd(model: _ModelPrices, fresh: int, context: int, output: int) -> int:
    """Return what a call costs: USD per million tokens are 1,000 nanodollars per token."""
    return round(1_000 * (fresh * model.input * 1.25 + context * model.read + output * model.output))


def write_weeks(ledgers: DirectoryStore, until: datetime) -> ExampleWorkflows:
    """Append the workflows of the eight weeks before a moment; return them, to go on."""
    examples = ExampleWorkflows(until)
    for events in examples.past():
        ledgers.append(events)
    return examples
