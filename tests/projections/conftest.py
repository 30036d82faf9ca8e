"""What several test modules of the rows stand on: a history over each store, an agent that is listened to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.history.memory import MemoryHistory
from projections.history.postgres.history import open_postgres
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import HistoryStore
from tests.projections.server.conftest import serve
from tests.running_agent import Agent, S

__all__ = ["agent", "history", "serve", "transcript"]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HistoryStore]:
    """An empty history, in each of the stores."""
    if request.param == "memory":
        yield MemoryHistory()
        return
    if request.param == "postgres":
        with open_postgres(request.getfixturevalue("postgres_url")) as postgres:
            yield postgres
        return
    with SqliteHistory(tmp_path / "history.db") as sqlite:
        yield sqlite


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """One that has said nothing yet."""
    return Agent(tmp_path / "data")


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    """The empty transcript of its session."""
    path = tmp_path / "projects" / "-p" / f"{S}.jsonl"
    path.parent.mkdir(parents=True)
    path.touch()
    return path
