"""Moves among the workflows of many hosts: projected rows are those of a local replay, in any order."""

from __future__ import annotations

import random
import threading

from ledger.events.annotations import workflow_moved
from projections.folding.moves import LedgerPart, composed
from projections.folding.row import Row
from projections.history.postgres.history import open_postgres
from projections.projector.comparison import disagreeing_rows
from projections.projector.run import project_again, project_on
from tests.projections.projector.pure_replay import merged
from tests.projections.projector.test_projector import Hosts, lively, rows_at

WORKFLOWS = 12


def expected(hosts: Hosts) -> list[Row]:
    parts: dict[str, LedgerPart] = {}
    for name in sorted({name for store in hosts.stores for name in store.workflow_ids()}):
        with_it = [host for host, store in enumerate(hosts.stores) if store.size(name) is not None]
        found = merged(name, {hosts.stores[host].origin: hosts.lines(host, name) for host in with_it})
        parts[name] = LedgerPart(found.row, found.spend, found.moves)
    return [one.row for _, one in sorted(composed(parts).items())]


def test_projectors_give_the_rows_that_a_replay_of_all_hosts_gives(postgres_url: str) -> None:
    hosts, dice = Hosts(2), random.Random(3)
    for round_ in range(3):
        lively(hosts, WORKFLOWS, 40, seed=round_, name="w")
        for _ in range(4):
            name, to = dice.sample(range(WORKFLOWS), 2)
            store = hosts.stores[dice.randrange(2)]
            if store.size(f"w{name}") is not None:
                store.append([workflow_moved(f"w{name}", to=f"w{to}", agent=dice.choice([None, "review"]))])
        hosts.send_all()
        threads = [
            threading.Thread(
                target=project_on, args=(hosts.replica, postgres_url), kwargs={"once": True, "wait_seconds": 0.1}
            )
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rows_at(postgres_url) == expected(hosts)
    with open_postgres(postgres_url) as history:
        assert history.parts()
        assert list(disagreeing_rows(hosts.replica, history)) == []
    project_again(hosts.replica, postgres_url, wait_seconds=0)
    assert rows_at(postgres_url) == expected(hosts)
