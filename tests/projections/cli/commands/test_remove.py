"""`remove`: a workflow is forgotten, for now or for good, and no import brings it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

SECRETS = {
    "agent": "secret-agent",
    "session_id": "secret-session",
    "message_id": "secret-message",
    "model": "secret-model",
    "reason": "secret-reason",
}
WORKFLOW = "secret-workflow"


def transcript(path: Path, session: str, message: str, cwd: str = "/home/dev/secret-project") -> Path:
    usage = {"input_tokens": 10, "output_tokens": 5}
    body = {"id": message, "role": "assistant", "model": "claude-sonnet-4-5", "usage": usage}
    line = {"type": "assistant", "sessionId": session, "timestamp": "2026-11-23T18:00:00Z", "cwd": cwd}
    title = {"type": "user", "message": {"role": "user", "content": "a secret-title"}} | {"sessionId": session}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in (line | title, line | {"message": body})))
    return path


def containing(folder: Path, word: str) -> list[str]:
    """The files below a folder that contain a word, or have it in their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if word.encode() in path.read_bytes() or word in path.name]


def test_a_removed_workflow_is_not_imported_again_and_can_be_put_back(run: Run, tmp_path: Path) -> None:
    log = transcript(tmp_path / "logs" / "session-1.jsonl", "session-1", "message-1")
    run("import", "claude", str(log.parent))
    before = run("history", "--json").json["workflows"]
    removed = run("remove", "session-1")
    assert "2 events removed" in removed.out or "3 events removed" in removed.out
    assert "costledger remove --undo -- session-1" in removed.out
    assert run("history", "--json").json["workflows"] == []
    transcript(log, "session-1", "message-2")
    run("import", "claude", str(log.parent))
    run("import", "claude", str(log), "--workflow-id", "other")
    assert run("daily", "--json").json["lines"] == []
    assert run("history", "--json").json["workflows"] == []
    assert run("verify").code == 0
    assert "counts again" in run("remove", "--undo", "session-1").out
    assert [row["adw_id"] for row in before] == ["session-1"]
    assert run("show", "session-1", "--json").json["actual_cost_total"] == before[0]["actual_cost_total"]


@pytest.mark.parametrize("command", ["show", "explain", "receipt", "check", "tag w team=store"])
def test_a_removed_workflow_is_said_to_be_removed_and_a_purged_one_erased(run: Run, command: str) -> None:
    run("observe", "w", "--cost-usd", "1.00")
    run("remove", "w")
    asked = command.split() if " " in command else [command, "w"]
    answer = run(*asked)
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "workflow 'w' was removed at 2" in answer.err
    assert answer.err.endswith("is set aside; to put it back: costledger remove --undo -- w\n")
    run("remove", "w", "--purge", "--yes")
    assert run(*asked).err.endswith(", and its bytes were erased: nothing brings it back\n")


@pytest.mark.parametrize("removed_first", [False, True])
def test_a_purge_leaves_no_byte_of_the_content(run: Run, tmp_path: Path, removed_first: bool) -> None:
    run(
        "start",
        WORKFLOW,
        "--project",
        "secret-project",
        "--branch",
        "secret-branch",
        "--workflow-template",
        "secret-kind",
    )
    flags = [
        text for name, value in SECRETS.items() if name != "reason" for text in (f"--{name.replace('_', '-')}", value)
    ]
    run("charge", WORKFLOW, *flags, "--cost-usd", "12.345678912")
    run("correct", WORKFLOW, "--cost-usd", "11", "--reason", SECRETS["reason"])
    run("fail", WORKFLOW, "--error-message", "secret-error")
    run("observe", "kept", "--cost-usd", "1.00")
    log = transcript(tmp_path / "logs" / "secret-session.jsonl", "secret-session", "secret-message-2")
    run("import", "claude", str(log), "--workflow-id", WORKFLOW)
    run("history")
    run("stale")
    run("daily", "--by", "agent")  # which makes sums
    run("monthly")
    data = tmp_path / "data"
    (data / "ledgers" / f"{WORKFLOW}.jsonl.torn-1").write_text('{"agent":"secret-agent"')
    (data / "live").mkdir(exist_ok=True)
    (data / "live" / "spool.jsonl").write_text('{"session_id":"secret-session"}\n{"session_id":"another-one"}\n')
    assert containing(data, "secret")
    if removed_first:
        run("remove", WORKFLOW)
    assert "would erase" in run("remove", WORKFLOW, "--purge").out
    purged = run("remove", WORKFLOW, "--purge", "--yes")
    assert (purged.code, "erased" in purged.out, "still names" in purged.out) == (0, True, False)
    assert containing(data, "secret") == []
    assert containing(data, "12.345678912") == []
    assert "another-one" in (data / "live" / "spool.jsonl").read_text()
    run("import", "claude", str(log.parent))
    assert [row["adw_id"] for row in run("history", "--json").json["workflows"]] == ["kept"]
    assert run("verify").code == 0
    undone = run("remove", "--undo", WORKFLOW)
    assert (undone.code, "its bytes were erased" in undone.err) == (1, True)
