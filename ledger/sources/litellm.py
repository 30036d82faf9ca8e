"""LiteLLM's spend log: an export of the proxy's table `LiteLLM_SpendLogs`, as CSV, JSON or JSON lines.

Its columns: https://github.com/BerriAI/litellm/blob/main/schema.prisma; cached tokens are in
`metadata.usage_object` or, older, `metadata.additional_usage_values`, and `prompt_tokens` includes them. Where these
give no lifetime of cache writes, our price is a lower bound.

- `request_id` is one provider response; `spend` is LiteLLM's own figure of its cost.
- LiteLLM writes a spend of 0 where it has no price. A row with tokens, without a cache hit and at 0 is therefore
  without a cost here, and priced by us where we can; for local models that really cost nothing, configure a price of 0.
- A failed request without tokens cost nothing, and is ignored.
- The workflow is what the caller put into the request's metadata (`spend_logs_metadata`: `workflow_id`, `adw_id`), or
  the `session_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ledger.errors import InvalidEvent, InvalidInput, SourceUnreadable, reason
from ledger.events import money
from ledger.providers.genai_semconv import has_unknown_lifetimes
from ledger.providers.usage import disjoint
from ledger.sources.findings import Call, Location, Options, Part, Skipped, spelled
from ledger.sources.formats import csv_rows
from ledger.sources.formats.json_documents import documents, files_of
from ledger.sources.formats.jsonl import json_value
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.grouping import WorkflowFinding, parts_by_workflow
from ledger.sources.mapped import moment, whole_number

__all__ = ["LiteLlm"]

KIND: Final = "litellm"

_NEEDED: Final = ("request_id", "spend")
_WORKFLOW: Final = ("costledger.workflow_id", "workflow_id", "adw_id")
_AGENT: Final = ("costledger.agent", "agent", "agent_name")
_PROJECT: Final = ("costledger.project", "project")


class LiteLlm:
    """The source `litellm`: an export, or a folder of exports."""

    def identify(self, path: Path) -> bool:
        """See `Source.identify`: the first row has a request and its spend."""
        if not path.is_file():
            return False
        try:
            first = next(_rows(path), None)
        except SourceUnreadable:
            return False
        return isinstance(first, tuple) and set(_NEEDED) <= first[1].keys()

    def parts(self, path: Path, options: Options) -> list[Part]:
        """See `Source.parts`."""
        skipped: list[Skipped] = []
        files = files_of(path, ".csv", ".json", ".jsonl", ".ndjson", skipped=skipped)
        return parts_by_workflow(path, chain(skipped, _found(files, options)), KIND)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    """The rows of an export; it is CSV unless it begins like JSON."""
    try:
        with open_regular(path) as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        yield Skipped(path, None, f"cannot be read: {reason(error)}")
        return
    yield from documents(path) if start[:1] in (b"{", b"[") else csv_rows.rows(path)


def _found(files: list[Path], options: Options) -> Iterator[WorkflowFinding | Skipped]:
    for path in files:
        file = spelled(path)
        for record in _rows(path):
            if isinstance(record, Skipped):
                yield record
                continue
            line, row = record
            try:
                found = _row(row, options, Location(file, line))
            except InvalidInput as error:
                yield Skipped(path, line, str(error))
                continue
            if found is not None:
                yield found


def _row(row: Mapping[str, Any], options: Options, location: Location) -> WorkflowFinding | None:
    for name in _NEEDED:
        if row.get(name) in (None, ""):
            raise InvalidEvent(name, "the row has none; is this an export of LiteLLM_SpendLogs?")
    metadata = _inside(row.get("metadata"))
    usage, partial = _usage(row, metadata)
    spend: Any = row["spend"]
    if money.parse(spend) == 0 and str(row.get("cache_hit")).lower() != "true":
        if not any(usage.values()):
            return None
        spend = None
    given = _inside(metadata.get("requester_metadata")) | _inside(metadata.get("spend_logs_metadata"))
    session = _text(row, "session_id")
    workflow = options.workflow_id or _text(given, *_WORKFLOW) or session
    if workflow is None:
        raise InvalidEvent(
            "workflow_id", "neither spend_logs_metadata nor session_id names a workflow; say --workflow-id"
        )
    call = Call(
        KIND,
        message_id=str(row["request_id"]),
        model=_text(row, "model"),
        usage=usage,
        location=location,
        agent=options.agent or _text(given, *_AGENT),
        session_id=session,
        cost_usd=spend,
        observed_at=moment(row.get("startTime")),
        partial=partial and spend is None,
    )
    project = _text(given, *_PROJECT)
    return WorkflowFinding(workflow, call, {"project": project} if project else {})


def _usage(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[dict[str, int], bool]:
    """A row's tokens, and whether some of them may have cost more than they are priced at."""
    more = _inside(metadata.get("additional_usage_values")) | _inside(metadata.get("usage_object"))
    details = _inside(more.get("prompt_tokens_details"))
    reads = more.get("cache_read_input_tokens") or details.get("cached_tokens") or 0
    writes = more.get("cache_creation_input_tokens") or details.get("cache_creation_tokens") or 0
    usage = disjoint(
        whole_number("prompt_tokens", row.get("prompt_tokens") or 0),
        whole_number("cache_creation_input_tokens", writes),
        whole_number("cache_read_input_tokens", reads),
        whole_number("completion_tokens", row.get("completion_tokens") or 0),
    )
    lifetimes = _inside(details.get("cache_creation_token_details"))
    lasting = whole_number("ephemeral_1h_input_tokens", lifetimes.get("ephemeral_1h_input_tokens") or 0)
    stored = usage.get("cache_write_tokens", 0)
    if lasting and stored:
        usage["cache_write_1h_tokens"] = min(lasting, stored)
    return usage, not lifetimes and has_unknown_lifetimes(_text(row, "model"), stored)


def _inside(value: Any) -> dict[str, Any]:
    """An object, or the JSON text of one, as CSV has it."""
    if isinstance(value, str):
        try:
            value = json_value(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _text(values: Mapping[str, Any], *names: str) -> str | None:
    return next((str(values[name]) for name in names if values.get(name) not in (None, "")), None)
