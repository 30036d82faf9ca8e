"""Claude Code's transcripts, record by record."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import SourceUnreadable
from ledger.events.event import Line
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import import_source
from ledger.sources import transcript
from ledger.sources.transcript import BEGINNING, Extract
from ledger.storage.memory_store import MemoryStore
from tests.ledger.transcript_lines import OPUS, SONNET, asked, events_of, raw, said, write

SAMPLE = Path(__file__).parents[1] / "samples" / "claude"


def read(path: Path) -> Extract:
    return transcript("claude").read(path, BEGINNING)


def reasons(extract: Extract) -> list[tuple[int | None, str]]:
    return [(skipped.line, skipped.reason) for skipped in extract.skipped]


def imported(path: Path, **options: Any) -> tuple[list[Line], ImportReport]:
    """The readings that an import into fresh ledgers appends."""
    store = MemoryStore()
    report = import_source(store, "claude", path, **options)
    assert report.problems == []
    lines = [line for id in store.workflow_ids() for line in store.read(id)]
    return [line for line in lines if line["type"] == "cost_observed"], report


def test_the_sample_gives_exactly_its_events() -> None:
    store = MemoryStore()
    import_source(store, "claude", SAMPLE / "projects")
    assert events_of(store) == json.loads((SAMPLE / "events.json").read_text())


def test_a_response_on_several_lines_counts_once_at_its_largest_output(tmp_path: Path) -> None:
    write(tmp_path / "s1.jsonl", said("m1", 1, 0), said("m1", 40, 2), said("m1", 7, 3), asked(), said("m2", 5, 9))
    one, two = imported(tmp_path)[0]
    assert (one["message_id"], one["usage"]["output_tokens"], one["source"]["line"]) == ("m1", 40, 2)
    assert one["observed_at"] == "2026-08-01T08:00:00.123000Z", "its first line's moment, so that growing keeps it"
    assert (one["agent"], one["session_id"], one["model"]) == ("main", "s1", OPUS)
    assert two["message_id"] == "m2"


def test_a_sub_agent_of_a_session_without_a_prompt_counts_once_the_session_has_one(tmp_path: Path) -> None:
    own = tmp_path / "p" / "s1.jsonl"
    write(tmp_path / "p" / "agent-a1.jsonl", asked(agentId="a1"), said("m1", 9, agent="a1"))
    write(tmp_path / "p" / "agent-a2.jsonl", asked(agentId="a2"), said("m2", 9, session="s2", agent="a2"))
    own.touch()
    store = MemoryStore()
    import_source(store, "claude", tmp_path)
    assert list(store.workflow_ids()) == ["s2"], "a resumed process named s1 at first, and counts m1 where it went on"
    write(own, asked(), said("m0", 3))
    import_source(store, "claude", tmp_path)
    assert {line["message_id"] for line in store.read("s1") if "message_id" in line} == {"m0", "m1"}


def test_a_sub_agent_counts_once_wherever_its_lines_stand(tmp_path: Path) -> None:
    inside = said("m1", 9, agent="a1", progress=True)
    write(tmp_path / "p" / "s1.jsonl", said("m0", 3), inside, said("m2", 4, agent="a2"))
    write(tmp_path / "p" / "s1" / "subagents" / "agent-a1.jsonl", said("m1", 9, agent="a1"))
    found, _ = imported(tmp_path)
    shown = [(line["message_id"], line["agent"], line.get("subagent"), line["workflow_id"]) for line in found]
    assert sorted(shown) == [("m0", "main", None, "s1"), ("m1", "main", "a1", "s1"), ("m2", "main", "a2", "s1")]


def test_what_only_repeats_or_sums_up_is_not_counted(tmp_path: Path) -> None:
    usage = said("m9", 99)["message"]["usage"]
    write(
        tmp_path / "s1.jsonl",
        asked(toolUseResult={"usage": usage, "totalTokens": 4000}),
        said("m1", 9, agent="a1", progress=True),
        said("m2", 0, model="<synthetic>", input_tokens=0, cache_creation_input_tokens=0, cache_read_input_tokens=0),
        {"type": "summary", "summary": "…", "leafUuid": "u", "usage": usage},
    )
    found, report = imported(tmp_path)
    assert [line["message_id"] for line in found] == ["m1"]
    assert report.skipped == []


def test_a_hidden_iteration_of_another_model_is_a_call_of_its_own(tmp_path: Path) -> None:
    hidden = {"type": "advisor_message", "model": SONNET, "input_tokens": 149112, "output_tokens": 14153}
    own = {"type": "message", "input_tokens": 1, "output_tokens": 397}
    write(tmp_path / "s1.jsonl", said("m1", 10), said("m1", 1568, iterations=[own, hidden, own | {"model": OPUS}]))
    one, two = imported(tmp_path)[0]
    assert (one["model"], one["usage"]["output_tokens"]) == (OPUS, 1568)
    assert (two["message_id"], two["model"]) == ("m1#1", SONNET)
    assert two["usage"] == {"input_tokens": 149112, "output_tokens": 14153}


@pytest.mark.parametrize(
    ("split", "lasting"),
    [
        ({"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150}, 150),
        (None, None),
        ({"ephemeral_1h_input_tokens": 5000}, 200),
    ],
)
def test_cache_writes_by_lifetime(tmp_path: Path, split: Any, lasting: int | None) -> None:
    write(tmp_path / "s1.jsonl", said("m1", 1, cache_creation=split))
    ((reading,), _) = imported(tmp_path)
    assert reading["usage"]["cache_write_tokens"] == 200
    assert reading["usage"].get("cache_write_1h_tokens") == lasting


def test_service_tier_and_web_searches_are_kept(tmp_path: Path) -> None:
    searched = said("m1", 1, service_tier="priority", server_tool_use={"web_search_requests": 2})
    write(tmp_path / "s1.jsonl", searched, said("m2", 1, 5))
    one, two = imported(tmp_path)[0]
    assert (one["service_tier"], one["usage"]["web_search_requests"]) == ("priority", 2)
    assert "service_tier" not in two


def test_a_resumed_session_that_copies_lines_leaves_them_where_they_were_first(tmp_path: Path) -> None:
    write(tmp_path / "z.jsonl", asked(0), said("m1", 5, 1), said("m2", 6, 2))
    write(tmp_path / "a.jsonl", asked(0, "s2"), said("m1", 5, 1, "s2"), said("m2", 6, 2, "s2"), said("m3", 7, 50, "s2"))
    found, _ = imported(tmp_path)
    assert [(line["workflow_id"], line["message_id"]) for line in found] == [("s1", "m1"), ("s1", "m2"), ("s2", "m3")]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("session", ["s1", "s2", "s3"]),
        ("project", ["shop", "shop"]),
        ("branch", ["shop-feature-x", "shop-main", "shop-main"]),
    ],
)
def test_a_workflow_is_a_session_a_project_or_a_branch(tmp_path: Path, by: str, names: list[str]) -> None:
    write(tmp_path / "1.jsonl", said("m1", 1), said("m2", 1, session="s2", branch="feature/x"))
    write(tmp_path / "2.jsonl", said("m3", 1, session="s3", cwd="/other/shop"))
    found, report = imported(tmp_path, workflow_by=by)
    assert len(found) == 3
    assert sorted(re.sub("-[0-9a-f]{8}$", "", id) for id in report.workflows) == names


def test_ids_that_cannot_be_workflows_are_spelled_otherwise_and_stay_apart(tmp_path: Path) -> None:
    write(tmp_path / "1.jsonl", said("m1", 1, session="../../etc"), said("m2", 1, session="....//etc"))
    found, _ = imported(tmp_path)
    ids = {line["workflow_id"] for line in found}
    assert len(ids) == 2
    assert all(id.startswith("etc-") for id in ids)
    assert {line["session_id"] for line in found} == {"../../etc", "....//etc"}


def test_default_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "home/.claude"):
        (tmp_path / name / "projects").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{tmp_path / 'one'}, {tmp_path / 'two'},{tmp_path / 'none'}")
    assert transcript("claude").existing_folders() == [tmp_path / "one", tmp_path / "two"]
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    assert transcript("claude").existing_folders() == [tmp_path / "home" / ".claude"]


def test_of_a_configuration_folder_only_the_projects_are_read(tmp_path: Path) -> None:
    write(tmp_path / "history.jsonl", {"display": "text"})
    file = write(tmp_path / "projects" / "p" / "s1.jsonl", said("m1", 1))
    assert transcript("claude").files(tmp_path) == [file]
    assert transcript("claude").identify(tmp_path)
    with pytest.raises(SourceUnreadable, match="no transcript"):
        transcript("claude").files(write(tmp_path / "empty" / "notes.txt", b"").parent)
    with pytest.raises(SourceUnreadable, match="no such file"):
        transcript("claude").files(tmp_path / "nowhere")


def test_bad_lines_are_told_with_file_and_line_and_the_rest_is_read(tmp_path: Path) -> None:
    good, cut = said("m1", 5), raw(said("m2", 6))
    path = write(
        tmp_path / "s1.jsonl",
        good,
        cut[:150] + b"\n",
        b"not json\n",
        b"{\n",
        b'  "pretty": 1\n',
        raw(said("m3", 7))[:-1] + raw(said("m4", 8)),
        b"\xff\xfe{\x00\n",
        b"[1, 2]\n",
        said("m5", "many"),
        said("m6", -1),
        said("m7\n", 1),
        said("m8", 3, cache_read_input_tokens=1.5),
        said(None, 3),
        {"type": "assistant", "message": "text", "usage": 1, "sessionId": "s1"},
        said("m9", 2, session="bell\x07"),
        said("m10", 11, model=5),
        b"\n",
        raw(said("m11", 12))[:-1],
    )
    extract = read(path)
    assert [each.message_id for each in extract.messages] == ["m1", "m3", "m4", "m11"]
    assert [line for line, _ in sorted(reasons(extract))] == [2, 7, 8, 9, 10, 11, 12, 13, 15, 16]
    found = dict(reasons(extract))
    assert found[2] == "is not JSON; the same holds for the 3 lines after it"
    assert "output_tokens: expected a whole number" in found[9]
    assert "does not fit" in found[15]


@pytest.mark.parametrize("timestamp", ["yesterday", 1732492800, "2026-11-24T10:00:00"])
def test_a_timestamp_that_is_none_is_told_and_the_response_counts(tmp_path: Path, timestamp: object) -> None:
    extract = read(write(tmp_path / "s1.jsonl", said("m1", 5), said("m2", 6) | {"timestamp": timestamp}))
    assert [(each.message_id, bool(each.first_at)) for each in extract.messages] == [("m1", True), ("m2", False)]
    ((line, reason),) = reasons(extract)
    assert (line, "so it counts on the day of its import" in reason) == (2, True)


def test_an_unfinished_last_line_is_told_and_read_once_it_is_whole(tmp_path: Path) -> None:
    first_lines = [said("m0", 5), said("m1", 5)]
    path = write(tmp_path / "s1.jsonl", *first_lines, raw(said("m2", 6))[:200])
    first = read(path)
    assert ([each.message_id for each in first.messages], reasons(first)) == (
        ["m0", "m1"],
        [(3, "is cut in the middle")],
    )
    path.write_bytes(raw(*first_lines, said("m2", 6)))
    rest = transcript("claude").read(path, first.mark)
    assert ([each.message_id for each in rest.messages], rest.skipped, rest.resumed) == (["m2"], [], True)


def test_a_file_rewritten_under_its_mark_is_read_from_the_beginning(tmp_path: Path) -> None:
    path = write(tmp_path / "s1.jsonl", said("m1", 5), said("m2", 5))
    mark = read(path).mark
    write(path, said("m7", 5), said("m8", 5), said("m9", 5))
    again = transcript("claude").read(path, mark)
    assert ([each.message_id for each in again.messages], again.resumed) == (["m7", "m8", "m9"], False)


def test_a_byte_order_mark_and_a_carriage_return_do_no_harm(tmp_path: Path) -> None:
    lines = [b"\xef\xbb\xbf" + raw(asked()), *(raw(said(f"m{n}", 1)).replace(b"\n", b"\r\n") for n in range(20))]
    assert len(read(write(tmp_path / "s1.jsonl", *lines)).messages) == 20


def test_other_encodings_are_told_once(tmp_path: Path) -> None:
    path = write(tmp_path / "s1.jsonl", raw(*(said(f"m{n}", 1) for n in range(50))).decode().encode("utf-16"))
    extract = read(path)
    assert extract.messages == []
    assert [line for line, _ in reasons(extract)] == [1]


def test_compressed_transcripts_are_read_and_a_cut_one_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(raw(*(said(f"m{n}", n, model=f"x{n * 7919 % 1000}") for n in range(300))))
    whole, cut = write(tmp_path / "whole.jsonl.gz", packed), write(tmp_path / "cut.jsonl.gz", packed[:1500])
    assert len(read(whole).messages) == 300
    extract = read(cut)
    assert 0 < len(extract.messages) < 300
    assert "the gzip file is cut or damaged" in extract.skipped[-1].reason
    assert extract.failed
    assert "cut or damaged" in read(write(tmp_path / "none.jsonl.gz", b"no gzip")).skipped[0].reason


def test_a_loop_of_folders_and_what_is_no_file_end(tmp_path: Path) -> None:
    file = write(tmp_path / "projects" / "p" / "s1.jsonl", said("m1", 1))
    (file.parent / "loop").symlink_to(tmp_path / "projects")
    (file.parent / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(file.parent / "pipe.jsonl")
    (file.parent / "folder.jsonl").mkdir()
    (tmp_path / "projects" / "itself").symlink_to(".")
    (tmp_path / "projects" / "dead.jsonl").symlink_to(tmp_path / "nowhere")
    found, report = imported(tmp_path)
    assert [line["message_id"] for line in found] == ["m1"]
    assert sorted(skipped.path.name for skipped in report.skipped) == ["dead.jsonl", "gone.jsonl", "pipe.jsonl"]


def test_an_overlong_line_is_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "s1.jsonl"
    with path.open("wb") as file:
        file.write(raw(said("m1", 1)))
        for _ in range(70):
            file.write(b"x" * 1024 * 1024)
        file.write(b"\n" + raw(said("m2", 1)))
    extract = read(path)
    assert [each.message_id for each in extract.messages] == ["m1", "m2"]
    assert reasons(extract) == [(2, "is longer than 67,108,864 bytes")]
    assert (extract.mark.lines, extract.mark.offset) == (3, path.stat().st_size)
