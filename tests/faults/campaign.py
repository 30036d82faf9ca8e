"""Hosts that replicate to a real JetStream cluster while it is killed, paused and wiped; seeded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Protocol

from ledger.backlog import backlog
from ledger.events import cost_observed
from ledger.store import DirectoryStore
from tests.conftest import PROJECT
from tests.nats_server import Cluster, Server

EVENTS_AT_ONCE = 25


class Killable(Protocol):
    """A process of the campaign that is killed and started again, such as a replication or a projector."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


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
        also: processes that are killed and started again like the replications.
    """

    def __init__(
        self, folder: Path, cluster: Cluster, *, seed: int, hosts: int, events: int, also: Sequence[Killable] = ()
    ) -> None:
        self.rng, self.cluster, self.events = Random(seed), cluster, events
        self.stores = [DirectoryStore(folder / f"host{number}", durability="none") for number in range(hosts)]
        self.processes: list[Killable] = [
            Command(folder / "replicate.log", "--data", str(store.path), "replicate", "--follow", "--to", cluster.name)
            for store in self.stores
        ]
        self.processes += also
        self.faults: Counter[str] = Counter()

    def run(self, faults: Sequence[str], *, seconds: float) -> None:
        """Append everything while the faults happen one after another, evenly spread; then wait for what waits.

        Raises:
            TimeoutError: something was not acknowledged long after the last fault.
        """
        for process in self.processes:
            process.start()
        try:
            began, appended = time.monotonic(), 0
            for number, fault in enumerate(faults, 1):
                self._append_until(began + seconds * number / (len(faults) + 1), appended, number / (len(faults) + 1))
                appended = int(self.events * number / (len(faults) + 1))
                self.faults[fault] += 1
                _FAULTS[fault](self)
            self._append_until(began + seconds, appended, 1.0)
            self.cluster.wait()
            self._settle()
        finally:
            for process in self.processes:
                process.kill()

    def _append_until(self, deadline: float, appended: int, share: float) -> None:
        """Append up to a share of all events, spread over the time there is."""
        due = int(self.events * share) - appended
        while due > 0:
            count = min(EVENTS_AT_ONCE, due)
            store = self.rng.choice(self.stores)
            name = f"w{self.rng.randrange(6)}"  # the same workflows on every host: one row is fed by all of them
            store.append([cost_observed(name, agent=f"a{n}", cost_usd=self.rng.randrange(99)) for n in range(count)])
            due -= count
            left = deadline - time.monotonic()
            time.sleep(max(0.0, left * count / max(due, count)) if due else max(0.0, left))

    def _settle(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while waiting := sum(backlog(store).events_behind for store in self.stores):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{waiting} events still wait")
            time.sleep(0.2)

    def kill_leader(self) -> None:
        server = self.cluster.leader() or self.rng.choice(self.cluster.servers)
        self._down(server, wipe=False)

    def wipe_a_disk(self) -> None:
        self._down(self.rng.choice(self.cluster.servers), wipe=True)

    def _down(self, server: Server, *, wipe: bool) -> None:
        """`kill -9`, a moment, and back again; a wiped one is given the time to be filled before the next fault."""
        server.kill()
        time.sleep(self.rng.uniform(0.1, 1.5))
        if wipe:
            server.wipe()
        server.start()
        if wipe:
            self.cluster.wait()
            self.cluster.wait_current()

    def pause_a_node(self) -> None:
        server = self.rng.choice(self.cluster.servers)
        server.pause()
        time.sleep(self.rng.uniform(0.5, 4.0))
        server.resume()

    def kill_a_process(self) -> None:
        process = self.rng.choice(self.processes)
        process.kill()
        process.start()


_FAULTS: dict[str, Callable[[Campaign], None]] = {
    "leader killed": Campaign.kill_leader,
    "node paused": Campaign.pause_a_node,
    "disk wiped": Campaign.wipe_a_disk,
    "process killed": Campaign.kill_a_process,
}
