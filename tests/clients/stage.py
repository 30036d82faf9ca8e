"""A stage: one client in a home of its own, with the APIs that it asks; what a scenario does, it does here."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, Protocol

from tests.clients.http_fake import FakeApi
from tests.clients.terminal import Terminal

__all__ = ["Client", "How", "Stage", "Turn"]

How = Literal["new", "resume", "continue", "fork"]

TURN_SECONDS_MAX: Final = 150.0
_ENTERS: Final = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of a client without a terminal.

    Attributes:
        session: the session that is resumed or forked.
    """

    prompt: str
    how: How = "new"
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """What some versions cannot show in some ways, or cannot do.

    Attributes:
        why: the sentence of the table.
        ways, scenarios: those that it concerns; empty: all.
        below: scenarios in which a row may be below the truth by it, and in others only says "at least"; None: in all.
        until: the first version that it does not concern.
        since: the first version that it concerns.
    """

    why: str
    ways: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    until: str | None = None
    since: str | None = None
    below: tuple[str, ...] | None = None

    def explains(self, scenario: str) -> bool:
        """Return whether a row that it concerns may be below the truth by it."""
        return self.below is None or scenario in self.below

    def concerns(self, version: str, scenario: str, way: str = "") -> bool:
        number = numbered(version)
        return (
            (not self.ways or way in self.ways)
            and (not self.scenarios or scenario in self.scenarios)
            and (self.until is None or number < numbered(self.until))
            and (self.since is None or number >= numbered(self.since))
        )


def numbered(version: str) -> tuple[int, ...]:
    """Return a version as numbers that can be compared."""
    return tuple(int(part) for part in version.split("-")[0].split(".") if part.isdigit())


class Client(Protocol):
    """A coding agent: how it is started, and what its records can show. One file for each.

    Attributes:
        versions: the pinned ones; `newest` is what the registry calls the latest.
        ways: names in `ways.WAYS` of the records that it leaves behind.
        leave: what its user types to end it.
    """

    @property
    def name(self) -> str: ...

    @property
    def versions(self) -> Sequence[str]: ...

    @property
    def ways(self) -> Sequence[str]: ...

    @property
    def leave(self) -> str: ...

    def install(self, version: str) -> Path:
        """Return the executable of a version, installed."""
        ...

    def newest(self) -> str: ...

    @property
    def abilities(self) -> frozenset[str]:
        """What it can do, as scenarios need it; see also `missing`."""
        ...

    @property
    def missing(self) -> Sequence[Limit]:
        """Scenarios that a version cannot play: its ways are empty."""
        ...

    def prepare(self, stage: Stage) -> None:
        """Write the settings into the home of a stage."""
        ...

    def environment(self, stage: Stage) -> dict[str, str]: ...

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        """Return the command of a turn without a terminal, which prints the client's stream log."""
        ...

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        """Return the command of the client at a terminal, new or resumed."""
        ...

    def session_of(self, log: str) -> str | None:
        """Return the session that a stream log names."""
        ...

    @property
    def limits(self) -> Sequence[Limit]:
        """What a way cannot show: why a row may be below the truth, and say so."""
        ...

    @property
    def defects(self) -> Sequence[Limit]:
        """What is known to be wrong, with the reason; it is wrong in the table all the same."""
        ...


