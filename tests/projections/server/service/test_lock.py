from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.errors import CostledgerError
from projections.server.service.lock import AnotherServer, server_lock


def test_only_one_server_has_a_directory_and_the_next_learns_where_it_is(tmp_path: Path) -> None:
    data = tmp_path / "made" / "data"
    with server_lock(data) as lock:
        with pytest.raises(AnotherServer, match="it is starting"), server_lock(data):
            pass
        for address in ("http://127.0.0.1:87650", "http://127.0.0.1:1"):
            lock.publish(address)
        where = rf"process {os.getpid()} at http://127\.0\.0\.1:1; use that one"
        with pytest.raises(AnotherServer, match=where), server_lock(data):
            pass
    with server_lock(data):
        assert (data / "server.lock").read_bytes() == b"", "nothing of the server before"


def test_a_refusal_of_the_system_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CostledgerError, match="could not lock"), server_lock(tmp_path / "file"):
        pass
