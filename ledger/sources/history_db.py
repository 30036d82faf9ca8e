"""Another application's `workflow_history` table: all about its workflows, except their costs.

Status, issue, template and times become events. The costs are not read: costledger computes the right ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from ledger.errors import SourceUnreadable, reason
from ledger.events import timestamps
from ledger.events.fields import check_name
from ledger.events.ids import digest
from ledger.sources.findings import Findings, Options, Part, Skipped, spelled
from ledger.sources.formats.sqlite_read_only import open_read_only
from ledger.storage.descriptors import shortage

__all__ = ["HistoryDb"]

KIND: Final = "history_db"
_SECONDS_MAX: Final = 366 * 86_400
_WAIT_SECONDS: Final = 5.0
"""How long to wait for a lock of the application; a server that is to stop waits as long."""
_STATUSES: Final = ("running", "completed", "failed", "cancelled")
_WANTED: Final = (
    "adw_id",
    "status",
    "issue_number",
    "workflow_template",
    "start_time",
    "end_time",
    "created_at",
    "error_message",
    "duration_seconds",
    "completed_at",
    "updated_at",
)


class HistoryDb:
    """The source `history-db`: a SQLite database with a table `workflow_history`."""

    def identify(self, path: Path) -> bool:
        """See `Source.identify`."""
        try:
            return path.is_file() and bool(_rows(path))
        except SourceUnreadable:
            return False

    def parts(self, path: Path, options: Options) -> list[Part]:
        """See `Source.parts`: one per row, all read at once."""
        if not path.is_file():
            raise SourceUnreadable(path, "is no database file" if path.exists() else "there is no such database")
        rows = _rows(path)
        if not rows:
            raise SourceUnreadable(path, "its table workflow_history has no row")
        wanted = [row for row in rows if options.workflow_id in (None, row["adw_id"])]
        return [Part(str(row["adw_id"]), 1, _reader(path, row)) for row in wanted]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        with closing(open_read_only(path, wait_seconds=_WAIT_SECONDS)) as db:
            columns = {name for (name,) in db.execute("SELECT name FROM pragma_table_info('workflow_history')")}
            if "adw_id" not in columns:
                raise SourceUnreadable(path, "has no table workflow_history with an adw_id")
            names = [name for name in _WANTED if name in columns]
            query = f"SELECT {', '.join(names)} FROM workflow_history WHERE adw_id IS NOT NULL ORDER BY adw_id"
            return [dict(zip(names, values, strict=True)) for values in db.execute(query)]
    except (sqlite3.Error, OSError) as error:
        if (refused := shortage(error)) is not None:
            raise SourceUnreadable(path, f"cannot be read: {reason(refused)}") from error
        raise SourceUnreadable(path, f"cannot be read as a SQLite database: {error}") from error


def _reader(path: Path, row: Mapping[str, Any]) -> Callable[[], Findings]:
    def read() -> Findings:
        """Read one row."""
        findings = Findings()
        workflow_id, origin = str(row["adw_id"]), {"source": {"kind": KIND, "file": spelled(path)}}
        facts: dict[str, Any] = {
            "issue_number": _issue(row.get("issue_number")),
            "workflow_template": _template(row.get("workflow_template")),
            "observed_at": _moment(row.get("start_time")) or _moment(row.get("created_at")),
        }
        facts = {name: value for name, value in facts.items() if value is not None}
        if facts:
            findings.started = {"id": digest(KIND, "started", workflow_id, *sorted(facts.items())), **facts, **origin}
        status = str(row.get("status") or "").strip().lower()
        if status in _STATUSES:
            ended, error = _moment(row.get("end_time")), row.get("error_message")
            end: dict[str, Any] = {"id": digest(KIND, status, workflow_id, row.get("end_time"), error), **origin}
            if status != "running":
                evident = None if ended else _evident_end(row)
                if evident is not None:
                    end["source"] = origin["source"] | {"spent_at_from": "application"}
                if (at := ended or evident) is not None:
                    end["observed_at"] = at
            if status == "failed" and isinstance(error, str) and error:
                end["error_message"] = error[:4000]
            findings.status = (status, end)
        elif status not in ("", "pending"):
            findings.skipped.append(Skipped(path, None, f"{workflow_id}: status {status!r} is not supported"))
        return findings

    return read


def _evident_end(row: Mapping[str, Any]) -> str | None:
    """When a row without an end time ended, by its other times: it cannot have been after it was last written."""
    start, seconds = _moment(row.get("start_time")), row.get("duration_seconds")
    if start is not None and isinstance(seconds, int | float) and 0 < seconds < _SECONDS_MAX:
        return timestamps.to_wire(timestamps.from_wire(start) + timedelta(seconds=seconds))
    return _moment(row.get("completed_at")) or _moment(row.get("updated_at"))


def _issue(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 18:
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def _template(value: object) -> str | None:
    try:
        return check_name(value)
    except ValueError:
        return None


def _moment(value: object) -> str | None:
    """A time of the table in the ledger's spelling; None for anything else."""
    try:
        found = timestamps.moment(value)
        return None if found is None else timestamps.parse(found)
    except ValueError:
        return None
