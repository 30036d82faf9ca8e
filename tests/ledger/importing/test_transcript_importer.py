"""Importing transcripts: where messages count, what is read again, and what other sources have to do with it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import DamagedLedger, SourceUnreadable
from ledger.events.event import cost_observed, event
from ledger.events.ids import digest
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import ImportOptions, import_source, reread
from ledger.importing.message_index import INDEX_FILE
from ledger.importing.source_registry import SourceEntry, SourceRegister
from ledger.importing.transcript_importer import import_transcripts
from ledger.pricing.rates import Rate, Rates
from ledger.sources.findings import Options
from ledger.storage.directory_store import DirectoryStore
from projections.history.memory import MemoryHistory
from projections.replay import reprice
from projections.replay.refresh import project, refresh
from projections.reports.spend_report import SpendQuery, spend_report
from tests.ledger import logs
from tests.ledger.transcript_lines import OPUS, SONNET, asked, counted, meta, said, turn, write

JOURNAL = ("v", "seq", "recorded_at", "hash")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "data", durability="none")


def imported(store: DirectoryStore, path: Path, kind: str = "claude", **options: Any) -> ImportReport:
    report = import_source(store, kind, path, **options)
    assert report.problems == []
    return report


def messages(store: DirectoryStore) -> list[tuple[str, str, int]]:
    """Workflow, message and output of every reading, in order."""
    return [
        (id, line["message_id"], line["usage"]["output_tokens"])
        for id in store.workflow_ids()
        for line in store.read(id)
        if line["type"] == "cost_observed" and "message_id" in line
    ]


def test_an_unchanged_file_is_not_opened_and_a_grown_one_is_read_on(store: DirectoryStore, tmp_path: Path) -> None:
    first_lines = [asked(), *(said(f"m{n}", 5, n) for n in range(9))]
    path = write(tmp_path / "t" / "s1.jsonl", *first_lines)
    assert imported(store, path).appended == 10
    moment = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b'"m3"', b'"x3"'))
    os.utime(path, ns=(moment, moment))
    again = imported(store, path)
    assert (again.appended, again.unchanged, again.workflows) == (0, 9, {})
    write(path, *first_lines, said("m8", 50, 30), said("m9", 6, 31))
    grown = imported(store, path)
    assert (grown.appended, messages(store)[-2:]) == (2, [("s1", "m8", 50), ("s1", "m9", 6)])
    assert imported(store, path).unchanged == 10 + 1, "m8 is on both sides of the mark"


def test_a_larger_reading_wins_also_after_the_end_and_a_smaller_one_is_not_appended(
    store: DirectoryStore, tmp_path: Path
) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", asked(), said("m1", 5, 10))
    imported(store, path, options=ImportOptions(status="completed"))
    before = project(store, "s1").row
    imported(store, write(tmp_path / "u" / "s1.jsonl", asked(), said("m1", 500, 3)))
    after = project(store, "s1").row
    assert (before.status, after.status) == ("completed", "completed")
    assert (before.output_tokens, after.output_tokens) == (5, 500)
    assert after.actual_cost_nanousd > before.actual_cost_nanousd
    imported(store, write(tmp_path / "v" / "s1.jsonl", asked(), said("m1", 400, 99)))
    assert messages(store) == [("s1", "m1", 5), ("s1", "m1", 500)]


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"], ["ab"], ["ba"], ["a", "ab"], ["b", "ba"]])
def test_of_two_views_with_one_output_the_one_that_costs_more_counts(
    store: DirectoryStore, tmp_path: Path, order: list[str]
) -> None:
    views = {"a": said("m1", 5, input_tokens=900), "b": said("m1", 5, cache_read_input_tokens=3400)}
    for name in order:
        imported(store, write(tmp_path / f"{order[-1]}.jsonl", *(views[view] for view in name)))
    row = project(store, "s1").row
    assert (row.input_tokens, row.cache_hit_tokens, row.output_tokens) == (900, 3000, 5)
    assert imported(store, tmp_path, options=ImportOptions(status="completed")).appended == 1
    assert project(store, "s1").row.actual_cost_nanousd == row.actual_cost_nanousd


def test_of_two_responses_that_share_an_id_and_an_output_the_one_that_was_seen_first_counts(
    store: DirectoryStore, tmp_path: Path
) -> None:
    imported(store, write(tmp_path / "a.jsonl", said("m1", 5), said("m1", 5, model=SONNET, input_tokens=900)))
    imported(store, write(tmp_path / "b.jsonl", said("m1", 5, model=SONNET, input_tokens=900)))
    assert project(store, "s1").row.input_tokens == 10


def test_a_message_met_in_a_second_workflow_counts_where_the_first_one_has_it(
    store: DirectoryStore, tmp_path: Path
) -> None:
    imported(store, write(tmp_path / "a.jsonl", said("m1", 5)), workflow_id="first")
    imported(store, write(tmp_path / "b.jsonl", said("m1", 70, session="s2"), said("m2", 8, 9, "s2")))
    assert messages(store) == [("first", "m1", 5), ("first", "m1", 70), ("s2", "m2", 8)]


def test_a_fork_that_is_imported_into_a_workflow_leaves_its_parents_messages_to_the_parent(
    store: DirectoryStore, tmp_path: Path
) -> None:
    copies = [said(id, 5, session="s2") | {"forkedFrom": {"sessionId": "s1"}} for id in ("m1", "m2")]
    fork = write(tmp_path / "fork.jsonl", *copies, said("m3", 8, 9, "s2"))
    imported(store, fork, workflow_id="of-the-fork")
    imported(store, write(tmp_path / "parent.jsonl", said("m1", 5), said("m2", 70)), workflow_id="of-the-parent")
    assert messages(store) == [("of-the-fork", "m3", 8), ("s1", "m1", 5), ("s1", "m2", 5), ("s1", "m2", 70)]


def test_rows_depend_on_the_order_of_import_and_sums_by_day_and_model_do_not(tmp_path: Path) -> None:
    first_lines = [said("m1", 5, 1), said("m2", 8, 2, model=SONNET)]
    write(tmp_path / "t" / "a.jsonl", asked(), *first_lines)
    again = [said("m1", 5, 1, "s2"), said("m2", 9, 2, "s2", model=SONNET)]
    write(tmp_path / "t" / "b.jsonl", *again, asked(30, "s2"), said("m3", 6, 50_000, "s2"))
    rows, sums, ones = [], [], []
    for number, order in enumerate([[""], ["a.jsonl", "b.jsonl"], ["b.jsonl", "a.jsonl"]]):
        store = DirectoryStore(tmp_path / f"data{number}", durability="none")
        one = DirectoryStore(tmp_path / f"one{number}", durability="none")
        for name in order:
            imported(store, tmp_path / "t" / name)
            imported(one, tmp_path / "t" / name, workflow_id="one")
        history = MemoryHistory()
        assert refresh(store, history).problems == []
        rows.append({row.adw_id: row.output_tokens for row in history.rows()})
        found = spend_report(history, SpendQuery(("model",), "day"), timezone(timedelta(hours=12)))
        sums.append([(line.period, line.group, line.amounts) for line in found.lines])
        row = project(one, "one").row
        ones.append((row.actual_cost_nanousd, row.output_tokens, row.total_tokens))
    assert rows == [{"s1": 14, "s2": 6}, {"s1": 14, "s2": 6}, {"s2": 20}]
    assert len(sums[0]) == 3
    assert sums[0] == sums[1] == sums[2]
    assert ones[0] == ones[1] == ones[2]


def test_a_message_that_somebody_charged_is_not_charged_again(store: DirectoryStore, tmp_path: Path) -> None:
    store.append([cost_observed("w", message_id="m1", cost_usd="0.5", usage={"output_tokens": 5})])
    imported(store, write(tmp_path / "a.jsonl", said("m1", 5), said("m2", 5)))
    assert messages(store) == [("s1", "m2", 5), ("w", "m1", 5)]


@pytest.mark.parametrize("broken", [b"", b"not SQLite, but 100 bytes long" * 5, None])
def test_the_index_may_be_deleted_or_broken_at_any_time(
    store: DirectoryStore, tmp_path: Path, broken: bytes | None
) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", said("m1", 5), said("m2", 6))
    imported(store, path)
    index = store.path / INDEX_FILE
    index.unlink()
    if broken is not None:
        index.write_bytes(broken)
    assert imported(store, path).appended == 0
    assert len(messages(store)) == 2
    assert imported(store, path).in_unchanged_files == 2


def test_a_ledger_that_was_removed_or_cut_is_filled_again(store: DirectoryStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", asked(), said("m1", 5), said("m2", 6))
    imported(store, path)
    before = messages(store)
    store.ledger_path("s1").unlink()
    assert imported(DirectoryStore(store.path), path).appended == 3
    assert messages(store) == before
    whole = store.ledger_path("s1").read_bytes()
    store.ledger_path("s1").write_bytes(whole[: whole[:-1].rindex(b"\n") + 1])
    assert imported(DirectoryStore(store.path), path).appended == 1
    assert messages(store) == before


def test_a_damaged_ledger_is_a_problem_of_its_own_and_its_file_is_read_again(
    store: DirectoryStore, tmp_path: Path
) -> None:
    one = write(tmp_path / "t" / "1.jsonl", said("m1", 5))
    two = write(tmp_path / "t" / "2.jsonl", said("m2", 6, session="s2"))
    imported(store, tmp_path / "t")
    ledger = store.ledger_path("s1")
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])
    write(one, said("m1", 5), said("m3", 7))
    write(two, said("m2", 6, session="s2"), said("m4", 8, session="s2"))
    report = import_source(DirectoryStore(store.path), "claude", tmp_path / "t")
    assert [(id, type(error)) for id, error in report.problems] == [("s1", DamagedLedger)]
    assert report.workflows["s2"].appended >= 1
    ledger.write_bytes(whole)
    assert import_source(DirectoryStore(store.path), "claude", tmp_path / "t").problems == []
    assert sorted(messages(store)) == [("s1", "m1", 5), ("s1", "m3", 7), ("s2", "m2", 6), ("s2", "m4", 8)]


def test_a_session_that_a_log_has_goes_on_in_its_workflow_and_competes_with_it(
    store: DirectoryStore, tmp_path: Path
) -> None:
    agents = tmp_path / "agents"
    logs.write(agents / "w1" / "plan" / "raw_output.jsonl", logs.init(), logs.result("1.25", sonnet="1.25"))
    import_source(store, "adw", agents)
    shown = [said("m1", 5, model=SONNET), said("m2", 6, agent="a1", model=SONNET), said("m3", 7, session="s2")]
    report = imported(store, write(tmp_path / "t" / "s1.jsonl", *shown))
    assert (report.skipped, sorted(messages(store))) == ([], [("s2", "m3", 7), ("w1", "m1", 5), ("w1", "m2", 6)])
    row = project(store, "w1").row
    assert (row.actual_cost_total, "possible_double_counting" in row.cost_breakdown) == (1.25, False)
    logs.write(
        agents / "w1" / "plan" / "raw_output.jsonl",
        logs.init(),
        logs.result("1.25", sonnet="1.25"),
        logs.result("2.5", uuid="r2", sonnet="2.5"),
    )
    assert import_source(store, "adw", agents).skipped == []
    row = project(store, "w1").row
    assert (row.actual_cost_total, row.cost_basis) == (2.5, "partial"), "two accounts that cannot be matched"


def test_a_log_of_a_session_that_its_transcript_has_is_read_and_counts_once(
    store: DirectoryStore, tmp_path: Path
) -> None:
    imported(store, write(tmp_path / "t" / "s1.jsonl", said("m1", 5, model=SONNET), said("m2", 5, agent="a1")))
    log = logs.write(tmp_path / "log.jsonl", logs.init(), logs.result("1.25", sonnet="1.25"))
    report = import_source(store, "claude-stream", log, workflow_id="s1")
    assert (report.skipped, report.appended) == ([], 1), "its models are not those of the messages, and not added"
    assert project(store, "s1").row.actual_cost_total == 1.25
    logs.write(log, logs.init(), logs.result("1.25", sonnet="1.25"), logs.result("2.5", uuid="r2", sonnet="2.5"))
    assert import_source(store, "claude-stream", log, workflow_id="s1").skipped == []
    assert project(store, "s1").row.actual_cost_total == 2.5


def test_a_log_goes_to_the_workflow_that_has_its_session_whatever_is_named(
    store: DirectoryStore, tmp_path: Path
) -> None:
    imported(store, write(tmp_path / "t" / "s1.jsonl", said("m1", 5)))
    log = logs.write(tmp_path / "log.jsonl", logs.init(), logs.result("1.25", sonnet="1.25"))
    for appended in (2, 0):
        report = import_source(store, "claude-stream", log, workflow_id="w1")
        assert report.skipped[0].reason == (
            "session s1 counts in workflow s1, which has something of it; it was added there"
        )
        assert report.appended == appended, "a total, and the move of the workflow that was made by default"
    assert project(store, "s1").moves[0].to == "w1"


def test_the_same_log_in_two_workflows_counts_once(store: DirectoryStore, tmp_path: Path) -> None:
    log = logs.write(tmp_path / "log.jsonl", logs.init(), logs.result("1.25", sonnet="1.25"))
    import_source(store, "claude-stream", log, workflow_id="first")
    import_source(store, "claude-stream", log, workflow_id="second")
    import_source(store, "claude-stream", log)
    assert {id: project(store, id).row.actual_cost_total for id in store.workflow_ids()} == {"first": 1.25}


def test_a_total_is_not_added_to_messages_that_an_earlier_version_put_under_several_agents(
    store: DirectoryStore, tmp_path: Path
) -> None:
    for agent, message_id in (("main", "m1"), ("a1", "m2")):
        store.append(
            [cost_observed("s1", session_id="s1", agent=agent, message_id=message_id, cost_usd="0.5", model=SONNET)]
        )
    log = logs.write(tmp_path / "log.jsonl", logs.init(), logs.result("1.25", sonnet="1.25"))
    (skipped,) = import_source(store, "claude-stream", log, workflow_id="s1").skipped
    assert skipped.reason == (
        "the messages of session s1 count under the agents a1, main; a total would be added to them"
    )
    assert project(store, "s1").row.actual_cost_total == 1.0


def test_a_session_whose_figures_were_repriced_or_corrected_is_read_on(store: DirectoryStore, tmp_path: Path) -> None:
    first_lines = [asked(), said("m1", 5, 10)]
    imported(store, write(tmp_path / "t" / "s1.jsonl", *first_lines))
    assert reprice.apply(store, "s1", Cheap(), reprice.Wanted(), "contract") == 1
    corrected = cost_observed("s1", session_id="s1", agent="main", cost_usd="7", final=True, reason="the invoice")
    store.append([corrected])
    (tmp_path / "data" / INDEX_FILE).unlink()
    write(tmp_path / "t" / "s1.jsonl", *first_lines, said("m2", 6, 11))
    write(tmp_path / "t" / "agent-1.jsonl", said("m3", 7, 12))
    report = imported(store, tmp_path / "t")
    assert (report.skipped, report.appended) == ([], 2)
    assert {id for _, id, _ in messages(store)} == {"m1", "m2", "m3"}


class Cheap:
    """Other prices than those of the day."""

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:  # noqa: ARG002
        buckets = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens", "cache_write_1h_tokens")
        return Rates("contract", dict.fromkeys(buckets, Rate(Decimal(1))))


def test_messages_go_below_the_reading_that_their_session_has(store: DirectoryStore, tmp_path: Path) -> None:
    store.append([cost_observed("s1", session_id="s1", cost_usd="3", source={"kind": "claude_statusline"})])
    path = write(tmp_path / "s1.jsonl", said("m1", 5), said("m2", 5, agent="a1"))
    import_transcripts(store, "claude", path, Options())
    row = project(store, "s1").row
    assert (row.actual_cost_total, row.output_tokens) == (3.0, 10)


def test_one_transcript_can_be_read_from_where_it_was_left_off(store: DirectoryStore, tmp_path: Path) -> None:
    path = write(tmp_path / "p" / "s1.jsonl", asked(), said("m1", 5))
    options = Options(workflow_id="job", agent="build")
    assert import_transcripts(store, "claude", path, options).appended == 2
    assert import_transcripts(store, "claude", path, options).appended == 0
    write(path, asked(), said("m1", 5), said("m2", 9))
    assert import_transcripts(store, "claude", path, options).appended == 1
    assert [line.get("agent") for line in store.read("job")][2:] == ["build", "build"]


def test_a_start_is_as_early_as_any_file_says_and_does_not_reopen_what_has_ended(
    store: DirectoryStore, tmp_path: Path
) -> None:
    imported(
        store, write(tmp_path / "late.jsonl", asked(500), said("m2", 5, 501)), options=ImportOptions(status="completed")
    )
    imported(store, write(tmp_path / "early.jsonl", asked(20), said("m1", 5, 21)))
    row = project(store, "s1").row
    assert (row.start_time, row.status) == ("2026-08-01T08:00:20.123000Z", "completed")
    assert [line.get("project") for line in store.read("s1") if line["type"] == "workflow_started"] == [
        "/home/dev/shop",
        None,
    ]


def test_resync_reads_transcripts_again_as_they_were_imported(store: DirectoryStore, tmp_path: Path) -> None:
    register = SourceRegister(store.path)
    path = write(tmp_path / "t" / "s1.jsonl", said("m1", 5))
    rollout = write(tmp_path / "r" / "r.jsonl", meta("c1"), turn(), counted(10, 0, 5))
    for kind, where in (("claude", path.parent), ("codex", rollout.parent)):
        import_source(store, kind, where, workflow_by="project")
        register.add(SourceEntry(kind, str(where), workflow_by="project"))
    (workflow_id,) = store.workflow_ids()
    write(path, said("m1", 5), said("m2", 6), said("m3", 7, cwd="/elsewhere", session="s2"))
    assert reread(store, register, ImportOptions(only=[workflow_id])).appended == 1
    assert len(list(store.workflow_ids())) == 1
    assert reread(store, register).appended == 2
    assert len(list(store.workflow_ids())) == 2


def test_processes_share_a_large_import_and_come_to_the_same(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.importing.transcript_importer._PARALLEL_BYTES", 0)
    for number in range(12):
        messages_of_file = [
            said(f"m{number}-{n}", n, n, f"s{number % 5}", model=SONNET if n % 2 else OPUS) for n in range(20)
        ]
        write(tmp_path / "t" / f"{number}.jsonl", *messages_of_file)
    shared = DirectoryStore(tmp_path / "shared")
    assert import_source(shared, "claude", tmp_path / "t", options=ImportOptions(processes=2)).appended == 12 * 20 + 5
    imported(store, tmp_path / "t")
    assert messages(shared) == messages(store)
    assert import_source(shared, "claude", tmp_path / "t", options=ImportOptions(processes=2)).appended == 0


def test_a_damaged_ledger_is_a_problem_of_its_own_whichever_process_meets_it(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.importing.transcript_importer._PARALLEL_BYTES", 0)
    for session in ("s1", "s2"):
        write(tmp_path / "t" / f"{session}.jsonl", said(f"{session}-1", 5, session=session))
    imported(store, tmp_path / "t")
    damaged = store.ledger_path("s1")
    damaged.write_bytes(damaged.read_bytes().replace(b'"output_tokens":5', b'"output_tokens":6'))
    for session in ("s1", "s2"):
        write(tmp_path / "t" / f"{session}.jsonl", *(said(f"{session}-{n}", 5, n, session) for n in (1, 2)))
    report = import_source(DirectoryStore(store.path), "claude", tmp_path / "t", options=ImportOptions(processes=2))
    ((workflow_id, problem),) = report.problems
    assert (workflow_id, type(problem), problem.__dict__["path"]) == ("s1", DamagedLedger, damaged)
    assert report.workflows["s2"].appended == 1


def test_a_file_that_cannot_be_opened_is_told_every_time(store: DirectoryStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", said("m1", 5))
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        path.symlink_to(path)
    for _ in range(2):
        report = import_source(store, "claude", tmp_path / "t")
        assert (report.appended, len(report.skipped)) == (0, 1)


def test_an_index_that_cannot_be_used_is_named(store: DirectoryStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", said("m1", 5))
    (store.path / INDEX_FILE).mkdir(parents=True)
    with pytest.raises(SourceUnreadable, match=r"transcripts\.db"):
        imported(store, path)


def test_a_log_whose_session_counts_elsewhere_has_no_reading(store: DirectoryStore, tmp_path: Path) -> None:
    imported(store, write(tmp_path / "s1.jsonl", said("m1", 5)))
    log = logs.write(tmp_path / "o.jsonl", logs.init(), logs.message("m1", 5), logs.result(1))
    report = import_source(store, "claude-stream", log, workflow_id="w")
    assert (len(report.skipped), list(report.workflows), list(store.workflow_ids())) == (2, ["s1"], ["s1", "w"])
    assert [line["type"] for line in store.read("w")] == ["ledger_opened"]


def test_a_session_of_a_sub_folder_is_of_its_repository_and_branch(store: DirectoryStore, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / ".git").mkdir(parents=True)
    (shop / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (shop / "src").mkdir()
    lines = asked(cwd=str(shop / "src"), gitBranch="fix"), said("m1", 5, 1, cwd=str(shop / "src"), branch="fix")
    imported(store, write(tmp_path / "t" / "s1.jsonl", *lines))
    imported(store, write(tmp_path / "t" / "s2.jsonl", asked(5, "s2", gitBranch="HEAD"), said("m2", 5, 6, "s2")))
    rows = [project(store, id).row for id in ("s1", "s2")]
    assert [(row.project, row.branch, row.tool) for row in rows] == [
        (str(shop), "fix", "Claude Code"),
        ("/home/dev/shop", None, "Claude Code"),
    ]


def test_what_an_earlier_version_imported_is_imported_again_without_an_event(
    store: DirectoryStore, tmp_path: Path
) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", asked(cwd="/h/shop/.worktrees/fix"), said("m1", 5, 1))
    imported(store, path)
    started, *others = [line for line in store.read("s1") if line["type"] != "ledger_opened"]
    assert (started["project"], started["branch"]) == ("/h/shop", "main")
    earlier = DirectoryStore(tmp_path / "earlier", durability="none")
    given = {name: value for name, value in started.items() if name not in ("branch", "id", *JOURNAL)}
    old = given | {"id": digest("begun", "s1", started["observed_at"], "x"), "project": "/h/shop/.worktrees/fix"}
    bare = [{name: value for name, value in line.items() if name not in JOURNAL} for line in (old, *others)]
    earlier.append([event(fields) for fields in bare])
    assert imported(earlier, path).appended == 0
    row = project(earlier, "s1").row
    assert (row.project, row.branch, row.tool) == ("/h/shop", None, "Claude Code")


@pytest.mark.parametrize("way", ["by its result", "by the call", "by progress", "in the background"])
def test_a_sub_agent_has_the_name_that_its_session_gives_it(store: DirectoryStore, tmp_path: Path, way: str) -> None:
    task = {"type": "tool_use", "id": "toolu_1", "name": "Task", "input": {"subagent_type": "Explore", "prompt": "x"}}
    call = said("m1", 5, 1)
    call["message"]["content"] = [task] if way != "by its result" else []
    result: dict[str, Any] = {"agentId": "a5cbd18", "status": "completed", "usage": {"output_tokens": 7}}
    result |= {"agentType": "Explore"} if way == "by its result" else {}
    if way == "in the background":
        result = {"isAsync": True, "status": "async_launched", "agentId": "a5cbd18", "prompt": "x"}
        call["message"]["content"] = [task]
    answer = asked(9, toolUseResult=result)
    answer["message"]["content"] = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}]
    progress = said("m2", 7, 2, agent="a5cbd18", progress=True) | {"parentToolUseID": "toolu_1"}
    lines = [asked(), call, progress if way == "by progress" else answer]
    lines[1:1] = [asked() for _ in range(9)]  # beyond the lines that are always looked at
    write(tmp_path / "t" / "s1.jsonl", *lines)
    write(tmp_path / "t" / "agent-a5cbd18.jsonl", said("m2", 7, 2, agent="a5cbd18"))
    write(tmp_path / "t" / "agent-adfd7ee.jsonl", said("m3", 9, 3, agent="adfd7ee"))
    imported(store, tmp_path / "t")
    named = {line["message_id"]: line.get("subagent") for line in store.read("s1") if "message_id" in line}
    assert named == {"m1": None, "m2": "Explore", "m3": "adfd7ee"}
    (store.path / INDEX_FILE).unlink()
    assert imported(store, tmp_path / "t").appended == 0


def test_the_folder_of_a_session_may_stand_behind_lines_that_name_none(store: DirectoryStore, tmp_path: Path) -> None:
    first = {"type": "mode", "mode": "normal", "sessionId": "s1"}
    path = write(tmp_path / "t" / "s1.jsonl", first, *[first] * 9, said("m1", 5, 1, branch="fix"))
    assert imported(store, path, workflow_by="project").appended == 2
    assert not any("no folder" in text for text in map(str, imported(store, path).skipped))
    (workflow_id,) = store.workflow_ids()
    row = project(store, workflow_id).row
    assert (workflow_id[:5], row.project, row.branch) == ("shop-", "/home/dev/shop", "fix")
    assert row.start_time == row.last_activity == "2026-08-01T08:00:01.123000Z"


def test_a_start_that_is_read_without_its_time_has_none(store: DirectoryStore, tmp_path: Path) -> None:
    first = {name: value for name, value in asked().items() if name != "timestamp"}
    imported(store, write(tmp_path / "t" / "s1.jsonl", first, said("m1", 5, 1)))
    row = project(store, "s1").row
    assert (row.project, row.start_time, row.last_activity) == ("/home/dev/shop", None, "2026-08-01T08:00:01.123000Z")


def test_a_file_of_another_tool_is_named_and_one_without_usage_is_not(store: DirectoryStore, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    write(folder / "rollout.jsonl", meta("c1"), {"type": "turn_context", "payload": {}})
    write(folder / "other.jsonl", {"a": 1})
    write(folder / "summary.jsonl", {"type": "summary", "summary": "About carts", "leafUuid": "u9"})
    write(folder / "empty.jsonl")
    for _ in range(2):
        skipped = imported(store, folder).skipped
        assert [(each.path.name, each.reason) for each in skipped] == [
            ("other.jsonl", "is not a transcript of Claude Code; of no tool that `import` knows"),
            ("rollout.jsonl", "is not a transcript of Claude Code; `import codex` reads it"),
        ]
    assert [each.path.name for each in imported(store, folder, kind="codex").skipped] == [
        "other.jsonl",
        "summary.jsonl",
    ]


def test_of_many_files_of_another_tool_only_some_are_looked_into(store: DirectoryStore, tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / "t" / f"{number:02}.jsonl", {"a": number})
    reasons = [each.reason for each in imported(store, tmp_path / "t").skipped]
    assert (len(reasons), sum("of no tool" in reason for reason in reasons)) == (30, 20)
