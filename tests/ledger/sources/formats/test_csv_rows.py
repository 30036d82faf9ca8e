from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import SourceUnreadable
from ledger.sources.findings import Skipped
from ledger.sources.formats.csv_rows import header, rows

cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
COLUMNS = ["model", "cost usd"]


def write(path: Path, table: list[list[str]], delimiter: str, encoding: str, end: str) -> Path:
    """Write a file as a spreadsheet does, which quotes every line end in a cell.

    Before Python 3.13 `csv.writer` quotes only those that are in its own line end.
    """
    text = io.StringIO()
    with path.open("w", encoding=encoding, newline="") as file:
        for row in table:
            csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(row)
            file.write(text.getvalue().removesuffix("\r\n") + end)
            text.seek(text.truncate(0))
    return path


@settings(max_examples=50)
@example([("\r", "a"), ("", "b\n")], ",", "utf-8", "\n")
@given(
    table=st.lists(st.tuples(cells, cells), max_size=4),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_spreadsheet_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]], delimiter: str, encoding: str, end: str
) -> None:
    path = write(tmp_path_factory.mktemp("t") / "t.csv", [COLUMNS, *map(list, table)], delimiter, encoding, end)
    assert header(path) == COLUMNS
    read = [row for row in rows(path) if not isinstance(row, Skipped)]
    assert [tuple(values.values()) for _, values in read] == table
    assert all(list(values) == COLUMNS for _, values in read)


def test_a_row_has_the_number_of_its_first_line_and_a_wrong_one_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\n\na,b\n1,"two\nlines"\n3\n\xff,4\n5,6\n')
    found = list(rows(path))
    assert [one for one in found if not isinstance(one, Skipped)] == [
        (4, {"a": "1", "b": "two\nlines"}),
        (8, {"a": "5", "b": "6"}),
    ]
    assert [(one.line, one.reason) for one in found if isinstance(one, Skipped)] == [
        (6, "has 1 fields, and the header names 2"),
        (7, "is not UTF-8"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "is empty"), (b"\n \n", "is empty"), (b"a,b,a\n", "names the column 'a' twice"), (b"\xff,a\n", "not UTF-8")],
)
def test_a_header_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    for read in (header, lambda given: list(rows(given))):
        with pytest.raises(SourceUnreadable, match=problem):
            read(path)
