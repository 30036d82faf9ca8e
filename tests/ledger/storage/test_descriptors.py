from __future__ import annotations

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakSet

import pytest

from ledger.storage import descriptors


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """No descriptor is left; those in the list may be closed, and stores of other tests in this process have none."""
    monkeypatch.setattr(descriptors, "_caches", WeakSet())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    taken: list[int] = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    yield taken
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Idle:
    def __init__(self, taken: list[int]) -> None:
        self._taken = taken

    def close_idle(self) -> bool:
        """Close a descriptor that is not in use."""
        if self._taken:
            os.close(self._taken.pop())
            return True
        return False


def opened() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def test_when_none_is_left_a_cache_gives_up_what_it_does_not_use(few: list[int]) -> None:
    with pytest.raises(OSError, match=r"[Tt]oo many"):
        descriptors.retried(opened)
    cache = Idle(few)
    descriptors.register(cache)
    few.append(descriptors.retried(opened))


def test_an_error_of_sqlite_for_want_of_descriptors_is_known_as_that(few: list[int], tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as raised:
        sqlite3.connect(tmp_path / "x.db").execute("SELECT 1 FROM sqlite_master")
    found = descriptors.shortage(raised.value)
    assert found is not None
    assert found.errno == errno.EMFILE
    for _ in range(8):
        os.close(few.pop())
    assert descriptors.shortage(raised.value) is None


def test_another_error_is_no_shortage_and_is_not_tried_again() -> None:
    refused = OSError(errno.EACCES, "denied")
    calls: list[int] = []

    def denied() -> int:
        calls.append(1)
        raise refused

    with pytest.raises(OSError, match="denied"):
        descriptors.retried(denied)
    assert calls == [1]
    assert descriptors.shortage(refused) is None
    assert descriptors.shortage(ValueError()) is None


def test_the_limit_is_raised_as_far_as_the_hard_one_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 128), hard))
    try:
        assert (
            descriptors.raise_limit()
            == descriptors.limit()
            == (4096 if hard == resource.RLIM_INFINITY else min(4096, hard))
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
