from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ledger import DirectoryStore, MemoryStore
from ledger.importing.session_homes import by_session_home, session_homes
from ledger.sources.findings import Call, Findings, Location, Skipped

WHERE = Location("/h/a.jsonl", 1)


def call(number: int, session_id: str, *, client: bool = True) -> Call:
    return Call("claude", str(number), "m", None, WHERE, session_id=session_id, client=client)


@given(st.lists(st.sampled_from("abc"), max_size=8), st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")))
def test_each_call_counts_once_in_the_workflow_that_has_its_session(sessions: list[str], had: dict[str, str]) -> None:
    homes = {session: {workflow} for session, workflow in had.items()}
    calls = [call(number, session) for number, session in enumerate(sessions)]
    parts = dict(by_session_home("w", Findings(calls=calls), homes))
    assert sorted(one.message_id for part in parts.values() for one in part.calls) == sorted(
        one.message_id for one in calls
    )
    for workflow, part in parts.items():
        assert all(had.get(str(one.session_id), "w") == workflow for one in part.calls)
    assert all(homes[session] == {had.get(session, "w")} for session in sessions)


def test_what_counts_elsewhere_is_noted_once_and_comes_last() -> None:
    findings = Findings(calls=[call(1, "a"), call(2, "a"), call(3, "b")], skipped=[Skipped(Path("x"), 1, "cut")])
    (first, own), (second, moved) = by_session_home("w", findings, {"a": {"y", "x"}})
    assert (first, second) == ("w", "x")
    assert [one.reason for one in own.skipped] == ["cut"]
    assert len(moved.skipped) == 1
    assert "session a counts in workflow x" in moved.skipped[0].reason


def test_a_session_of_no_coding_agent_stays_where_it_was_read() -> None:
    ((workflow, own),) = by_session_home("w", Findings(calls=[call(1, "a", client=False)]), {"a": {"x"}})
    assert (workflow, len(own.calls)) == ("w", 1)


def test_no_index_is_made_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert session_homes(MemoryStore(), create=False, waits=True) == {}
    store = DirectoryStore(tmp_path)
    assert session_homes(store, create=False, waits=True) == {}
    assert list(tmp_path.iterdir()) == []
