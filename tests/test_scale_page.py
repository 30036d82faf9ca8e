"""The server's configuration in docs/scale.md runs, and lets each user do what it needs and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import nats
import nats.errors
import pytest

from ledger.errors import ReplicaUnavailable
from ledger.events.event import cost_observed
from ledger.replication.nats.replica import NatsReplica
from ledger.replication.repair import repair
from ledger.replication.replica import PARTITIONS, ChainSegment
from ledger.replication.restore import restore
from ledger.replication.sender import Replication
from ledger.storage.directory_store import DirectoryStore
from tests.conftest import PROJECT
from tests.nats_server import Cluster, running


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """One server with the page's configuration, but for its addresses, its folder and the other servers."""
    for user in ("OPERATOR", "HOST", "PROJECTOR"):
        monkeypatch.setenv(f"{user}_PASSWORD", "secret")
    page = (PROJECT / "docs" / "scale.md").read_text(encoding="utf-8")
    block = re.search(r"```conf\n(.*?)```", page, re.DOTALL)
    assert block is not None
    text = re.sub(r"cluster \{.*?\}\n", "", block[1], flags=re.DOTALL)
    with running(tmp_path / "nats") as cluster:
        one = cluster.servers[0]
        cluster.stop()
        text = text.replace("0.0.0.0:4222", f"127.0.0.1:{one.port}\n   http: 127.0.0.1:{one.http}")
        one.config.write_text(text.replace("/var/lib/nats", str(tmp_path / "store")))
        cluster.start()
        yield cluster


def as_user(server: Cluster, user: str) -> str:
    return server.name.replace("nats://", f"nats://{user}:secret@")


def test_each_user_of_the_page_can_do_its_work_and_no_more(server: Cluster, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "host")
    store.append([cost_observed("w", cost_usd=n) for n in range(5)])
    with closing(NatsReplica(as_user(server, "operator"), copies=1)) as operator:
        assert operator.identity
    with (
        closing(NatsReplica(as_user(server, "host"), copies=1)) as host,
        closing(Replication(store, host)) as replication,
    ):
        assert replication.catch_up().lines == 6
        assert repair(store, host, replication).losses == []
        assert restore(host, tmp_path / "restored").events == 6
    with closing(NatsReplica(as_user(server, "projector"), timeout_seconds=0.5)) as projector:
        (line, *_) = projector.read(dict.fromkeys(range(PARTITIONS), 0), lines_max=99, wait_seconds=5)
        assert line.workflow_id == "w"
        head = projector.head(line.workflow_id, line.origin)
        run = ChainSegment(head, [b'{"hash":"%064d"}\n' % 1])
        assert isinstance(projector.publish([run])[0], ReplicaUnavailable)
    assert asyncio.run(deletes_the_stream(as_user(server, "host"))) is False


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ("host:secret", "there is no stream 'costledger' yet, and it could not be made: this user may not do that"),
        ("host:wrong", "the servers do not let this user in"),
    ],
)
def test_a_host_is_told_what_it_may_not_do_and_that_its_password_is_wrong(
    server: Cluster, user: str, problem: str
) -> None:
    name = server.name.replace("nats://", f"nats://{user}@")
    with closing(NatsReplica(name, copies=1, timeout_seconds=2)) as host, pytest.raises(ReplicaUnavailable) as raised:
        assert host.identity
    assert problem in raised.value.problem


async def deletes_the_stream(name: str) -> bool:
    async def quiet(_: Exception) -> None:
        """A denied request reaches this callback, too."""

    async with await nats.connect(name, error_cb=quiet) as client:
        try:
            await client.request("$JS.API.STREAM.DELETE.costledger", b"", timeout=0.5)
        except nats.errors.TimeoutError:
            return False
        return True
