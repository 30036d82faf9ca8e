from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.sources.findings import Skipped
from ledger.sources.formats.jsonl import CUT, json_value, records, records_of_line

texts = st.text(st.characters(exclude_categories=()), max_size=6)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
PATH = Path("log.jsonl")


@given(values)
def test_every_value_that_is_read_can_be_written_again(value: Any) -> None:
    read = json_value(json.dumps(value))
    assert orjson.loads(orjson.dumps(read)) == read
    try:
        expected = orjson.loads(orjson.dumps(value))
    except TypeError:
        return  # a lone surrogate or an integer above 64 bits, which is read as near as it can be written
    assert read == expected


@settings(max_examples=50)
@given(st.lists(st.dictionaries(texts, values, max_size=2), max_size=4))
def test_records_are_those_of_the_lines_also_when_two_share_one(
    tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("t") / "log.jsonl"
    expected = [json_value(json.dumps(one)) for one in written]
    path.write_text("".join(json.dumps(one) + "\n" for one in written))
    assert list(records(path)) == list(enumerate(expected, 1))
    path.write_text("".join(json.dumps(one) for one in written) + "\n")
    assert list(records(path)) == [(1, one) for one in expected]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"junk\n", "is not JSON"),
        (b'{"a": 1', CUT),
        (b'{"a": NaN}\n', "is not JSON"),
        (b"[1]\n", "is JSON, but not an object"),
        ("\ufeff{}".encode("utf-16-le"), "is UTF-16 (make the file UTF-8)"),
        (b'{"a":' * 100_000 + b"\n", "is not JSON"),
    ],
)
def test_a_line_without_a_record_has_its_reason(line: bytes, reason: str) -> None:
    assert list(records_of_line(PATH, 7, line)) == [Skipped(PATH, 7, reason)]


def test_what_two_interrupted_writers_left_on_one_line_is_read_up_to_the_cut() -> None:
    assert list(records_of_line(PATH, 1, b'{"a":1} {"b":')) == [(1, {"a": 1}), Skipped(PATH, 1, CUT)]


def test_a_line_that_is_an_array_has_records_only_where_that_is_asked_for() -> None:
    assert list(records_of_line(PATH, 1, b'[{"a":1},2]', arrays=True)) == [
        (1, {"a": 1}),
        Skipped(PATH, 1, "is JSON, but not an object"),
    ]


def test_a_file_that_is_not_there_is_one_reason(tmp_path: Path) -> None:
    (found,) = records(tmp_path / "gone")
    assert isinstance(found, Skipped)
    assert found.line is None
