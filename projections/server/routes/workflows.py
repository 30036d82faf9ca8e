"""`/api/workflow-history` and `/api/stale`: rows, and how each came about."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ledger.errors import CostledgerError, InvalidInput, UnknownWorkflow
from ledger.events import timestamps
from ledger.events.annotations import finding_accepted
from ledger.events.event import COST_OBSERVED, Line
from ledger.events.typed_line import typed
from projections.applications.suspects import suspects_of_copies
from projections.documents.audit import AuditDocument, audit_entry_document
from projections.documents.changes import ResyncDocument, resync_document
from projections.documents.findings import AcceptanceDocument, FindingsDocument, acceptance_document, findings_document
from projections.documents.moves import MoveDocument, move_document
from projections.documents.rows import RowDocument, WorkflowsDocument
from projections.documents.steps import EventsDocument, StepsDocument, event_document, moves_document, step_document
from projections.documents.totals import totals_document
from projections.folding.explain import cost_after, steps
from projections.folding.fold import fold_lines, initial
from projections.folding.tools import tool_called
from projections.history import query as pages
from projections.history.suspects import AHEAD, IDLE, Suspect, suspects
from projections.replay.move import planned_move
from projections.replay.resync import resync_sources
from projections.reports.dimensions import parsed_where
from projections.reports.filters import page_where
from projections.server.background.application_copy import audited, compared_with
from projections.server.http import schemas
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import Entries, answer
from projections.server.http.parameters import AdwId, AdwIdAsked, Conditions
from projections.server.http.problems import Refusal, documented, sentence
from projections.server.service.service import Service

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["workflows"])

_Limit = Annotated[int, Query(ge=1, le=1_000)]
_Name = Annotated[str | None, Query(description="only readings of this one; empty: of none")]
_Read = Depends(needs("read"))
_APPLICATION: Final = "the application's table"
_LOOKED_AT_MAX: Final = 10 * pages.LIMIT_MAX
"""Rows that one answer looks at; most of them have nothing that needs attention."""
_Status = Literal["running", "completed", "failed", "cancelled", "moved"]
_Project = Annotated[
    str | None,
    Query(description="this one, by its path or the last parts of that", examples=["shop"], max_length=500),
]
_Sort = Literal["last_activity", "updated_at", "start_time", "cost", "tokens", "duration", "issue_number", "adw_id"]
_Tool = Annotated[
    str | None,
    Query(description="with readings of this tool's logs, by its name or KIND", examples=["codex"], max_length=100),
]


@router.get(
    "/workflow-history",
    dependencies=[_Read],
    response_model=WorkflowsDocument,
    summary="A page of workflows, and what all that match add up to",
)
def workflow_history(
    request: Request,
    status: Annotated[list[_Status] | None, Query(description="any of these")] = None,
    issue_number: Annotated[int | None, Query(ge=0, lt=2**63, examples=[17])] = None,
    workflow_template: Annotated[str | None, Query(examples=["adw_sdlc"])] = None,
    basis: Annotated[Literal["reported", "priced", "partial", "none"] | None, Query()] = None,
    project: _Project = None,
    tool: _Tool = None,
    since: Annotated[str | None, Query(description="last activity at or after; ISO 8601 with a zone")] = None,
    until: Annotated[str | None, Query(description="last activity before")] = None,
    text: Annotated[str | None, Query(description="in id, template, model or error message", max_length=200)] = None,
    where: Conditions = None,
    sort: _Sort = "last_activity",
    order: Annotated[Literal["asc", "desc"], Query()] = "desc",
    limit: Annotated[int, Query(ge=1, le=pages.LIMIT_MAX)] = 50,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Response:
    """All filters apply together. `total_count` and `analytics` cover every match, not only this page."""
    query = pages.Query(
        statuses=tuple(status or ()),
        issue_number=issue_number,
        workflow_template=workflow_template,
        basis=basis,
        project=project or None,
        tool=tool_called(tool) if tool else None,
        since=_moment("since", since),
        until=_moment("until", until),
        text=text or None,
        sort=sort,
        descending=order == "desc",
        limit=limit,
        offset=offset,
    )
    service = service_of(request)
    found = page_where(service.history, query, parsed_where("where", where or ()), service.tag_rules)
    copies = compared_with(service.application, found.rows)
    rows = [service.row_document(row, copies.get(row.adw_id)) for row in found.rows]
    return answer({"workflows": rows, "total_count": found.totals.count, "analytics": totals_document(found.totals)})


@router.post(
    "/workflow-history/resync",
    dependencies=[Depends(needs("admin"))],
    response_model=ResyncDocument,
    responses=documented(404, 409),
    summary="Read the sources again, append what is new, replay: one workflow, or all ended ones",
)
def resync(
    request: Request,
    adw_id: Annotated[
        AdwIdAsked | None, Query(description="one workflow; without it all ended ones", examples=["a5b80595"])
    ] = None,
    force: Annotated[bool, Query(description="rows show pure replay, also of running workflows")] = False,
) -> Response:
    """A source or a ledger that cannot be read is listed in `errors`; the others are resynced."""
    service = service_of(request)
    done = resync_sources(
        service.ledgers,
        service.history,
        service.sources,
        workflow_id=adw_id,
        force=force,
        prices=service.prices,
        application=service.application,
    )
    request.app.state.refresher.take_report(done.report)
    if done.report.problems and not done.report.folded:
        raise done.report.problems[0].error
    return answer(resync_document(done, lambda error: sentence(error, service.settings.data)))


@router.get(
    "/workflow-history/{adw_id}",
    dependencies=[_Read],
    response_model=RowDocument,
    responses=documented(404),
    summary="One workflow",
)
def workflow(request: Request, adw_id: AdwId) -> Response:
    """The same row as in the list, also of a workflow that is still running."""
    service = service_of(request)
    row = service.history.row(adw_id)
    if row is None:
        raise UnknownWorkflow(adw_id, "the history")
    copy = compared_with(service.application, [row]).get(adw_id)
    return answer(service.row_document(row, copy))


@router.get(
    "/workflow-history/{adw_id}/audit",
    dependencies=[_Read],
    response_model=AuditDocument,
    responses=documented(404),
    summary="Every change of a row's cost",
)
def audit(
    request: Request,
    adw_id: AdwId,
    after: Annotated[int, Query(ge=0, lt=2**62, description="entries after this id")] = 0,
    limit: _Limit = 200,
) -> Response:
    """The oldest entry first; `application` has the newest ones of the application's own audit log, in their order."""
    service = service_of(request)
    history = service.history
    entries = history.audit(adw_id, after=after, limit=limit + 1)
    if not entries and history.row(adw_id) is None:
        raise UnknownWorkflow(adw_id, "the history")
    return answer(
        {
            "entries": [audit_entry_document(entry) for entry in entries[:limit]],
            "application": [audit_entry_document(entry) for entry in audited(service.application, adw_id, limit)],
            "next": entries[limit - 1].id if len(entries) > limit else None,
        }
    )


