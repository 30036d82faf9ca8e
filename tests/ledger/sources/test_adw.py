"""A tree of agents' folders: whose output it is, what the state file says, and reading it again."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import InvalidInput, SourceUnreadable
from ledger.importing.importer import ImportOptions, import_source, reread
from ledger.importing.source_registry import SourceEntry, SourceRegister
from ledger.sources import source
from ledger.storage.memory_store import MemoryStore
from projections.replay.refresh import project
from tests.ledger.logs import init, result, write


def tree(root: Path, **workflows: dict[str, Any]) -> Path:
    """`{workflow: {"agent/file": total or raw text}}` as a folder `agents`."""
    for workflow_id, files in workflows.items():
        for name, content in files.items():
            path = root / "agents" / workflow_id / name
            if name.endswith(".json"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content if isinstance(content, str) else json.dumps(content))
            else:
                session = f"{workflow_id}/{name}"
                write(path, *([] if content is None else [init(session, session), result(content, session)]))
    return root / "agents"


def events(store: MemoryStore, workflow_id: str = "w1") -> list[tuple[str, Any]]:
    return [(line["type"], line.get("agent")) for line in store.read(workflow_id)][1:]


def test_the_agent_is_the_first_folder_or_none(tmp_path: Path) -> None:
    agents = tree(
        tmp_path, w1={"raw_output.jsonl": 0.1, "plan/cc_raw_output.jsonl": 0.2, "build/deep/x_output.jsonl": 0.3}
    )
    store = MemoryStore()
    import_source(store, "adw", agents)
    assert {agent for _, agent in events(store)} == {None, "plan", "build"}
    assert project(store, "w1").row.actual_cost_total == 0.6


def test_the_agents_folder_its_parent_or_one_workflow_may_be_named(tmp_path: Path) -> None:
    agents = tree(tmp_path, w1={"plan/raw_output.jsonl": 0.1}, w2={"raw_output.jsonl": 0.2})
    for path, ids in ((agents, ["w1", "w2"]), (tmp_path, ["w1", "w2"]), (agents / "w2", ["w2"])):
        store = MemoryStore()
        import_source(store, "adw", path)
        assert list(store.workflow_ids()) == ids
        assert source("adw").identify(path)


def test_other_files_are_not_logs(tmp_path: Path) -> None:
    agents = tree(tmp_path, w1={"plan/raw_output.jsonl": 0.1})
    write(agents / "w1" / "plan" / "notes.jsonl", init("x"), result(9.0, "x"))
    write(agents / "w1" / "plan" / "raw_output.json", "[]")
    store = MemoryStore()
    import_source(store, "adw", agents)
    assert project(store, "w1").row.actual_cost_total == 0.1


STATE = {
    "adw_id": "w1",
    "issue_number": "17",
    "workflow_template": "adw_sdlc",
    "created_at": "2026-01-10T22:02:38.964176",
    "phase_results": [{"completed_at": "2026-01-10T22:03:34+00:00"}, {"completed_at": None}],
}


def test_the_state_file_tells_issue_template_times_and_status(tmp_path: Path) -> None:
    store = MemoryStore()
    agents = tree(
        tmp_path, w1={"adw_state.json": STATE | {"status": "failed", "error": "boom"}, "raw_output.jsonl": 0.1}
    )
    import_source(store, "adw", agents)
    row = project(store, "w1").row
    assert (row.status, row.issue_number, row.workflow_template, row.error_message) == (
        "failed",
        17,
        "adw_sdlc",
        "boom",
    )
    assert row.end_time == "2026-01-10T22:03:34.000000Z"
    assert [kind for kind, _ in events(store)] == ["workflow_started", "cost_observed", "workflow_failed"]
    assert import_source(store, "adw", agents).appended == 0


def test_a_status_that_changes_is_followed_and_one_that_stays_is_said_once(tmp_path: Path) -> None:
    store = MemoryStore()
    for status, more, expected in (
        ("running", {}, "running"),
        ("in_progress", {"phase": 2}, "running"),
        ("failed", {}, "failed"),
        ("failed", {"phase": 3}, "failed"),
        ("running", {"phase": 4}, "running"),
        ("completed", {}, "completed"),
    ):
        agents = tree(tmp_path, w1={"adw_state.json": STATE | more | {"status": status}, "raw_output.jsonl": 0.1})
        import_source(store, "adw", agents)
        assert import_source(store, "adw", agents).appended == 0
        assert project(store, "w1").row.status == expected
    kinds = [kind for kind, _ in events(store) if kind != "cost_observed"]
    said_while_it_ran = ["workflow_started"] * 2
    assert kinds == [
        "workflow_started",
        *said_while_it_ran,
        "workflow_failed",
        "workflow_started",
        "workflow_completed",
    ]


@pytest.mark.parametrize("status", ["failed", "running"])
def test_a_later_status_by_a_person_is_not_undone_by_the_same_state_file(tmp_path: Path, status: str) -> None:
    from ledger.events.event import workflow_ended

    store = MemoryStore()
    agents = tree(tmp_path, w1={"adw_state.json": STATE | {"status": status}, "raw_output.jsonl": 0.1})
    import_source(store, "adw", agents)
    store.append([workflow_ended("w1", "completed")])
    assert import_source(store, "adw", agents).appended == 0
    assert project(store, "w1").row.status == "completed"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "cannot be used"),
        ("[]", "cannot be used"),
        ('{"status":7}', "cannot be used"),
        ('{"status":"odd"}', "is not supported by this version"),
        ('{"phase_results":"x"}', "cannot be used"),
    ],
)
def test_a_state_file_that_cannot_be_used_is_skipped_and_the_logs_are_read(
    tmp_path: Path, content: str, reason: str
) -> None:
    store = MemoryStore()
    agents = tree(tmp_path, w1={"adw_state.json": content, "raw_output.jsonl": 0.1})
    report = import_source(store, "adw", agents)
    assert [reason in skipped.reason for skipped in report.skipped] == [True]
    assert project(store, "w1").row.actual_cost_total == 0.1


def test_the_caller_may_know_how_it_ended(tmp_path: Path) -> None:
    store = MemoryStore()
    agents = tree(tmp_path, w1={"raw_output.jsonl": 0.1}, w2={"raw_output.jsonl": None})
    import_source(store, "adw", agents, options=ImportOptions(status="completed"))
    assert import_source(store, "adw", agents, options=ImportOptions(status="completed")).appended == 0
    assert [project(store, name).row.status for name in ("w1", "w2")] == ["completed", "completed"]
    with pytest.raises(InvalidInput, match="not an end"):
        import_source(store, "adw", agents, options=ImportOptions(status="running"))


def test_a_folder_that_cannot_be_a_workflow_is_a_problem_of_its_own(tmp_path: Path) -> None:
    store = MemoryStore()
    agents = tree(tmp_path, **{"bad name": {"raw_output.jsonl": 0.1}, "--skip-e2e": {"raw_output.jsonl": 1.28}})
    report = import_source(store, "adw", agents)
    assert [(name, "not a workflow id" in str(error)) for name, error in report.problems] == [("bad name", True)]
    assert project(store, "--skip-e2e").row.actual_cost_total == 1.28


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone", "no such folder"), (tmp_path, "holds no ADW tree")):
        with pytest.raises(SourceUnreadable, match=reason):
            import_source(MemoryStore(), "adw", path)
        assert not source("adw").identify(path)
    file = write(tmp_path / "raw_output.jsonl", init())
    with pytest.raises(SourceUnreadable, match="claude-stream"):
        import_source(MemoryStore(), "adw", file)


def test_a_folder_of_projects_is_no_folder_of_workflows(tmp_path: Path) -> None:
    for name in ("shop", "site"):
        tree(tmp_path / "projects" / name, w1={"plan/raw_output.jsonl": 0.1})
    with pytest.raises(SourceUnreadable, match=r"holds projects .*name one of them \(shop, site\)"):
        import_source(MemoryStore(), "adw", tmp_path / "projects")
    store = MemoryStore()
    import_source(store, "adw", tree(tmp_path, w2={"agents/raw_output.jsonl": 0.2}))
    assert events(store, "w2") == [("cost_observed", "agents")], "an agent may be called so"


def test_a_folder_outside_of_a_tree_names_no_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("shop", "site", "till"):
        tree(tmp_path / "work" / "trees" / name, w1={"plan/raw_output.jsonl": 0.1})
    loose = write(tmp_path / "shop" / "logs" / "today" / "raw_output.jsonl", init(), result(0.2)).parent
    agent = tmp_path / "work" / "trees" / "shop" / "agents" / "w1" / "plan"
    for path in (tmp_path / "work", tmp_path / "shop", loose.parent, loose, agent):
        assert not source("adw").identify(path)
        with pytest.raises(SourceUnreadable, match=r"agents/<workflow id>/<agent>/.*import claude-stream PATH"):
            import_source(MemoryStore(), "adw", path)
    for path, given in ((loose.parent, "mine"), (agent.parent.parent, None), (agent.parent, None)):
        store = MemoryStore()
        monkeypatch.chdir(path)
        import_source(store, "adw", Path(), workflow_id=given)
        assert list(store.workflow_ids()) == [given or "w1"]


def test_a_workflow_that_was_copied_out_of_its_tree_with_its_state_keeps_its_name(tmp_path: Path) -> None:
    copied = tree(tmp_path, w1={"adw_state.json": STATE, "plan/raw_output.jsonl": 0.1}) / "w1"
    store = MemoryStore()
    import_source(store, "adw", copied.rename(tmp_path / "w1"))
    assert list(store.workflow_ids()) == ["w1"]


def test_sources_that_shrink_or_vanish_take_nothing_away(tmp_path: Path) -> None:
    store = MemoryStore()
    agents = tree(tmp_path, w1={"plan/raw_output.jsonl": 0.5, "build/raw_output.jsonl": 0.7})
    import_source(store, "adw", agents)
    (agents / "w1" / "plan" / "raw_output.jsonl").unlink()
    tree(tmp_path, w1={"build/raw_output.jsonl": 0.2})
    report = import_source(store, "adw", agents)
    assert report.appended == 0
    assert project(store, "w1").row.actual_cost_total == 1.2


def test_an_import_is_remembered_and_can_be_read_again(tmp_path: Path) -> None:
    store, register = MemoryStore(), SourceRegister(tmp_path / "data")
    agents = tree(tmp_path, w1={"raw_output.jsonl": 0.1}, w2={"raw_output.jsonl": 0.1})
    for _ in range(2):
        import_source(store, "adw", agents)
        register.add(SourceEntry("adw", str(agents)))
    register.add(SourceEntry("claude-stream", str(tmp_path / "gone.jsonl"), "w3"))
    assert [entry.kind for entry in register.entries()] == ["adw", "claude-stream"]
    tree(tmp_path, w1={"plan/raw_output.jsonl": 0.3}, w2={"plan/raw_output.jsonl": 0.3})
    report = reread(store, register, ImportOptions(only={"w1"}))
    assert (report.appended, list(report.workflows)) == (1, ["w1"])
    assert reread(store, register).appended == 1
    assert "what was read from it stays" in reread(store, register).skipped[-1].reason


def test_a_register_that_somebody_broke_is_named(tmp_path: Path) -> None:
    register = SourceRegister(tmp_path)
    register.path.write_text('{"kind":')
    with pytest.raises(SourceUnreadable, match="not a register"):
        register.entries()


def test_a_path_that_is_no_text_is_read_all_the_same(tmp_path: Path) -> None:
    store = MemoryStore()
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/od\xff\nd"))
    import_source(store, "adw", tree(folder, w1={"raw_output.jsonl": 0.1}))
    assert project(store, "w1").row.actual_cost_total == 0.1


def test_phases_that_resume_one_session_count_each_for_itself(tmp_path: Path) -> None:
    spent = {"plan": "0.05", "build": "0.04", "review": "0.03"}
    carried, agents = Decimal(0), tmp_path / "agents"
    for number, (agent, own) in enumerate(spent.items()):
        carried += Decimal(own)
        since = result(str(carried), sonnet=own)["modelUsage"]
        line = result(str(carried), uuid=f"r{number}", sonnet=str(carried))
        first_line = init("s1", f"p{number}", "2.1.332")
        log = agents / "w1" / agent / "raw_output.jsonl"
        write(log, first_line, line | {"model_usage_since_last_result": since, "result_index": 0})
    store = MemoryStore()
    import_source(store, "adw", agents)
    row = project(store, "w1").row
    assert (row.actual_cost_total, row.cost_basis) == (0.12, "reported")
    assert json.loads(row.cost_breakdown)["by_agent"] == spent


def test_a_tree_whose_logs_are_another_tools_is_none(tmp_path: Path) -> None:
    made = tmp_path / "agents" / "made"
    write(made / "output.jsonl", {"instance_id": "x-1", "metrics": {"accumulated_cost": 0.02}})
    for path in (tmp_path, made):
        assert not source("adw").identify(path)
        with pytest.raises(SourceUnreadable, match="holds no log of `claude -p`"):
            import_source(MemoryStore(), "adw", path)
    write(made / "plan" / "raw_output.jsonl")  # its agent has only started
    assert import_source(MemoryStore(), "adw", tmp_path).problems == []
