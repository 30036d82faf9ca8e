from __future__ import annotations

import os
from pathlib import Path

from ledger.sources.findings import Evidence, Location, Message, Session, Total, date, file_time, spelled


def session() -> Session:
    found = Session("claude", "s", "p", "plan", own=Total(5, (), Location("/a", 9)))
    found.messages = {"m": Message("m", None, {}, Location("/a", 3), spent_at="2026-01-01T00:00:00.000000Z")}
    return found


def test_totals_and_messages_are_dated_by_evidence_from_what_they_had() -> None:
    given: list[str | None] = []

    def evidence(before: str | None) -> Evidence:
        given.append(before)
        return Evidence("2026-02-02T00:00:00.000000Z", "file")

    found = session()
    date(found, evidence)
    assert given == [None, "2026-01-01T00:00:00.000000Z"]
    assert found.own is not None
    assert {(one.spent_at, one.spent_at_from) for one in (found.own, found.messages["m"])} == {
        ("2026-02-02T00:00:00.000000Z", "file")
    }


def test_without_evidence_nothing_changes() -> None:
    found = session()
    date(found, lambda _: Evidence(None, None))
    assert found == session()


def test_a_session_is_shown_by_its_total_its_last_message_or_its_beginning() -> None:
    found = session()
    assert found.where == Location("/a", 9)
    found.own = None
    assert found.where == Location("/a", 3)
    found.messages, found.location = {}, Location("/a", 1)
    assert found.where == Location("/a", 1)
    found.location = None
    assert found.where == Location("unknown", 1)


def test_the_time_of_a_file_is_in_utc_and_one_that_is_gone_has_none(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.touch()
    os.utime(file, (0, 86_400))
    assert file_time(file) == Evidence("1970-01-02T00:00:00.000000Z", "file")
    assert file_time(tmp_path / "gone") == Evidence(None, None)


def test_a_path_is_spelled_absolutely_and_as_text() -> None:
    assert spelled(Path("log")) == f"{Path.cwd()}/log"
    assert spelled(Path("/h/\udcff")) == "/h/\ufffd"
