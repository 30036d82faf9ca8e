"""Write `docs/sql.md`, the tables of `history.db`, from its schema: `python docs/sql_schema.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["PAGE", "QUERIES", "page"]

DOCS: Final = Path(__file__).resolve().parent
PAGE: Final = DOCS / "sql.md"
SCHEMA: Final = DOCS.parent / "projections" / "history" / "sqlite" / "schema.sql"

QUERIES: Final = {
    "What cost most": """
SELECT adw_id, status, actual_cost_total, cost_basis
FROM workflow_history ORDER BY actual_cost_nanousd DESC LIMIT 5;
""",
    "Each month, by model": """
SELECT strftime('%Y-%m', quarter * 900, 'unixepoch') AS month, model, sum(cost_nanousd) / 1e9 AS usd
FROM costledger_spend GROUP BY month, model ORDER BY month, usd DESC;
""",
    "What repeated runs cost, before the last": """
SELECT adw_id, sum(cost_nanousd) / 1e9 AS usd FROM costledger_spend AS spend
WHERE run < (SELECT max(run) FROM costledger_spend WHERE adw_id = spend.adw_id) GROUP BY adw_id;
""",
    "By a tag": """
SELECT json_extract(tags, '$.team') AS team, sum(cost_nanousd) / 1e9 AS usd
FROM costledger_spend JOIN workflow_history USING (adw_id) GROUP BY team;
""",
    "What changed a figure": """
SELECT timestamp, adw_id, old_cost, new_cost, reason FROM cost_audit_log ORDER BY id DESC LIMIT 5;
""",
}
"""What people ask the tables, and its query."""

_INTRODUCTION: Final = """# The tables of `history.db`

<!-- Written by `python docs/sql_schema.py`. -->

Rows and spend lie in `history.db` of the data directory, a SQLite database. Read it with any client, read-only:

<!-- not run: it needs the sqlite3 command -->
```sh
sqlite3 -readonly ~/.local/share/costledger/history.db
```

All of it can be made again from the ledgers (`costledger rebuild`), but for `cost_audit_log`. Do not write to it; to
correct a figure use [`costledger correct`](operations.md). Sum `cost_nanousd`, which is exact; `actual_cost_total` is
for people. The columns of `workflow_history` and `costledger_spend` are kept: a version may add some. In PostgreSQL
they have the same names ([PostgreSQL](postgres.md)).

## Questions
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for title, query in QUERIES.items():
        parts += [f"### {title}\n", f"```sql\n{query.strip()}\n```\n"]
    parts += ["## Tables\n", f"```sql\n{SCHEMA.read_text(encoding='utf-8').strip()}\n```"]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
