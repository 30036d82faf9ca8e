"""`append`: events on stdin, and their receipts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT
from tests.projections.cli.test_app import events, piped


def test_events_from_stdin_give_their_receipts(tmp_path: Path) -> None:
    lines = events(
        {"type": "workflow_started", "workflow_id": "w"},
        {"type": "cost_observed", "workflow_id": "w", "cost_usd": 0.1, "id": "e1", "note": {"x": 1.5}},
        {"type": "cost_observed", "workflow_id": "v", "cost_usd": "0.09"},
        {"type": "cost_observed", "workflow_id": "w", "cost_usd": "0.10", "id": "e1"},
    )
    done = piped(tmp_path, "append", "--json", stdin=lines)
    receipts = [json.loads(line) for line in done.out.splitlines()]
    assert [(r["workflow_id"], r["seq"], r["duplicate"]) for r in receipts] == [
        ("w", 2, False),
        ("w", 3, False),
        ("v", 2, False),
        ("w", 3, True),
    ]
    assert (done.code, done.err) == (0, "")
    assert piped(tmp_path, "append", stdin=lines[:-1]).out == "2 appended, 2 already there, 0 refused\n"


def test_bad_lines_on_stdin_are_named_and_the_others_appended(tmp_path: Path) -> None:
    good = b'{"type":"cost_observed","workflow_id":"w","cost_usd":"0.01"}\n'
    bad = [
        b"not json\n",
        b"[]\n",
        b'{"type":"cost_observed","type":"x"}\n',
        b'{"type":"cost_observed","workflow_id":"w","cost_usd":NaN}\n',
        b'{"type":"cost_observed","workflow_id":"w","cost_usd":1e400}\n',
        b'{"type":"cost_observed","workflow_id":"w","cost_usd":"0.01","agent":"\\ud800"}\n',
        b'{"type":"cost_observed","workflow_id":"w","cost_usd":"0.01","note":"\\ud800"}\n',
        b'{"type":"cost_observed","workflow_id":"w","usage":{"input_tokens":18446744073709551616}}\n',
        b'{"type":"cost_observed","workflow_id":"w","cost_usd":"0.01","n":18446744073709551616}\n',
        b'{"type":"cost_observed","workflow_id":"w","cost_usd":"0.01","seq":1}\n',
        b'{"type":"cost_guessed","workflow_id":"w"}\n',
        b'{"type":"cost_observed","workflow_id":"../w","cost_usd":"0.01"}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"a":"' + b"x" * 50_000_000 + b'"}\n',
    ]
    done = piped(tmp_path, "append", stdin=good + good.join(bad) + good)
    assert done.code == 1
    assert done.out == f"{len(bad) + 1} appended, 0 already there, {len(bad)} refused\n"
    named = sorted(int(number) for number in re.findall(r"stdin, line (\d+):", done.err))
    assert named == list(range(2, 2 * len(bad) + 1, 2))
    assert max(map(len, done.err.splitlines())) < 400


def test_a_conflict_within_a_chunk_stops_only_itself(tmp_path: Path) -> None:
    given = [{"type": "cost_observed", "workflow_id": "w", "cost_usd": f"0.0{n}", "id": "same"} for n in (1, 2)]
    given.append({"type": "cost_observed", "workflow_id": "w", "cost_usd": "0.03"})
    done = piped(tmp_path, "append", stdin=events(*given))
    assert (done.code, done.out) == (1, "2 appended, 0 already there, 1 refused\n")


def test_a_receipt_comes_before_the_next_event_is_sent(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COSTLEDGER_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-m", "projections", "append", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        for number in range(3):
            agent.stdin.write(events({"type": "cost_observed", "workflow_id": "w", "cost_usd": number}))
            agent.stdin.flush()
            assert json.loads(agent.stdout.readline())["seq"] == number + 2
        agent.stdin.close()
        assert agent.wait() == 0
