"""What all tests share: a clock that tests move, and where the real agent output lies."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres_server import PostgresServer, running_postgres

settings.register_profile("costledger", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("campaign", settings.get_profile("costledger"), max_examples=1000)
settings.load_profile("costledger")

PROJECT = Path(__file__).resolve().parent.parent

# Where no bytecode is written, each of the hundreds of processes of these tests compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI whatever a test needs is there: one that was skipped has proven nothing, so the run has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for report in skipped:
            reporter.write_line(f"skipped, which fails in CI: {report.nodeid}: {report.longrepr[2]}")


@pytest.fixture(autouse=True, scope="session")
def nothing_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the data directory of the user who runs it, nor reads that user's transcripts."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in (("XDG_DATA_HOME", "data"), ("CLAUDE_CONFIG_DIR", "claude"), ("CODEX_HOME", "codex")):
            patch.setenv(name, str(home / folder))
        yield


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


@pytest.fixture(autouse=True, scope="session")
def _no_columns() -> Iterator[None]:
    """What commands print into a pipe is as wide as they like; pytest-xdist sets $COLUMNS for its workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real agent output, from `COSTLEDGER_SHARED_DATA` or `../shared/data`; its tests skip without it."""
    path = Path(os.environ.get("COSTLEDGER_SHARED_DATA") or PROJECT.parent / "shared" / "data")
    if not (path / "adw").is_dir():
        pytest.skip(f"no real agent output in {path}; set COSTLEDGER_SHARED_DATA to run this test")
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL, one for all tests of a process."""
    with running_postgres() as server:
        yield server


_schemas = itertools.count(1)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """A PostgreSQL schema of this test's own."""
    import psycopg

    schema = f"test_{next(_schemas)}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {schema}")
    return postgres_server.url(schema)