@router.get(
    "/workflow-history/{adw_id}/events",
    dependencies=[_Read],
    response_model=EventsDocument,
    responses=documented(404, 409),
    summary="The ledger's events, and what each did to the cost",
)
async def events(
    request: Request,
    adw_id: AdwId,
    after: Annotated[int, Query(ge=0, lt=2**62, description="events after this seq")] = 0,
    limit: _Limit = 200,
    agent: _Name = None,
    session_id: _Name = None,
    model: _Name = None,
) -> Response:
    """Of a row that projectors fold from many hosts' ledgers, where the server knows their shared engine (`--from`).

    Those events' `seq` is their position among the events of all hosts.
    """
    service = service_of(request)
    named = {"agent": agent, "session_id": session_id, "model": model}
    wanted = {name: value or None for name, value in named.items() if value is not None}
    async with service.replay_turn(adw_id, events_max=None if wanted else after + limit):
        return await run_in_threadpool(_events, service, adw_id, after, limit, wanted)


def _events(service: Service, adw_id: str, after: int, limit: int, wanted: dict[str, str | None]) -> Response:
    state, found, following = initial(adw_id), Entries(limit), None
    cost: int | None = None
    for line in service.lines(adw_id):
        if found.full:
            following = found.last_seq
            break
        one = typed(line)
        before, cost = cost, cost_after(fold_lines(state, (one,)), one, cost)
        if line["seq"] > after and (not wanted or _is_reading_of(line, wanted)):
            entry = event_document(line, before, cost)
            found.add(line["seq"], entry)
    return answer({"events": found.json, "next": following})


def _is_reading_of(line: Line, wanted: dict[str, str | None]) -> bool:
    return line["type"] == COST_OBSERVED and all(line.get(name) == value for name, value in wanted.items())


