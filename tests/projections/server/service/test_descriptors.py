from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from projections.server.service.descriptors import connections_at_hand, threads_at_hand


@pytest.fixture(params=[64, 128, 256, 1024])
def limit(request: pytest.FixtureRequest) -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (request.param, hard))
    yield request.param
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_and_threads_leave_descriptors_for_rows_and_ledgers(limit: int) -> None:
    connections, threads = connections_at_hand(), threads_at_hand(40)
    assert connections >= 1
    assert 1 <= threads <= 40
    assert limit - connections >= 26
    assert connections + 2 * threads < limit
    assert threads_at_hand(1) == 1
