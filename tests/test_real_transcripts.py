"""Real transcripts of Claude Code and Codex, with what a right reader must find; skipped visibly where not at hand."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.import_report import ImportReport
from ledger.importing.importer import import_source
from ledger.sources import transcript
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore
from projections.folding.row import Row
from projections.replay.refresh import project

FOLDERS = (
    "agent-sessions",
    "claude-code-log",
    "claude-code-viewer",
    "cli",
    "entirecontext",
    "episodic-memory",
    "happy",
)
EVERY_ORDER = [name for name in FOLDERS if name != "claude-code-log"]
"""`claude-code-log` is made up by hand: three of its ids stand for responses of two models, two of them with the same
output. What EXPECTED.json says of `msg_006` costs less than what its file `todowrite_examples.jsonl` says alone, so no
figure that never falls comes to it when that file is imported first."""
MET = ("representative_messages", "todowrite_examples", "edge_cases")
"""Files of `claude-code-log`: `msg_004` has 45 input tokens in the first and 168 in the others, `msg_006` 78 in the
first and 270 in the second."""


def found(store: LedgerStore) -> dict[str, Any]:
    """What the ledgers hold, in the words of EXPECTED.json."""
    largest: dict[str, tuple[str, dict[str, int]]] = {}
    for workflow_id in store.workflow_ids():
        for line in store.read(workflow_id):
            if line["type"] == "cost_observed":
                usage = line["usage"]
                had = largest.get(line["message_id"])
                assert had is None or usage["output_tokens"] >= had[1]["output_tokens"], "a later reading is larger"
                largest[line["message_id"]] = (line.get("model", ""), usage)
    own = {id: truth for id, truth in largest.items() if "#" not in id}
    hidden: Counter[str] = Counter()
    for id in largest.keys() - own.keys():
        hidden.update(largest[id][1])
    buckets = ("input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens")
    return {
        "messages": len(own),
        **{bucket: sum(usage.get(bucket, 0) for _, usage in own.values()) for bucket in buckets},
        "models": dict(Counter(model for model, _ in own.values())),
        "hidden": {bucket: hidden[bucket] for bucket in ("input_tokens", "output_tokens")},
    }


def expected(folder: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((folder / "EXPECTED.json").read_text())
    return truth | {"hidden": {"input_tokens": 0, "output_tokens": 0} | truth["hidden"]}


def imported(store: LedgerStore, path: Path, kind: str = "claude") -> ImportReport:
    report = import_source(store, kind, path)
    assert report.problems == []
    return report


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_holds_exactly_what_is_expected_and_importing_it_again_appends_nothing(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    folder, store = shared_data / "claude-transcripts" / name, DirectoryStore(tmp_path, durability="none")
    first = imported(store, folder)
    assert found(store) == expected(folder)
    again = imported(store, folder)
    assert again.appended == 0
    assert again.skipped == [skipped for skipped in first.skipped if not skipped.note], "reported at every import"
    assert again.unchanged >= first.appended - len(first.workflows)
    (tmp_path / "transcripts.db").unlink()
    assert imported(store, folder).appended == 0, "the index is made again from the ledgers"


def totals(store: LedgerStore) -> dict[str, int]:
    rows = [project(store, workflow_id).row for workflow_id in store.workflow_ids()]
    names = ("actual_cost_nanousd", "input_tokens", "cached_tokens", "cache_hit_tokens", "output_tokens")
    return {name: sum(getattr(row, name) for row in rows) for name in names}


def of_one_workflow(row: Row) -> dict[str, Any]:
    times = ("last_activity", "created_at", "updated_at", "event_count", "ledger_seq", "ledger_hash")
    return {name: getattr(row, name) for name in Row.__slots__ if name not in times}


@pytest.mark.parametrize("name", EVERY_ORDER)
def test_file_by_file_in_any_order_comes_to_the_same(shared_data: Path, tmp_path: Path, name: str) -> None:
    folder = shared_data / "claude-transcripts" / name
    stores = [DirectoryStore(tmp_path / part, durability="none") for part in ("whole", "one", "shuffled", "single")]
    whole, one, shuffled, single = stores
    imported(whole, folder)
    import_source(one, "claude", folder, workflow_id="one")
    files = transcript("claude").files(folder)
    random.Random(name).shuffle(files)
    for file in files:
        imported(shuffled, file)
        import_source(single, "claude", file, workflow_id="one")
    assert found(shuffled) == found(single) == expected(folder)
    assert totals(shuffled) == totals(whole)
    assert of_one_workflow(project(single, "one").row) == of_one_workflow(project(one, "one").row)


def test_files_whose_ids_stand_for_two_responses_come_to_one_output_in_any_order(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "claude-transcripts" / "claude-code-log"
    truth, files = expected(folder), transcript("claude").files(folder)
    for number in range(12):
        store = DirectoryStore(tmp_path / str(number), durability="none")
        random.Random(number).shuffle(files)
        for file in files:
            imported(store, file)
        one, other, both = (files.index(folder / "test/test_data" / f"{name}.jsonl") for name in MET)
        here, more = found(store), (270 - 78) * (other < one) - (168 - 45) * (one < min(other, both))
        assert (here["messages"], here["output_tokens"]) == (truth["messages"], truth["output_tokens"])
        assert here["input_tokens"] == truth["input_tokens"] + more, "the response that was met first, and no other"


def test_half_written_files_that_grow_come_to_the_same(shared_data: Path, tmp_path: Path) -> None:
    folder, chance = shared_data / "claude-transcripts" / "entirecontext", random.Random(5)
    store, growing = DirectoryStore(tmp_path / "data", durability="none"), tmp_path / "growing"
    contents = {file.relative_to(folder): file.read_bytes() for file in transcript("claude").files(folder)}
    written = dict.fromkeys(contents, 0)
    for step in range(6):
        for name, content in contents.items():
            more = len(content) if step == 5 else chance.randrange(len(content) // 3 + 2)
            written[name] = min(len(content), written[name] + more)
            (growing / name).parent.mkdir(parents=True, exist_ok=True)
            (growing / name).write_bytes(content[: written[name]])
        imported(store, growing)
    assert found(store) == expected(folder)
    whole = DirectoryStore(tmp_path / "whole", durability="none")
    imported(whole, folder)
    assert totals(store) == totals(whole)


def rollout_totals(file: Path) -> list[dict[str, int]]:
    """What a rollout's counter showed, without repetitions."""
    shown: list[dict[str, int]] = []
    for line in file.read_text().splitlines():
        payload = json.loads(line)["payload"]
        if payload.get("type") == "token_count" and payload["info"]["total_token_usage"] not in shown[-1:]:
            shown.append(payload["info"]["total_token_usage"])
    return shown