@router.get(
    "/workflow-history/{adw_id}/explain",
    dependencies=[_Read],
    response_model=StepsDocument,
    responses=documented(404, 409),
    summary="Each event that moved the cost: from what to what, why, and where it was read",
)
async def explain(
    request: Request,
    adw_id: AdwId,
    after: Annotated[int, Query(ge=0, lt=2**62, description="steps after this seq")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 200,
) -> Response:
    """Of a row that projectors fold from many hosts' ledgers, where the server knows their shared engine (`--from`)."""
    service = service_of(request)
    async with service.replay_turn(adw_id):
        return await run_in_threadpool(_explained, service, adw_id, after, limit)


def _explained(service: Service, adw_id: str, after: int, limit: int) -> Response:
    lines, found, following, read = service.lines(adw_id), Entries(limit), None, 0
    for step in steps(lines.typed_chunks(), after=after):
        if found.full:
            following, read = found.last_seq, step.seq
            break
        found.add(step.seq, step_document(step))
    moved = moves_document(service.history.row(adw_id))
    return answer(
        {"adw_id": adw_id, "steps": found.json, "event_count": read or lines.head.seq, "next": following, **moved}
    )


@router.get(
    "/stale",
    dependencies=[_Read],
    response_model=FindingsDocument,
    summary="What needs attention, why, and what to do",
)
def stale_rows(
    request: Request,
    limit: Annotated[
        int, Query(ge=1, le=pages.LIMIT_MAX, description="workflows, those that changed last first")
    ] = 200,
) -> Response:
    """A finding that was accepted is not among them."""
    now, service = datetime.now(UTC), service_of(request)
    found, more = _of_rows(service, now, limit)
    if service.application is not None:
        every = service.history.rows()
        copies = compared_with(service.application, every)
        found += suspects_of_copies(every, copies, _APPLICATION, now=now)
    return answer(findings_document(found, more=more))


@router.post(
    "/stale/{adw_id}/accept",
    dependencies=[Depends(needs("append"))],
    status_code=201,
    response_model=AcceptanceDocument,
    responses=documented(400, 404, 409),
    summary="Accept what needs attention in a workflow, with the reason",
)
async def accept(request: Request, adw_id: AdwId, body: schemas.Accept) -> Response:
    """An event in its ledger: it changes no figure, and a finding shows again once it covers something else."""
    covered = await run_in_threadpool(_covered, service_of(request), adw_id)
    kinds = covered.keys() if body.kinds is None else set(body.kinds)
    if not covered or (missing := kinds - covered.keys()):
        what = "nothing" if not covered else f"no {', '.join(sorted(missing))}"
        detail = f"{what} needs attention in {adw_id}; GET /api/stale lists what does"
        raise Refusal(HTTPStatus.CONFLICT, "nothing-to-accept", detail)
    accepted = {kind: covers for kind, covers in covered.items() if kind in kinds}
    made = finding_accepted(adw_id, findings=accepted, reason=body.reason)
    outcome = (await request.app.state.appender.append(adw_id, [made])).outcomes[0]
    if isinstance(outcome, CostledgerError):
        raise outcome
    return answer(acceptance_document(adw_id, accepted, outcome), HTTPStatus.CREATED)


@router.post(
    "/workflow-history/{adw_id}/move",
    dependencies=[Depends(needs("append"))],
    response_model=MoveDocument,
    responses=documented(400, 404, 409),
    summary="Let a workflow, or one of its sessions, count in another workflow",
)
async def move(request: Request, adw_id: AdwId, body: schemas.MoveAsked) -> Response:
    """An event in its ledger; nothing is copied, and no day's total changes. `to` itself ends a move."""
    ledgers = service_of(request).ledgers
    fields = body.model_dump()
    made = await run_in_threadpool(partial(planned_move, ledgers, adw_id, **fields))
    outcome = None
    if made is not None:
        outcome = (await request.app.state.appender.append(adw_id, [made])).outcomes[0]
        if isinstance(outcome, CostledgerError):
            raise outcome
    return answer(move_document(adw_id, body.to, body.session_id, body.agent, outcome))


def _of_rows(service: Service, now: datetime, limit: int) -> tuple[list[Suspect], bool]:
    """What needs attention in so many workflows, and whether there may be more."""
    found: list[Suspect] = []
    workflows, idle_before = 0, timestamps.to_wire(now - IDLE)
    ahead = service.history.recorded_after(timestamps.to_wire(now + AHEAD), pages.LIMIT_MAX)
    names = {row.adw_id for row in ahead}
    for offset in range(0, _LOOKED_AT_MAX, pages.LIMIT_MAX):
        rows = service.history.suspect_rows(pages.LIMIT_MAX, idle_before=idle_before, offset=offset)
        others = [row for row in rows if row.adw_id not in names]
        for row in others if offset else [*ahead, *others]:
            if of_row := list(suspects(row, now=now, lookups=service.attention)):
                if workflows == limit:
                    return found, True
                workflows += 1
                found += of_row
        if len(rows) < pages.LIMIT_MAX:
            return found, False
    return found, True


def _covered(service: Service, adw_id: str) -> dict[str, str]:
    """What needs attention in a workflow: what each finding covers, by its kind."""
    row = service.history.row(adw_id)
    if row is None:
        raise UnknownWorkflow(adw_id, "the history")
    now = datetime.now(UTC)
    found = list(suspects(row, now=now, lookups=service.attention))
    if service.application is not None:
        found += suspects_of_copies([row], compared_with(service.application, [row]), _APPLICATION, now=now)
    return {one.kind: one.covers for one in found}


def _moment(name: str, text: str | None) -> str | None:
    try:
        return None if text is None else timestamps.parse(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None
