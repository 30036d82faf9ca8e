from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NoLogs, SourceUnreadable
from ledger.sources.findings import Skipped
from ledger.sources.formats.json_documents import documents, files_of

objects = st.lists(st.dictionaries(st.text("abc", min_size=1), st.integers() | st.text(), max_size=3), min_size=1)


@settings(max_examples=60)
@given(
    exported=objects,
    shape=st.sampled_from(["lines", "array", "data", "results", "rows"]),
    indent=st.sampled_from([None, 2]),
    bom=st.booleans(),
)
def test_the_same_records_are_read_in_whatever_shape_they_were_exported(
    tmp_path_factory: pytest.TempPathFactory,
    exported: list[dict[str, Any]],
    shape: str,
    indent: int | None,
    *,
    bom: bool,
) -> None:
    path = tmp_path_factory.mktemp("t") / "export.json"
    if shape == "lines":
        text = "\n".join(json.dumps(one) for one in exported)
    else:
        text = json.dumps(exported if shape == "array" else {shape: exported}, indent=indent)
    path.write_text(text, encoding="utf-8-sig" if bom and shape != "lines" else "utf-8")
    assert [one[1] for one in documents(path) if not isinstance(one, Skipped)] == exported


def test_one_object_is_one_record_and_elements_that_are_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text('{\n  "a": 1\n}')
    assert list(documents(path)) == [(1, {"a": 1})]
    path.write_text('[{"a": 1},\n 2]')
    assert list(documents(path)) == [(1, {"a": 1}), Skipped(path, 1, "element 2 is JSON, but not an object")]


def test_a_document_that_would_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    with path.open("wb") as file:
        file.write(b"[\n")
        file.truncate(64 * 1024 * 1024 + 1)
    (found,) = documents(path)
    assert isinstance(found, Skipped)
    assert "make it JSON lines" in found.reason


def test_files_are_found_by_their_endings(tmp_path: Path) -> None:
    for name in ("b.JSON", "a.jsonl", "sub/c.json", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_of(tmp_path, ".json", ".jsonl", skipped=[])
    assert [str(file.relative_to(tmp_path)) for file in found] == ["a.jsonl", "b.JSON", "sub/c.json"]
    assert files_of(tmp_path / "d.txt", ".json", skipped=[]) == [tmp_path / "d.txt"]
    with pytest.raises(NoLogs, match=r"holds no file that ends in \.csv"):
        files_of(tmp_path, ".csv", skipped=[])
    with pytest.raises(SourceUnreadable, match="no such file"):
        files_of(tmp_path / "gone", ".json", skipped=[])