@pytest.mark.parametrize(
    "case", ["archived-fork-33ce-3869", "harness-smoke", "live-fork-4d90-52bf", "missing-parent-siblings"]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_fork_of_a_rollout_counts_only_what_it_added(
    shared_data: Path, tmp_path: Path, case: str, reverse: bool
) -> None:
    folder = shared_data / "codex/CodexBar/Tests/CodexBarTests/Fixtures/CostUsage/Issue2037" / case
    files = transcript("codex").files(folder / "codex-home")
    one, other = map(rollout_totals, files)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    assert shared, "both begin with the same history"
    store = DirectoryStore(tmp_path, durability="none")
    for file in sorted(files, reverse=reverse):
        imported(store, file, "codex")
    readings = [line for id in store.workflow_ids() for line in store.read(id) if line["type"] == "cost_observed"]
    assert len(readings) == len(one) + len(other) - shared
    ends = one[-1]["output_tokens"] + other[-1]["output_tokens"]
    assert totals(store)["output_tokens"] == ends - one[shared - 1]["output_tokens"]


def test_rollouts_come_to_their_last_totals_in_any_order_and_again_append_nothing(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "codex" / "entirecontext"
    store, files = DirectoryStore(tmp_path, durability="none"), transcript("codex").files(folder)
    for file in sorted(files, key=lambda file: file.read_bytes()[-50:]):
        imported(store, file, "codex")
    assert imported(store, folder, "codex").appended == 0
    ends = []
    for file in files:
        counts = [json.loads(line) for line in file.read_text().splitlines() if '"total_token_usage"' in line]
        ends.append(counts[-1]["payload"]["info"]["total_token_usage"])
    rows = totals(store)
    assert rows["output_tokens"] == sum(end["output_tokens"] for end in ends)
    assert rows["cache_hit_tokens"] == sum(end["cached_input_tokens"] for end in ends)
    assert rows["input_tokens"] + rows["cache_hit_tokens"] == sum(end["input_tokens"] for end in ends)
