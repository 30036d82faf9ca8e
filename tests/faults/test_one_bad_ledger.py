"""One ledger that verifies and holds what no append of ours makes: it is named, and every other workflow goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import CostledgerError
from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import Head, chain_hash, following, seed
from projections.history.memory import MemoryHistory
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import HistoryStore
from projections.replay.rebuild import rebuild
from projections.replay.refresh import RefreshReport, refresh, resync
from projections.replay.verify import Proof, verify
from tests.faults.forging import ORIGIN, put
from tests.projections.cli.test_app import Run
from tests.projections.cli.test_app import run as run  # the fixture
from tests.projections.conftest import history as history  # the fixture
from tests.projections.server.conftest import Host
from tests.projections.server.conftest import hosted as hosted  # the fixture

INT64 = 2**63 - 1


def tokens(count: int, **fields: Any) -> dict[str, Any]:
    return {"usage": {"input_tokens": count}} | fields


UNSTORABLE: dict[str, list[dict[str, Any]]] = {
    "tokens that a column cannot add up": [tokens(INT64, agent="a"), tokens(INT64, agent="b")],
    "three rows of 4e18 tokens": [tokens(4 * 10**18, agent=f"a{n}") for n in range(3)],
    "one reading whose total is above its bucket": [{"usage": {"input_tokens": INT64, "output_tokens": 1}}],
    "ten agents at a billion": [{"cost_usd": "1000000000.00", "agent": f"a{n}"} for n in range(10)],
    "an issue number above 63 bits": [{"type": "workflow_started", "run": 1, "issue_number": 2**64 - 1}],
    "tokens above 64 bits in the split": [tokens(INT64, model=f"m{n}", agent="a") for n in range(3)],
}
"""Each is a workflow without a row."""

READABLE: dict[str, list[dict[str, Any]]] = {
    "a reading of 2^63 - 1 tokens": [tokens(INT64, cost_usd="0.01")],
    "a billion dollars": [{"cost_usd": "1000000000.00"}],
    "a nanodollar more than fifteen digits": [{"cost_usd": "9007199254.740993001"}],
}
"""Written before there were bounds, and still read."""

ODD: dict[str, list[dict[str, Any]]] = {
    "a list for usage": [{"usage": [1]}],
    "text for tokens": [{"usage": {"input_tokens": "7"}}],
    "a number for the cost": [{"cost_usd": 7}],
    "no cost that is one": [{"cost_usd": "lots"}],
    "a list for the agent": [{"cost_usd": "1.00", "agent": ["x"]}],
    "a NUL in a name": [{"cost_usd": "1.00", "agent": "a\0b"}],
    "a NUL in a sub-agent's name": [{"cost_usd": "1.00", "agent": "a", "subagent": "a\0b"}],
    "a NUL in a counter's name": [{"cost_usd": "1.00", "agent": "a", "counter": "a\0b"}],
    "a NUL in the evidence": [
        {"cost_usd": "1.00", "spent_at": "2026-11-23T18:33:01.000000Z", "source": {"spent_at_from": "a\0b"}}
    ],
    "spent at no time": [{"cost_usd": "1.00", "spent_at": "0", "source": {"spent_at_from": "file"}}],
    "a number for when it was spent": [{"cost_usd": "1.00", "spent_at": 7, "source": {"spent_at_from": "file"}}],
    "text for the source": [{"cost_usd": "1.00", "source": "x", "session_id": "s"}],
    "a list for the source": [{"cost_usd": "1.00", "source": [1], "message_id": "m"}],
    "a series without figures": [{"cost_usd": "1.00", "session_id": "s", "source": {"kind": "x", "series": [1]}}],
    "a live reading without figures": [{"cost_usd": "1.00", "session_id": "s", "source": {"kind": "claude_live"}}],
    "a list for a session": [{"cost_usd": "1.00", "session_id": [1]}],
    "an object for a message": [{"cost_usd": "1.00", "message_id": {"a": 1}}],
    "no time": [{"cost_usd": "1.00", "observed_at": "yesterday"}],
    "a number for a time": [{"cost_usd": "1.00", "observed_at": 7}],
    "a start at no time": [{"type": "workflow_started", "run": 1, "observed_at": "soon"}],
    "an end at no time": [{"type": "workflow_completed", "run": 1, "observed_at": "late"}],
    "an end in no zone": [
        {"type": "workflow_started", "run": 1},
        {"type": "workflow_completed", "run": 1, "observed_at": "2026-11-23T18:33:01.000000"},
    ],
    "text for the run": [{"type": "workflow_started", "run": "x"}],
    "a run above 64 bits": [{"type": "workflow_started", "run": 2**63}, {"type": "workflow_failed", "run": 2**63}],
    "a list for the project": [{"type": "workflow_started", "run": 1, "project": [1]}],
    "a NUL in the project": [{"type": "workflow_started", "run": 1, "project": "a\0b"}],
    "a list for the budget": [{"type": "workflow_started", "run": 1, "budget_usd": [1]}],
    "text for the budget": [{"type": "workflow_started", "run": 1, "budget_usd": "lots"}],
    "an object for the error": [{"type": "workflow_failed", "run": 1, "error_message": {"a": 1}}],
    "recorded at no time": [{"cost_usd": "1.00", "recorded_at": "now"}],
    "only recorded at no time": [{"type": "workflow_started", "run": 1, "recorded_at": "zzzz"}],
    "a type of another": [{"type": "workflow_", "run": 1}, {"type": "cost_observed", "cost_usd": "1.00"}],
    "a version of the future": [{"v": 7, "cost_usd": "1.00"}],
}

OPENINGS: dict[str, dict[str, Any]] = {
    "renewed is text": {"renewed": "x"},
    "renewed is a list": {"renewed": [1]},
    "renewed names no origin": {"renewed": {"id": "x"}},
    "renewed by numbers": {"renewed": {"origin": 7, "id": 8, "hash": 9}},
    "renewed two hundred times": {"renewed": {"origin": "o", "id": "i", "hash": "h"}},
    "format is text": {"format": "x"},
    "salvaged is text": {"salvaged": "x"},
}

LEDGERS: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
    *((name, events, {}) for kind in (UNSTORABLE, READABLE, ODD) for name, events in kind.items()),
    *((name, [{"cost_usd": "1.00"}], opening) for name, opening in OPENINGS.items()),
]


def nested(depth: int) -> dict[str, Any]:
    renewed: dict[str, Any] = {"origin": "o", "id": "i", "hash": "h"}
    for _ in range(depth):
        renewed = {"origin": "o", "id": "i", "hash": "h", "renewed": renewed}
    return renewed


OPENINGS["renewed two hundred times"]["renewed"] = nested(200)


def good(data: Path) -> DirectoryStore:
    store = DirectoryStore(data)
    store.append([cost_observed("w1", cost_usd="2.37", agent="plan", model="m", id="e1", usage={"output_tokens": 7})])
    return store


@pytest.mark.parametrize(("name", "events", "opening"), LEDGERS, ids=[name for name, _, _ in LEDGERS])
def test_every_replay_goes_on_beside_it(
    history: HistoryStore, tmp_path: Path, name: str, events: list[dict[str, Any]], opening: dict[str, Any]
) -> None:
    store = good(tmp_path / "data")
    put(tmp_path / "data", "bad", *events, opening=opening)
    replays: list[Callable[[], RefreshReport]] = [
        lambda: refresh(store, history),
        lambda: resync(store, history),
        lambda: resync(store, history, force=True),
        lambda: rebuild(store, history),
        lambda: refresh(store, history, workflow_ids=["w1", "bad"], unchanged_too=True),
    ]
    for replay in replays:
        named = {problem.workflow_id for problem in replay().problems}
        row = history.row("w1")
        assert row is not None
        assert row.actual_cost_total == 2.37
        assert named <= {"bad"}
        assert (named == {"bad"}) == (history.row("bad") is None)
        if name in UNSTORABLE or name in READABLE or opening:
            assert bool(named) == (name in UNSTORABLE)
    found = {finding.workflow_id for finding in verify(store, history, Proof())}
    assert found == ({"bad"} if history.row("bad") is None else set())
    sums = list(history.spent(["adw_id", "model"]))
    assert sum(one.amounts[0] for one in sums if one.group[0] == "w1") == 2_370_000_000


@pytest.mark.parametrize("name", OPENINGS)
def test_a_ledger_in_the_place_of_another_is_named_whatever_its_opening_says(tmp_path: Path, name: str) -> None:
    store, history = good(tmp_path), MemoryHistory()
    put(tmp_path, "bad", *[{"cost_usd": "1.00"}] * 3)
    refresh(store, history)
    put(tmp_path, "bad", *[{"cost_usd": "2.00"}] * 4, opening=OPENINGS[name])
    report = refresh(store, history)
    assert [type(problem.error).__name__ for problem in report.problems] == ["ReplacedLedger"]
    assert resync(store, history, force=True).problems == []


def test_lines_whose_members_stand_in_another_order_cannot_be_carried_over_and_say_so(tmp_path: Path) -> None:
    store, history = good(tmp_path), MemoryHistory()
    path = put(tmp_path, "bad", {"cost_usd": "1.00"}, opening={"renewed": {"origin": "o", "id": "i", "hash": "h"}})
    path.write_bytes(reordered(path.read_bytes()))
    refresh(store, history)
    assert history.stored()["bad"].cost_nanousd == 10**9
    with SqliteHistory(tmp_path / "history.db") as other:
        head = history.checkpoints()["bad"]
        other.write([], pure=True, reason="test")
        with pytest.raises(CostledgerError):
            store.read("bad", checkpoint=Head(head.seq, head.size - 1, head.hash))


def reordered(lines: bytes) -> bytes:
    """The same chain, `seq` before `v` in every line."""
    before, found = seed("bad", ORIGIN), b""
    for line in lines.splitlines():
        body = line[: line.rindex(b',"hash":"') + len(b',"hash":"')]
        renamed = body.replace(b'{"v":1,', b"{", 1).replace(b',"id":', b',"v":1,"id":', 1)
        digits = chain_hash(before, renamed)
        found += renamed + digits.encode() + b'"}\n'
        before = following(digits)
    return found


def among_ledgers(data: Path) -> list[str]:
    """Put what is no ledger among the ledgers, and return the names of the files."""
    folder = data / "ledgers"
    for name in ("w1 (copy).jsonl", "._w1.jsonl"):
        (folder / name).write_bytes((folder / "w1.jsonl").read_bytes())
    (folder / "loop.jsonl").symlink_to(folder / "loop.jsonl")
    (folder / "folder.jsonl").mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "gone.jsonl").symlink_to(data / "nowhere")
    return sorted(["w1 (copy).jsonl", "._w1.jsonl", "loop.jsonl", "folder.jsonl", "pipe.jsonl", "gone.jsonl"])


def test_what_lies_among_the_ledgers_and_is_none_is_named_and_the_ledgers_are_read(
    history: HistoryStore, tmp_path: Path
) -> None:
    store = good(tmp_path / "data")
    strays = among_ledgers(tmp_path / "data")
    assert list(store.workflow_ids()) == ["w1"]
    for replay in (refresh, resync, rebuild):
        assert [problem.workflow_id for problem in replay(store, history).problems] == strays
    assert history.stored()["w1"].cost_nanousd == 2_370_000_000
    proof = Proof()
    assert [finding.workflow_id for finding in verify(store, history, proof)] == strays
    assert (proof.ledgers, proof.events) == (1, 2)


@pytest.fixture
def debugged(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command, whose errors that are none of ours end the test."""
    monkeypatch.setenv("COSTLEDGER_DEBUG", "1")
    return run


