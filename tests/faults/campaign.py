"""Hosts, a real JetStream cluster, projectors and their database, while all of them are killed; seeded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from ledger.events.event import cost_observed
from ledger.replication.lag import backlog
from ledger.storage.directory_store import DirectoryStore
from tests.conftest import PROJECT
from tests.nats_server import Cluster, Server

EVENTS_AT_ONCE: Final = 25
WORKFLOWS: Final = 6


class Command:
    """A `costledger` command that runs until it is killed."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log, self.arguments = log, arguments
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "projections", *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"NO_COLOR": "1"}, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Campaign:
    """So many hosts append so many events and replicate them, while faults happen.

    Args:
        history: where projectors write shared rows.
        projectors: how many there are of them.
        more: faults in addition to those of this class.

    Attributes:
        happened: how often each fault did.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        *,
        seed: int,
        hosts: int,
        events: int,
        history: str,
        projectors: int,
        more: Mapping[str, Callable[[], None]],
    ) -> None:
        self.rng, self.cluster, self.events = Random(seed), cluster, events
        self.stores = [DirectoryStore(folder / f"host{number}", durability="none") for number in range(hosts)]
        sending = [("--data", str(store.path), "replicate", "--follow", "--to", cluster.name) for store in self.stores]
        projecting = [("--history", history, "project", "--from", cluster.name)] * projectors
        self.processes = [Command(folder / "log", *arguments) for arguments in (*sending, *projecting)]
        self.happened: Counter[str] = Counter()
        self._appended = 0
        self._faults: dict[str, Callable[[], None]] = {
            "leader killed": lambda: self._down(self.cluster.leader() or self.rng.choice(self.cluster.servers)),
            "disk wiped": lambda: self._down(self.rng.choice(self.cluster.servers), wiped=True),
            "node paused": self._pause_a_node,
            "process killed": self._kill_a_process,
            **more,
        }

    def run(self, faults: Sequence[str], *, seconds: float) -> None:
        """Append everything while the faults happen one after another, evenly spread; then wait for what waits.

        Raises:
            TimeoutError: something was not acknowledged long after the last fault.
        """
        for process in self.processes:
            process.start()
        try:
            began, parts = time.monotonic(), len(faults) + 1
            for number, fault in enumerate((*faults, ""), 1):
                self._append(self.events * number // parts - self._appended, by=began + seconds * number / parts)
                if fault:
                    self.happened[fault] += 1
                    self._faults[fault]()
            self.cluster.wait()
            self._settle()
        finally:
            for process in self.processes:
                process.kill()

    def _append(self, events: int, *, by: float) -> None:
        """Append so many events, spread over the time until a moment."""
        while events > 0:
            count = min(EVENTS_AT_ONCE, events)
            name = f"w{self.rng.randrange(WORKFLOWS)}"  # the same on every host: one row is fed by all of them
            batch = [cost_observed(name, agent=f"a{n}", cost_usd=self.rng.randrange(99)) for n in range(count)]
            self.rng.choice(self.stores).append(batch)
            self._appended += count
            events -= count
            time.sleep(max(0.0, (by - time.monotonic()) / (events / EVENTS_AT_ONCE + 1)))

    def _settle(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while waiting := sum(backlog(store).events_behind for store in self.stores):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{waiting} events still wait")
            time.sleep(0.2)

    def _down(self, server: Server, *, wiped: bool = False) -> None:
        """`kill -9`, a moment, and back again; a wiped one is given the time to be filled before the next fault."""
        server.kill()
        time.sleep(self.rng.uniform(0.1, 1.5))
        if wiped:
            server.wipe()
        server.start()
        if wiped:
            self.cluster.wait()
            self.cluster.wait_current()

    def _pause_a_node(self) -> None:
        server = self.rng.choice(self.cluster.servers)
        server.pause()
        time.sleep(self.rng.uniform(0.5, 4.0))
        server.resume()

    def _kill_a_process(self) -> None:
        process = self.rng.choice(self.processes)
        process.kill()
        process.start()
