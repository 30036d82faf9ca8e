"""`hook --stop-over-budget`: what Claude Code does with the answer is at https://code.claude.com/docs/en/hooks#json-output.

`install` itself is tested in `tests/projections/claude_code/test_settings.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ledger import DirectoryStore, cost_observed, workflow_started
from projections.replay.move import move

S = "1f3c9a52-0000-4000-8000-000000000001"


def stopped(data: Path, toml: str, session_id: str = S) -> str:
    """What the hook prints before a tool is called, in a session under this configuration."""
    (data / "costledger.toml").write_text(toml)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("costledger")), "hook", "--stop-over-budget"],
        input=json.dumps({"session_id": session_id, "hook_event_name": "PreToolUse", "tool_name": "Bash"}),
        env={**os.environ, "COSTLEDGER_DATA": str(data)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def budget(where: str, usd: int) -> str:
    return f'[[budgets.period]]\nname = "b"\nper = "day"\nusd = {usd}\nwhere = [{where}]\n'


def test_a_budget_that_is_over_stops_the_sessions_that_count_in_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([workflow_started(S, project="/srv/shop"), cost_observed(S, cost_usd="2")])
    store.append([workflow_started("other", budget_usd=1), cost_observed("other", cost_usd="2")])
    for toml in (budget('"project=shop"', 2), budget('"project=other"', 0), budget("", 4), "[budgets"):
        assert stopped(tmp_path, toml) == ""
    assert stopped(tmp_path, budget('"project=shop"', 1), "new") == "", "it may be of another project"
    for toml, session_id in (
        (budget('"project=shop"', 1), S),
        (budget("", 3), S),
        (budget("", 3), "new"),
        (budget("", 9), "other"),
    ):
        answer = json.loads(stopped(tmp_path, toml, session_id))
        assert answer["continue"] is False
        assert "over. To go on" in answer["stopReason"]


def test_a_session_is_stopped_by_the_budget_of_the_workflow_that_it_was_moved_to(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed(S, cost_usd="2")])
    store.append([workflow_started("adw", project="/srv/shop", budget_usd=1)])
    assert stopped(tmp_path, "") == ""
    move(store, S, to="adw")
    assert "$1.0000 over" in json.loads(stopped(tmp_path, ""))["stopReason"]
    assert "b in" in json.loads(stopped(tmp_path, budget('"project=shop"', 1)))["stopReason"]