def test_every_command_goes_on_beside_all_of_them(debugged: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = good(data)
    store.append([cost_observed("w1", cost_usd="0.01", agent="later", id="e2")])
    names = [f"bad{number}" for number in range(len(LEDGERS))]
    for name, (_, events, opening) in zip(names, LEDGERS, strict=True):
        put(data, name, *events, opening=opening)
    among_ledgers(data)
    (tmp_path / "calls.csv").write_text("workflow,cost\nw9,0.25\n")
    for command in (
        ["refresh"],
        ["history"],
        ["history", "--json"],
        ["show", "w1"],
        ["show", "w1", "--json"],
        ["explain", "w1"],
        ["daily", "--json"],
        ["weekly"],
        ["monthly", "--by", "agent"],
        ["session", "--json"],
        ["daily", "--csv"],
        ["stale"],
        ["check", "w1"],
        ["resync"],
        ["resync", "--force"],
        ["rebuild"],
        ["rebuild", "--check"],
        ["verify"],
        ["anchor"],
        ["origin"],
        ["unpriced"],
        ["reprice", "--reason", "test"],
        ["import", "csv", "calls.csv", "--map", "workflow_id=workflow", "--map", "cost_usd=cost"],
        ["append"],
        [],
    ):
        done = debugged(*command)
        assert done.code in (0, 1, 2, 3), (command, done.err)
        if command == ["history", "--json"]:
            costs = {row["adw_id"]: row["actual_cost_total"] for row in done.json["workflows"]}
            assert costs["w1"] == "2.38"
            assert "w1 (copy).jsonl" in done.err
        if command == ["verify"]:
            assert done.code == 3
            assert "loop.jsonl" in done.out
        if command == ["anchor"]:
            assert done.code == 0
            assert done.out.startswith("costledger-anchor/1")
    assert "w9" in debugged("history").out


@pytest.mark.parametrize(("events", "opening"), [rest for _, *rest in LEDGERS], ids=[name for name, *_ in LEDGERS])
def test_every_command_about_it_ends_in_an_answer_or_a_sentence(
    debugged: Run, tmp_path: Path, events: list[dict[str, Any]], opening: dict[str, Any]
) -> None:
    data = tmp_path / "data"
    put(data, "bad", *events, opening=opening)
    for command in (
        ["show", "bad"],
        ["show", "bad", "--as-of", "2"],
        ["explain", "bad"],
        ["explain", "bad", "--json"],
        ["check", "bad"],
        ["resync", "bad", "--force"],
        ["reprice", "bad", "--reason", "test"],
        ["observe", "bad", "--cost-usd", "0.50", "--id", "new"],
        ["start", "bad"],
        ["complete", "bad"],
        ["correct", "bad", "--cost-usd", "0.40", "--reason", "test"],
        ["salvage", "bad"],
        ["verify"],
        ["history"],
    ):
        done = debugged(*command)
        assert done.code in (0, 1, 2, 3), (command, done.err)
        assert done.out or done.err


def test_a_server_starts_beside_all_of_them_and_health_names_them(hosted: Host, tmp_path: Path) -> None:
    data = tmp_path / "data"
    good(data)
    for number, (_, events, opening) in enumerate(LEDGERS):
        put(data, f"bad{number}", *events, opening=opening)
    strays = among_ledgers(data)
    server = hosted(data)
    assert server.client.get("/api/workflow-history/w1").json()["actual_cost_total"] == "2.37"
    assert "cannot be replayed" in server.client.get("/readyz").text
    problems = server.client.get("/api/health").json()["problems"]
    assert set(strays) | {f"bad{number}" for number in range(len(UNSTORABLE))} <= set(problems)
    taken = server.client.post("/api/events", json={"type": "cost_observed", "workflow_id": "bad0", "cost_usd": "1"})
    assert taken.status_code == 201  # the append is durable; its workflow's row stays as it was
    taken = server.client.post("/api/events", json={"type": "cost_observed", "workflow_id": "w1", "cost_usd": "3"})
    assert taken.json()["workflows"]["w1"]["cost_usd"] == "3.00"
    for number in range(len(LEDGERS)):
        for path in ("", "/events", "/explain", "/audit"):
            answer = server.client.get(f"/api/workflow-history/bad{number}{path}")
            assert answer.status_code in (200, 404, 409, 422), answer.text
    assert server.client.get("/api/spend").status_code == 200