@dataclass
class Stage:
    """One cell's folder and processes.

    Attributes:
        folder: `homes/1`, `work`, `streams`, `otlp`, `statusline.log`, `hooks.log` and `truth.json`, as recorded
            clients have them.
        sessions: the session that each process named, by its number.
    """

    client: Client
    version: str
    scenario: str
    executable: Path
    folder: Path
    api: Mapping[str, FakeApi]
    otlp: FakeApi
    base: Mapping[str, str]
    chance: random.Random
    protocols: tuple[str, str] = ("http/json", "http/protobuf")
    sessions: dict[int, str] = field(default_factory=dict)
    _processes: int = 0
    _terminals: list[Terminal] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "homes" / "1"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def make(self) -> None:
        for folder in (self.home, self.work, self.folder / "streams"):
            folder.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(self.work)], check=True)
        self.client.prepare(self)

    def address(self, api: str) -> str:
        """Return the address of an API for the process that is started now."""
        return self.api[api].address(self._processes)

    def environment(self) -> dict[str, str]:
        return {**self.base, "HOME": str(self.home), **self.client.environment(self)}

    # What scenarios do.

    def turn(self, prompt: str, how: How = "new", session: str | None = None) -> str:
        """Run a turn to its end; return its session.

        Raises:
            RuntimeError: the client named no session.
        """
        process, log = self._start(Turn(prompt, how, session))
        return self._end(process, log)

    def together(self, *turns: Turn) -> list[str]:
        """Run turns at the same time."""
        started = [self._start(turn) for turn in turns]
        return [self._end(process, log) for process, log in started]

    def killed(self, prompt: str, how: How = "new", session: str | None = None) -> str:
        """Start a turn with a slow stream, and kill the client in the middle of it, as `kill -9` does."""
        slow = [api.slow for api in self.api.values()]
        for event in slow:
            event.clear()
        process, log = self._start(Turn(prompt, how, session))
        until = time.monotonic() + TURN_SECONDS_MAX
        while not any(event.is_set() for event in slow):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no slow stream began: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._settle()
        return self._session(log)

    def terminal(self, session: str | None = None) -> Terminal:
        """Start the client at a terminal, and wait until it takes input."""
        self._processes += 1
        if session is not None:
            self.sessions[self._processes] = session
        made = Terminal(self.client.interactive(self, session), self.work, self.environment())
        self._terminals.append(made)
        made.wait_until_quiet(1.5, 25)
        return made

    def type(self, terminal: Terminal, line: str, *, asks: bool = True) -> None:
        """Type a line, and wait until it was answered and drawn; a client that is still starting may miss the Enter."""
        before = self._asked()
        terminal.type(line)
        for _ in range(_ENTERS if asks else 0):
            until = time.monotonic() + 5
            while self._asked() == before and time.monotonic() < until:
                time.sleep(0.05)
            if self._asked() != before:
                break
            terminal.enter()
        self._settle()
        terminal.wait_until_quiet(2.5, 15)

    def last_session(self) -> str:
        """Return the session of the last answer."""
        given = max((api.given[-1] for api in self.api.values() if api.given), key=lambda one: one.at)
        return str(given.session)

    def leave(self, terminal: Terminal) -> None:
        """End the client as its user does."""
        terminal.type(self.client.leave)
        terminal.end(40)

    def finish(self) -> None:
        for terminal in self._terminals:
            if terminal.process.poll() is None:
                terminal.kill()

    def write_truth(self) -> None:
        """Write what the APIs answered, as recorded clients have it.

        `aliases` are sessions that a process named to the API and nowhere else, each with the one that it named in its
        own records: some clients make helper calls under an id of their own.
        """
        responses = [given.document() for api in self.api.values() for given in api.given]
        for one in responses:
            one["session"] = one["session"] or self.sessions.get(one["process"])
        sessions: dict[str, Decimal] = {}
        for one in responses:
            if one["complete"] and one["cost_usd"] is not None:
                session = str(one["session"])
                sessions[session] = sessions.get(session, Decimal(0)) + Decimal(one["cost_usd"])
        summed = {session: {"cost_usd": str(cost), "unpriced": 0} for session, cost in sessions.items()}
        named = set(self.sessions.values())
        asked = {(str(one["session"]), one["process"]) for one in responses}
        aliases = {one: self.sessions[at] for one, at in asked if one not in named and at in self.sessions}
        aliases |= {
            one["thread"]: str(one["session"]) for one in responses if one["thread"] not in (None, one["session"])
        }
        document = {
            "client": self.client.name,
            "version": self.version,
            "sessions": summed,
            "aliases": aliases,
            "responses": responses,
        }
        (self.folder / "truth.json").write_text(json.dumps(document, indent=1), encoding="utf-8")

    def _asked(self) -> int:
        return sum(len(api.asked) for api in self.api.values())

    def _settle(self) -> None:
        for api in self.api.values():
            api.wait_until_idle(0.8, 30)

    def _start(self, turn: Turn) -> tuple[subprocess.Popen[bytes], Path]:
        self._processes += 1
        log = self.folder / "streams" / f"{self._processes:02}.jsonl"
        with log.open("wb") as out, log.with_suffix(".err").open("wb") as errors:
            process = subprocess.Popen(
                self.client.command(self, turn),
                cwd=self.work,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
        return process, log

    def _end(self, process: subprocess.Popen[bytes], log: Path) -> str:
        try:
            process.wait(TURN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise RuntimeError(f"no end within {TURN_SECONDS_MAX:.0f} s: {log.read_text()[-2000:]}") from None
        return self._session(log)

    def _session(self, log: Path) -> str:
        session = self.client.session_of(log.read_text(encoding="utf-8", errors="replace"))
        if session is None:
            errors = log.with_suffix(".err").read_text(errors="replace")
            raise RuntimeError(f"{self.client.name} named no session: {log.read_text()[-1000:]}{errors[-1000:]}")
        self.sessions[int(log.stem)] = session
        return session
