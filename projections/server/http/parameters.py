"""Parameters of a request: those of its route, each once except for lists.

A misspelt filter that is ignored would give a figure for something else than was asked for.
"""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from pydantic import AfterValidator

from ledger.errors import shown
from ledger.events.workflow_ids import WORKFLOW_ID_PATTERN, check_workflow_id
from projections.server.http.problems import Refusal

__all__ = ["NAMES_MAX", "AdwId", "AdwIdAsked", "Conditions", "Since", "Until", "Zone", "only_known"]

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
