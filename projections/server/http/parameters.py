"""Parameters of a request: those of its route, each once except for lists.

A misspelt filter that is ignored would give a figure for something else than was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from pydantic import AfterValidator

from ledger.errors import InvalidInput, shown
from ledger.events.workflow_ids import WORKFLOW_ID_PATTERN, check_workflow_id
from projections.reports.dimensions import parsed_where
from projections.reports.periods import quarters
from projections.reports.spend_report import SpendQuery
from projections.reports.timezones import day_named
from projections.server.http.problems import Refusal

__all__ = ["NAMES_MAX", "AdwId", "AdwIdAsked", "Conditions", "Since", "Until", "Zone", "asked_query", "only_known"]

NAMES_MAX: Final = 20
"""Names or conditions of one question."""

_SPELLING: Final[dict[str, Any]] = {"pattern": f"^{WORKFLOW_ID_PATTERN}$"}

AdwId = Annotated[
    str,
    AfterValidator(check_workflow_id),
    Path(examples=["a5b80595"], json_schema_extra=_SPELLING),
]
"""A workflow that a path names: 422 when that cannot be an id, and 404 when there is no such workflow."""

AdwIdAsked = Annotated[str, AfterValidator(check_workflow_id), Query(json_schema_extra=_SPELLING)]

Conditions = Annotated[
    list[str] | None,
    Query(
        description="only of this: a name as in `by` of `/api/spend`, `=` and a value; with `*` or `?` a glob, without "
        "a value what has none; several of one name are alternatives",
        examples=["project=shop"],
        max_length=NAMES_MAX,
    ),
]
"""What spend and workflows are filtered by."""

Since = Annotated[str | None, Query(description="the first day", examples=["2026-11-01"], max_length=32)]
Until = Annotated[str | None, Query(description="the last day", examples=["2026-11-30"], max_length=32)]
Zone = Annotated[
    str, Query(description="whose days: an IANA name, or `local` of the server", examples=["Europe/Berlin"])
]


def asked_query(
    zone: tzinfo | None,
    *,
    by: Sequence[str] = (),
    where: Sequence[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> SpendQuery:
    """Return the query of spend that a request asks for, by its parameters.

    Raises:
        InvalidInput: one of them is no day or no condition, or the first day is after the last.
    """
    first, last = day_named("since", since), day_named("until", until)
    if first is not None and last is not None and first > last:
        raise InvalidInput(f"since {first} is after until {last}")
    begin, end = quarters(first, last, zone)
    return SpendQuery(tuple(by), where=parsed_where("where", where or ()), first=begin, last=end)


async def only_known(request: Request) -> None:
    """Check, as a dependency, that every parameter is one of the route's.

    Raises:
        Refusal: one is not, or is given twice where one value is asked for.
    """
    if not request.url.query:
        return
    operation = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    schemas = {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in schemas:
            has = f"it has {', '.join(schemas)}" if schemas else "it has none"
            raise _refusal(f"no parameter {shown(name)} exists here; {has}")
        if count > 1 and not _is_list(schemas[name]):
            raise _refusal(f"{name} is given {count:,} times; give one value")


def _is_list(schema: dict[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))


def _refusal(detail: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail)
