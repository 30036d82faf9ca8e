"""Any other tool's table of calls, `csv` or `jsonl`: a map names the column of each field.

`--map cost_usd=spend` reads a field from a column, `--map model=meta.model` from inside a column of JSON,
`--map agent==planner` gives every row the same value. A field that is not mapped is read from the column of its own
name, where there is one.

A row is one call. Its `message_id` identifies it; without one the whole row does, so a row that is repeated, in one
file or in two, is one call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import InvalidEvent, InvalidInput, SourceUnreadable, shown
from ledger.events import timestamps
from ledger.events.fields import USAGE_FIELDS
from ledger.events.ids import digest
from ledger.sources.findings import Call, Location, Options, Part, Skipped, spelled
from ledger.sources.formats import csv_rows
from ledger.sources.formats.json_documents import documents, files_of
from ledger.sources.formats.jsonl import json_value
from ledger.sources.grouping import WorkflowFinding, parts_by_workflow

__all__ = ["FIELDS", "Mapped", "moment", "parsed_map", "whole_number"]

_TEXTS: Final = ("workflow_id", "agent", "session_id", "model", "message_id", "service_tier")
_WHOLE: Final = re.compile(r"([0-9]{1,19})(?:\.0+)?")
_FACTS: Final = ("project", "workflow_template", "issue_number")
FIELDS: Final = (*_TEXTS, "cost_usd", "observed_at", *USAGE_FIELDS, *_FACTS)
"""What a column can be."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Map:
    """Where each field comes from.

    Attributes:
        columns: paths into a record, by field.
        constants: values, by field.
        required: the fields that the caller mapped, whose columns must exist.
    """

    columns: dict[str, tuple[str, ...]]
    constants: dict[str, str]
    required: frozenset[str]


