from __future__ import annotations

import sys

import pytest

from ledger.errors import InvalidReplica, MissingExtra
from ledger.replication.nats.replica import NatsReplica
from ledger.replication.open import open_replica


def test_a_name_of_nats_is_a_replica_that_has_not_connected_yet() -> None:
    replica = open_replica("nats://user:secret@localhost:1")
    assert isinstance(replica, NatsReplica)
    assert replica.address == "nats://localhost:1"
    replica.close()


@pytest.mark.parametrize("name", ["", "http://localhost", "nats://"])
def test_another_name_is_refused_with_the_spelling(name: str) -> None:
    with pytest.raises(InvalidReplica, match="nats://HOST:PORT"):
        open_replica(name)


@pytest.mark.parametrize(
    ("absent", "credentials"), [("ledger.replication.nats.replica", None), ("nkeys", "user.creds")]
)
def test_a_missing_package_names_the_extra(
    absent: str, credentials: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingExtra, match=r"\[nats\]"):
        open_replica("nats://localhost:1", credentials=credentials)
