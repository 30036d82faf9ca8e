from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from projections.folding.row import COLUMNS
from projections.history.sql_scripts import statements
from projections.history.suspects import SUSPECT_INDEX


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_each_statement_is_one_and_without_comments(database: str) -> None:
    found = statements(database)
    assert len(found) == len(set(found)) > 3
    assert all(re.match("[A-Z]+ ", one) and "--" not in one and ";" not in one for one in found)
    assert not any("SUSPECT_INDEX" in one for one in found)


def test_postgresql_has_the_index_of_rows_that_may_need_attention() -> None:
    assert sum(SUSPECT_INDEX in one for one in statements("postgres")) == 1


def test_sqlite_creates_the_table_of_rows_with_exactly_their_columns() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in statements("sqlite"):
            db.execute(statement)
        columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('workflow_history')")]
    assert tuple(columns) == COLUMNS
