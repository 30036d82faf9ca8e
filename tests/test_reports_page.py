"""The page for users runs: `docs/reports.md` shows what the commands print for the events below."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ledger.events.annotations import workflow_tagged
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.conftest import PROJECT
from tests.projections.cli.commands.test_spend import on_a_terminal

PAGE = (PROJECT / "docs" / "reports.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```text\n\$ costledger ([^\n]+)\n(.*?)```", PAGE, re.DOTALL)
COLUMNS = 100

OPUS, SONNET, LOCAL = "claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "qwen3-coder-next-local"
CALLS = [
    ("a5b80595", "sdlc_planner", "3f1c6a52", OPUS, "22T21:40", "0.83160", (412, 31_250, 812_400, 9_120)),
    ("a5b80595", "sdlc_implementor", "7b0e9d34", SONNET, "22T23:20", "3.57170", (640, 120_400, 2_904_000, 41_000)),
    ("a5b80595", "sdlc_tester", "91d2c1b0", SONNET, "23T09:05", "0.51867", (120, 18_300, 402_000, 6_200)),
    ("c0ffee01", "planner", "0d9f8e7c", LOCAL, "23T11:00", None, (52_000, 0, 0, 3_100)),
    ("c0ffee01", "builder", "1d9f8e7c", SONNET, "23T11:30", "0.97026", (210, 42_000, 610_000, 12_800)),
    ("c0ffee01", "builder", "1d9f8e7c", OPUS, "30T08:30", "0.40295", (90, 22_000, 310_000, 4_400)),
]
BUCKETS = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COSTLEDGER_DATA", raising=False)
    store = DirectoryStore(tmp_path / "data")
    store.append([workflow_started("a5b80595", issue_number=17, workflow_template="adw_sdlc", project="shop")])
    store.append([workflow_started("c0ffee01", issue_number=18, workflow_template="adw_plan_build", project="site")])
    store.append([workflow_tagged("a5b80595", tags={"team": "payments"})])
    store.append([workflow_tagged("c0ffee01", tags={"team": "search"})])
    for number, (name, agent, session, model, at, cost, counts) in enumerate(CALLS):
        store.append(
            [
                cost_observed(
                    name,
                    agent=agent,
                    session_id=f"{session}-88a0-4f0e-9d0b-5a1f7c2f9e11",
                    model=model,
                    message_id=f"msg_{number}",
                    observed_at=f"2026-11-{at}:00Z",
                    cost_usd=cost,
                    usage=dict(zip(BUCKETS, counts, strict=True)),
                )
            ]
        )
    store.append([workflow_ended("a5b80595", "completed", observed_at="2026-11-23T09:10:00Z")])


@pytest.mark.usefixtures("filled")
def test_every_command_prints_what_the_page_shows() -> None:
    assert len(SHOWN) >= 6
    for command, expected in SHOWN:
        written = re.sub(r"\x1b\[[0-9;]*m", "", on_a_terminal(COLUMNS, *shlex.split(command)))
        lines = [line.rstrip() for line in written.splitlines()]
        assert "\n".join(lines).strip("\n") == expected.strip("\n"), command
