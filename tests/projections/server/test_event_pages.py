"""`/events` and `/explain`: pages that cover a ledger once, and are bounded in entries, bytes and memory."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser

from ledger.events.event import Event, cost_observed, event, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.cli.app import cli
from projections.history.memory import MemoryHistory
from projections.server.service.service import Service
from projections.server.service.settings import Settings
from tests.projections.server.browsing import WIDE, Visit, expect
from tests.projections.server.conftest import Host, Server

ONE = "/api/workflow-history/w"


def get(server: Server, path: str, **parameters: Any) -> Any:
    answer = server.client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(server: Server, path: str, **parameters: Any) -> list[Any]:
    """All pages, by following `next`."""
    found, after = [], 0
    while after is not None:
        found.append(get(server, path, after=after, **parameters))
        after = found[-1]["next"]
    return found


@pytest.fixture
def stepped(hosted: Host, tmp_path: Path) -> Server:
    """A ledger of 13 events, of which 7 moved the cost; the last of them did not."""
    ledgers = DirectoryStore(tmp_path / "data")
    ledgers.append([workflow_started("w")])
    for usd in (1, 3, 2, 5, 5, 6, 8, 7, 9, 10, 10):
        ledgers.append([cost_observed("w", agent="plan", cost_usd=usd)])
    return hosted(tmp_path / "data")


@pytest.mark.parametrize(("path", "name", "total"), [("explain", "steps", 7), ("events", "events", 13)])
def test_pages_of_any_size_have_every_entry_once(stepped: Server, path: str, name: str, total: int) -> None:
    (whole,) = pages(stepped, f"{ONE}/{path}")
    assert len(whole[name]) == total

    @given(st.integers(1, total + 2))
    def check(limit: int) -> None:
        found = pages(stepped, f"{ONE}/{path}", limit=limit)
        assert [entry for page in found for entry in page[name]] == whole[name]
        assert [len(page[name]) for page in found[:-1]] == [limit] * (len(found) - 1)
        assert 1 <= len(found[-1][name]) <= limit

    check()


def test_events_of_a_branch_are_its_readings_page_by_page(hosted: Host, tmp_path: Path) -> None:
    ledgers = DirectoryStore(tmp_path / "data")
    ledgers.append([workflow_started("w")])
    for usd in range(1, 7):
        ledgers.append([cost_observed("w", agent="plan", session_id=f"s{usd % 2}", model="opus", cost_usd=usd)])
    ledgers.append([cost_observed("w", agent="plan", cost_usd=9), cost_observed("w", cost_usd=10)])
    server = hosted(tmp_path / "data")
    (whole,) = pages(server, f"{ONE}/events")
    branches: dict[tuple[str, ...], list[int]] = {
        ("agent=plan",): [3, 4, 5, 6, 7, 8, 9],
        ("agent=plan", "session_id=s1", "model=opus"): [3, 5, 7],
        ("agent=plan", "session_id="): [9],
        ("agent=",): [10],
        ("agent=nobody",): [],
    }
    for named, seqs in branches.items():
        asked = dict(name.split("=") for name in named)
        found = [entry for page in pages(server, f"{ONE}/events", limit=2, **asked) for entry in page["events"]]
        assert found == [whole["events"][seq - 1] for seq in seqs]


@pytest.mark.parametrize(
    "asked", [{}, {"limit": 1}, {"after": 3, "limit": 2}, {"after": 11}, {"after": 99}, {"after": 0, "limit": 7}]
)
def test_explain_is_the_same_document_on_the_command_line(stepped: Server, asked: dict[str, int]) -> None:
    words = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    done = CliRunner().invoke(cli, ["--data", str(stepped.data), "explain", "w", "--json", *words])
    assert orjson.loads(done.stdout) == get(stepped, f"{ONE}/explain", **asked)


def test_explain_counts_the_events_that_it_read(stepped: Server) -> None:
    first, *_, last = pages(stepped, f"{ONE}/explain", limit=2)
    assert (first["adw_id"], first["event_count"] < 13, last["event_count"]) == ("w", True, 13)


@pytest.mark.parametrize("path", ["explain", "events", "audit"])
@pytest.mark.parametrize(
    "asked",
    ["after=-1", "after=x", "after=4611686018427387904", "after=1&after=2", "limit=0", "limit=10001", "offset=5"],
)
def test_a_page_that_cannot_be_is_refused_alike(stepped: Server, path: str, asked: str) -> None:
    answer = stepped.client.get(f"{ONE}/{path}?{asked}")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:costledger:problem:invalid-request")
    assert asked.partition("=")[0] in answer.json()["detail"]


def large(workflow_id: str, count: int, field: str) -> list[Event]:
    """Readings of ten megabytes in all, by the text in one field; each moves the cost."""
    fields = {"type": "cost_observed", "workflow_id": workflow_id, field: "a" * (10_000_000 // count)}
    return [event(fields | {"cost_usd": usd}) for usd in range(1, count + 1)]


@pytest.mark.parametrize(
    ("path", "name", "limit", "count", "field"),
    [("explain", "steps", 10_000, 2_500, "reason"), ("events", "events", 1_000, 50, "a_field_of_the_callers")],
)
def test_a_page_of_large_events_ends_early(
    hosted: Host, tmp_path: Path, path: str, name: str, limit: int, count: int, field: str
) -> None:
    ledgers = DirectoryStore(tmp_path / "data")
    ledgers.append(large("w", count, field))
    server = hosted(tmp_path / "data")
    found = pages(server, f"{ONE}/{path}", limit=limit)
    assert len(found) == 2
    assert max(len(orjson.dumps(page)) for page in found) < 9_000_000
    entries = [entry for page in found for entry in page[name]]
    seqs = [entry.get("seq") or entry["event"]["seq"] for entry in entries]
    assert seqs == list(range(2 if path == "explain" else 1, count + 2))


def test_long_ledgers_are_replayed_in_turn_and_short_ones_do_not_wait(tmp_path: Path) -> None:
    service = Service(Settings(tmp_path), MemoryHistory)
    service.ledgers.append([cost_observed("short", cost_usd=1)])
    for name in ("long", "longer"):
        service.ledgers.append(large(name, 50, "a_field_of_the_callers"))

    async def replays() -> None:
        async with service.replay_turn("long"):
            async with service.replay_turn("short"), service.replay_turn("nothing"):
                pass
            async with service.replay_turn("longer", events_max=200):
                pass  # a few events of a long ledger are a short replay
            waiting = asyncio.create_task(turn("longer"))
            assert not (await asyncio.wait({waiting}, timeout=0.2))[0]
        await waiting

    async def turn(name: str) -> None:
        async with service.replay_turn(name, events_max=1_000_000):
            pass

    try:
        asyncio.run(replays())
    finally:
        service.close()


def test_of_a_long_ledger_the_page_draws_the_last_events(browser: Browser, hosted: Host, tmp_path: Path) -> None:
    ledgers = DirectoryStore(tmp_path / "data", durability="none")
    ledgers.append([cost_observed("w", agent="plan", cost_usd=usd) for usd in range(1, 12_000)])
    context = browser.new_context(viewport=WIDE)
    visit, asked = Visit(context.new_page(), hosted(tmp_path / "data").url), list[str]()
    visit.page.on("request", lambda request: asked.append(request.url) if "/explain" in request.url else None)
    page = visit.open("#/workflows/w")
    expect(page.locator("main")).to_contain_text(
        "The last 10,000 of 12,000 events; costledger explain -- w lists all.", timeout=30_000
    )
    expect(page.locator(".chart")).to_have_attribute("aria-label", re.compile(r"10000 steps to \$11,999\.00"))
    assert [url.partition("?")[2] for url in asked] == ["after=2000&limit=10000"]
    context.close()
    assert visit.wrong == []
