"""One transcript of Claude Code, read from where it was left off, for the hook that says it has grown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from ledger import clock as clocks
from ledger.errors import InvalidInput, SourceUnreadable
from ledger.importing import append_findings
from ledger.pricing import PriceBook
from ledger.sources.findings import Call, Findings, Place, spelled
from ledger.store import LedgerStore
from ledger.usage import usage_of

__all__ = ["append_transcript"]

_KIND: Final = "claude"


def append_transcript(
    store: LedgerStore,
    path: Path,
    offset: int,
    *,
    workflow_id: str,
    session_id: str,
    agent: str | None,
    prices: PriceBook,
) -> int:
    """Append the calls that a transcript holds from an offset on; returns the offset to go on from.

    Raises:
        SourceUnreadable: it cannot be read.
        CostledgerError: as `LedgerStore.append`.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < offset:
                offset = 0
            file.seek(offset)
            text = file.read()
    except OSError as error:
        raise SourceUnreadable(path, f"cannot be read: {error.strerror or error}") from error
    whole = text[: text.rfind(b"\n") + 1]
    calls: dict[str, Call] = {}
    for number, line in enumerate(whole.splitlines(), 1):
        if b'"usage"' in line and (call := _call(line, Place(spelled(path), number), session_id, agent)) is not None:
            known = calls.get(call.message_id)
            if known is None or _output(call) >= _output(known):
                calls[call.message_id] = call
    append_findings(store, workflow_id, Findings(calls=list(calls.values())), prices, clocks.now, None)
    return offset + len(whole)


def _call(line: bytes, place: Place, session_id: str, agent: str | None) -> Call | None:
    try:
        record: dict[str, Any] = orjson.loads(line)
        message = record["message"]
        if record.get("type") != "assistant" or message.get("model") == "<synthetic>":
            return None
        usage = usage_of(message["usage"])
        return Call(_KIND, message["id"], message["model"], usage, place, agent, session_id, None, record["timestamp"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, InvalidInput):
        return None


def _output(call: Call) -> int:
    return (call.usage or {}).get("output_tokens", 0)
