"""Real runs of Codex whose answers are known: rollouts, telemetry and both equal the truth, or say "at least"."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.events import money
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import import_source
from ledger.sources import transcript
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore
from projections.folding.row import Row
from projections.replay.refresh import project
from tests.ledger.transcript_lines import meta, read_at, recorded, tokens, turn, write

BUCKETS = ("calls", "input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")
FAMILIES = (
    "archived-fork-33ce-3869",
    "live-fork-4d90-52bf",
    "made-inherited",
    "made-interleaved",
    "missing-parent-siblings",
)


def imported(store: LedgerStore, kind: str, path: Path) -> ImportReport:
    report = import_source(store, kind, path)
    assert report.problems == []
    return report


def used(store: LedgerStore) -> dict[str, dict[str, int]]:
    """Calls and tokens by session."""
    found: dict[str, dict[str, int]] = {}
    for workflow_id in store.workflow_ids():
        for line in store.read(workflow_id):
            if line["type"] == "cost_observed":
                session = found.setdefault(line["session_id"], dict.fromkeys(BUCKETS, 0))
                session["calls"] += 1
                for bucket in BUCKETS[1:]:
                    session[bucket] += line["usage"].get(bucket, 0)
    return found


def sums(sessions: dict[str, dict[str, int]]) -> dict[str, int]:
    return {bucket: sum(session[bucket] for session in sessions.values()) for bucket in BUCKETS}


@pytest.mark.parametrize("name", ["codex-irrlicht", *(f"codex-forks/{family}" for family in FAMILIES)])
def test_sessions_and_families_of_forks_are_what_their_authors_counted(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    folder = shared_data / name
    expected = json.loads((folder / "EXPECTED.json").read_text())
    whole = DirectoryStore(tmp_path / "whole", durability="none")
    report = imported(whole, "codex", folder)
    assert [each for each in report.skipped if not each.note] == []  # some lines are dated in the future
    found = used(whole)
    for session_id, session in expected["sessions"].items():
        assert found.get(session_id, dict.fromkeys(BUCKETS, 0)) == {name: session[name] for name in BUCKETS}, session_id
    files = transcript("codex").files(folder)
    for number, order in enumerate((files, files[::-1])):
        store = DirectoryStore(tmp_path / str(number), durability="none")
        for file in order:
            imported(store, "codex", file)
        assert sums(used(store)) == sums(found), "file by file in any order"
        assert imported(store, "codex", folder).appended == 0


def truth_of(folder: Path) -> dict[str, dict[str, Any]]:
    sessions: dict[str, dict[str, Any]] = json.loads((folder / "truth.json").read_text())["sessions"]
    return sessions


def check(row: Row, truth: dict[str, Any], *, exact: bool = True) -> None:
    """A row equals the truth, or is below it and says so; never above."""
    if truth["unpriced"] and row.cost_basis != "partial":
        return  # the price book knows a price that was not typed in for the truth
    cost = money.parse(truth["cost_usd"])
    assert row.actual_cost_nanousd == cost or (row.actual_cost_nanousd < cost and row.cost_basis == "partial")
    assert not exact or row.actual_cost_nanousd == cost


@pytest.mark.parametrize("version", ["0.50.0", "0.171.0"])
def test_the_rollouts_of_a_real_client_cost_what_its_provider_charged(
    shared_data: Path, tmp_path: Path, version: str
) -> None:
    folder = shared_data / "clients" / f"codex-{version}"
    truth, store = truth_of(folder), DirectoryStore(tmp_path, durability="none")
    assert imported(store, "codex", folder / ".codex").skipped == []
    rows = {workflow_id: project(store, workflow_id).row for workflow_id in store.workflow_ids()}
    assert rows.keys() <= truth.keys()
    hidden = {session_id for session_id in truth if session_id not in rows}
    assert len(hidden) == (1 if version == "0.171.0" else 0), "the call for a thread's title is in no rollout"
    for session_id, row in rows.items():
        check(row, truth[session_id])
        written = truth[session_id]["tokens"]
        uncached = row.input_tokens + row.cached_tokens, written["input"] + written["cache_write"]
        assert uncached[0] == uncached[1], "0.50 does not say which of its input was written"
        assert (row.cache_hit_tokens, row.output_tokens) == (written["cache_read"], written["output"])
    assert imported(store, "codex", folder / ".codex").appended == 0


def rollout_of(folder: Path, path: Path, *, records: bool) -> Path:
    """The rollout that a session of a truth leaves behind."""
    responses = json.loads((folder / "truth.json").read_text())["responses"]
    (session_id,) = truth_of(folder)
    lines, total = [meta(session_id), turn(responses[0]["model"])], tokens(0)
    for number, response in enumerate(responses):
        raw = response["raw_usage"]
        cached, reasoning = raw["input_tokens_details"], raw["output_tokens_details"]["reasoning_tokens"]
        last = tokens(raw["input_tokens"], cached["cached_tokens"], raw["output_tokens"], reasoning)
        total = {name: total[name] + last[name] for name in total}
        if records:
            lines.append(recorded(response["id"], total, last, session_id, number))
        lines.append(read_at(total, last, number))
    return write(path, *lines)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("records", [False, True])
def test_telemetry_and_rollouts_of_one_session_never_add_up(
    shared_data: Path, tmp_path: Path, records: bool, whole: bool
) -> None:
    folder = shared_data / "clients" / "codex-0.171.0-otlp"
    exported, ((session_id, truth),) = folder / "http-json.jsonl", truth_of(folder).items()
    rollout = rollout_of(folder, tmp_path / "rollout.jsonl", records=records)
    if not whole:  # the file was copied before the last call
        lines = rollout.read_bytes().splitlines(keepends=True)
        rollout.write_bytes(b"".join(lines[: -2 if records else -1]))
    ways = [("otlp", exported), ("codex", rollout)]
    orders = [
        [ways[0]],
        *([[ways[1]]] if whole else []),
        *itertools.permutations(ways),
        [*ways, *ways],
        [*ways[::-1], *ways],
    ]
    for number, order in enumerate(orders):
        store = DirectoryStore(tmp_path / str(number), durability="none")
        for kind, path in order:
            imported(store, kind, path)
        assert list(store.workflow_ids()) == [session_id]
        check(project(store, session_id).row, truth)