class Mapped:
    """The sources `csv` and `jsonl`: a file, or a folder of such files."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def identify(self, path: Path) -> bool:
        """See `Source.identify`: by its name only, since the map decides what its columns mean."""
        return path.is_file() and path.suffix.lower() == f".{self._kind}"

    def parts(self, path: Path, options: Options) -> list[Part]:
        """See `Source.parts`."""
        mapping = parsed_map(options.map)
        suffixes = (".csv", ".tsv") if self._kind == "csv" else (".jsonl", ".json", ".ndjson")
        skipped: list[Skipped] = []
        files = files_of(path, *suffixes, skipped=skipped)
        return parts_by_workflow(path, chain(skipped, self._found(files, mapping, options)), self._kind)

    def _found(self, files: list[Path], mapping: _Map, options: Options) -> Iterator[WorkflowFinding | Skipped]:
        missing = {field: ".".join(mapping.columns[field]) for field in mapping.required}
        for path in files:
            if self._kind == "csv":
                try:
                    names = csv_rows.header(path)
                except SourceUnreadable as error:
                    if len(files) == 1:
                        raise
                    yield Skipped(path, None, error.problem)  # the other files of the folder are read
                    continue
                _check_header(path, names, mapping)
            file = spelled(path)
            for record in csv_rows.rows(path) if self._kind == "csv" else documents(path):
                if isinstance(record, Skipped):
                    yield record
                    continue
                line, values = record
                for field in [field for field in missing if _at(values, mapping.columns[field]) is not None]:
                    del missing[field]
                try:
                    yield self._row(values, mapping, options, Location(file, line))
                except InvalidInput as error:
                    yield Skipped(path, line, str(error))
        if self._kind == "jsonl" and missing:
            field, column = next(iter(missing.items()))
            raise SourceUnreadable(files[0], f"no record has {column!r}, which the map names for {field}")

    def _row(self, record: Record, mapping: _Map, options: Options, location: Location) -> WorkflowFinding:
        values = {field: _at(record, path) for field, path in mapping.columns.items()} | mapping.constants
        given = {field: value for field, value in values.items() if value not in (None, "")}
        text = {field: str(given[field]) for field in _TEXTS if field in given}
        workflow_id = options.workflow_id or text.get("workflow_id")
        if workflow_id is None:
            raise InvalidEvent("workflow_id", "the row names none; map a column to it, or say --workflow-id")
        usage: dict[str, int] = {name: whole_number(name, given[name]) for name in USAGE_FIELDS if name in given}
        if "cost_usd" not in given and not usage:
            raise InvalidEvent("cost_usd", "the row has neither a cost nor tokens")
        reading = Call(
            self._kind,
            message_id=text.get("message_id") or digest(self._kind, _canonical(record)),
            model=text.get("model"),
            usage=usage or None,
            location=location,
            agent=options.agent or text.get("agent"),
            session_id=text.get("session_id"),
            cost_usd=given.get("cost_usd"),
            observed_at=moment(given.get("observed_at")),
            service_tier=text.get("service_tier"),
        )
        return WorkflowFinding(workflow_id, reading, _facts(given))


def _facts(given: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {field: str(given[field]) for field in _FACTS if field in given}
    if "issue_number" in facts:
        facts["issue_number"] = whole_number("issue_number", facts["issue_number"])
    return facts


def parsed_map(pairs: Iterable[str]) -> _Map:
    """Return the map of `--map` options, or of a `map` in costledger.toml.

    Raises:
        InvalidInput: one is not `field=column`, its field is none of ours, or is mapped twice.
    """
    columns: dict[str, tuple[str, ...]] = {field: (field,) for field in FIELDS}
    constants: dict[str, str] = {}
    required: set[str] = set()
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or not column:
            raise InvalidInput(f"map {pair!r}: say FIELD=COLUMN, or FIELD==VALUE for all rows")
        if field not in FIELDS:
            near = get_close_matches(field, FIELDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(FIELDS)}"
            raise InvalidInput(f"map {pair!r}: there is no field {field!r}; {hint}")
        if field in required or field in constants:
            raise InvalidInput(f"map names the field {field!r} twice")
        if column.startswith("="):
            constants[field] = column[1:]
            del columns[field]
        else:
            columns[field] = tuple(column.split("."))
            required.add(field)
    return _Map(columns, constants, frozenset(required))


def _check_header(path: Path, header: list[str], mapping: _Map) -> None:
    """Check that every column that the map names exists.

    Raises:
        SourceUnreadable: one is not, or nothing in the table is a cost or a token count.
    """
    for field in sorted(mapping.required):
        column = mapping.columns[field]
        if column[0] not in header and ".".join(column) not in header:
            near = get_close_matches(column[0], header, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(header)}"
            raise SourceUnreadable(path, f"has no column {column[0]!r}, which the map names for {field}; {hint}")
    figures = {field for field in ("cost_usd", *USAGE_FIELDS) if field in mapping.required or field in header}
    if not figures and not mapping.constants.keys() & {"cost_usd", *USAGE_FIELDS}:
        raise SourceUnreadable(
            path,
            f"has no column that is a cost or a token count; say --map cost_usd=COLUMN, one of {', '.join(header)}",
        )


def _at(record: Record, path: tuple[str, ...]) -> Any:
    """A value inside a record; a column's text may be JSON. A column that is itself called "a.b" comes first."""
    value: Any = record.get(".".join(path))
    if value is not None or len(path) == 1:
        return value if not isinstance(value, dict | list) else None
    value = record
    for name in path:
        if isinstance(value, str):
            try:
                value = json_value(value)
            except ValueError:
                return None
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if not isinstance(value, dict | list) else None


def _canonical(record: Record) -> str:
    try:
        return orjson.dumps(dict(record), option=orjson.OPT_SORT_KEYS, default=str).decode()
    except orjson.JSONEncodeError as error:  # it reads deeper nesting than it writes
        raise InvalidEvent("message_id", f"the row names none, and cannot be one itself: {error}") from None


def whole_number(name: str, value: Any) -> int:
    """Return a count given as text or number; `1000.0` is one, as pandas writes a column with missing values.

    Raises:
        InvalidEvent: it is none.
    """
    if isinstance(value, str) and (digits := _WHOLE.fullmatch(value.strip())):
        return int(digits[1])
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidEvent(name, f"expected a whole number, not {shown(value)}")


def moment(value: Any) -> str | None:
    """Return a time: ISO 8601 (UTC, when it has no zone), or seconds, milli-, micro- or nanoseconds since 1970.

    Raises:
        InvalidEvent: it is none.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and not value.strip().replace(".", "", 1).isdigit():
            return timestamps.parse(timestamps.moment(value.strip()))
        seconds = float(value)
        while seconds >= 1e11:  # the year 5138 in seconds: finer units, a thousand at a time
            seconds /= 1000
        return timestamps.to_wire(timestamps.from_unix(seconds))
    except (TypeError, ValueError, OverflowError, OSError):
        raise InvalidEvent("observed_at", f"expected a time such as 2026-11-23T18:33:01Z, not {shown(value)}") from None
