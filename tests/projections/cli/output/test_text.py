from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.text import without_escapes
from projections.cli.output.text import (
    batches,
    csv_cell,
    duration,
    local_time,
    location,
    plain,
    print_json,
    print_json_list,
    project_names,
    short_ids,
)


@given(st.text(st.characters(exclude_categories=())))
def test_foreign_text_cannot_control_a_terminal(text: str) -> None:
    shown = plain(text)
    assert len(shown) == len(without_escapes(text))
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert plain(shown) == shown


@given(st.lists(st.integers(), max_size=1200))
def test_batches_hold_every_entry_once_and_in_order(entries: list[int]) -> None:
    made = list(batches(entries))
    assert [entry for batch in made for entry in batch] == entries
    assert all(0 < len(batch) <= 500 for batch in made)


@pytest.mark.parametrize("entries", [[], [{"a": 1}], [{"a": "x\n\t"}, {"b": [1, {"c": 2}]}] * 300])
def test_a_list_that_is_printed_while_it_is_made_is_one_document(
    entries: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_json_list("steps", iter(entries), lambda: {"next": None})
    streamed = capsys.readouterr().out
    assert json.loads(streamed) == {"steps": entries, "next": None}
    print_json({"steps": entries, "next": None})
    assert streamed == capsys.readouterr().out


PROJECTS = ["/h/a/shop", "/h/b/shop", "/h/b/api", "C:\\dev\\shop", "shop"]


@given(st.lists(st.sampled_from(PROJECTS) | st.none(), unique=True))
def test_two_projects_never_share_a_name(projects: list[str | None]) -> None:
    names = project_names(projects)
    named = [names[project] for project in projects if project]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert csv_cell(f"{start}1") == f"'{start}1"
    assert (csv_cell("plan"), csv_cell(-5), csv_cell(None)) == ("plan", -5, None)


def test_times_ids_and_places_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    assert short_ids("agent of 5d1f0c52-8a0e-4c4e-9c39-2d5f5a0b7e01") == "agent of 5d1f0c52…"
    assert len(local_time("2026-11-23T18:33:01.123456Z")) == len("2026-11-23 18:33:01")
    assert (local_time(None), local_time("soon")) == ("", "soon")
    monkeypatch.chdir(Path(__file__).parent)
    assert location(str(Path(__file__).parent / "log\x07.jsonl"), 3) == "log·.jsonl:3"
    assert (location("/elsewhere/log", None), location(None, None)) == ("/elsewhere/log", "received by API")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (841, "14 min 1 s"), (37_458, "10 h 24 min"), (3_600, "1 h"), (1_051_200, "12 d 4 h")],
)
def test_a_duration_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert duration(seconds) == text
