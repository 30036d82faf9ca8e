"""docs/operations.md, "Repairing an existing database": ten steps, each run as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.applications import SqliteApplication, row_of
from tests.conftest import PROJECT
from tests.ledger.logs import init, result, write

_PAGE = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
_SECTION = _PAGE.partition("## Repairing an existing database\n")[2].partition("\n### ")[0]
_STEPS = re.split(r"^(?:\d+)\. ", _SECTION, flags=re.M)[1:]
_CODE = re.compile(r"^ +```sh\n(.*?)^ +```$", re.M | re.S)


class Shell:
    """The folder of a project with an application, as a person's shell stands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("COSTLEDGER")}
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        for agent, total in (("sdlc_planner", 0.09), ("sdlc_implementor", 2.28)):
            log = folder / "agents" / "a5b80595" / agent / "raw_output.jsonl"
            write(log, init(agent, agent), result(total, agent, uuid=agent, sonnet=total))
        (folder / "app").mkdir()
        self.application = SqliteApplication(folder / "app" / "workflow_history.db")

    def step(self, number: int) -> tuple[int, str]:
        """Run a step of the page; its exit code, and all that it printed."""
        script = "".join(re.sub(r"^ +", "", code, flags=re.M) for code in _CODE.findall(_STEPS[number - 1]))
        assert script, f"step {number} has nothing to run"
        for name, value in re.findall(r"^export (\w+)=(\S+)$", script, re.M):
            self.environment[name] = value
        command = ["/bin/bash", "-ec", script]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.application.close()


def test_the_ten_steps_look_preview_repair_prove_and_undo(shell: Shell) -> None:
    assert len(_STEPS) == 10
    before, rows = shell.application.digest(), shell.application.execute("SELECT * FROM workflow_history")
    said = {}
    for number in range(1, 7):
        code, said[number] = shell.step(number)
        assert (code, shell.application.digest()) == (0, before), f"step {number} only reads: {said[number]}"
    assert "stored $0.09, ledger $2.37" in said[4]
    assert "sdlc_implementor" in said[5]
    assert "a5b80595: $0.09 → $2.37" in said[6]

    code, repaired = shell.step(7)
    assert code == 0
    (backup,) = (shell.folder / "data" / "backups").iterdir()
    assert f"was backed up to data/backups/{backup.name}" in repaired
    assert "$0.0900    $2.3700" in repaired
    found = row_of(shell.application, "a5b80595")
    assert (found["actual_cost_total"], found["status"], found["nl_input"]) == (2.37, "completed", "do it")
    (entry,) = shell.application.execute("SELECT adw_id, old_cost, new_cost, reason FROM cost_audit_log")
    assert entry == {"adw_id": "a5b80595", "old_cost": 0.09, "new_cost": 2.37, "reason": "resync"}
    assert shell.step(8)[0] == 0
    assert list((shell.folder / "data" / "backups").iterdir()) == [backup], "only the first write backs up"
    code, proven = shell.step(9)
    assert (code, "0 drifted; nothing was written" in proven) == (0, True)

    assert shell.step(10)[0] == 0
    assert shell.application.execute("SELECT * FROM workflow_history") == rows
    assert shell.application.tables() == {"workflow_history", "sqlite_sequence"}
