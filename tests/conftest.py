"""What all tests share: a clock that tests move, and where the real agent output lies."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("costledger", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("costledger")

PROJECT = Path(__file__).resolve().parent.parent


class SteppingClock:
    """A clock that goes one second further each time it is read, or wherever a test sets it."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 18, 33, tzinfo=UTC)) -> None:
        self.moment = start

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real agent output, from `COSTLEDGER_SHARED_DATA` or `../shared/data`; its tests skip without it."""
    path = Path(os.environ.get("COSTLEDGER_SHARED_DATA") or PROJECT.parent / "shared" / "data")
    if not (path / "adw").is_dir():
        pytest.skip(f"no real agent output in {path}; set COSTLEDGER_SHARED_DATA to run this test")
    return path
