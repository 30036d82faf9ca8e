"""Chains that verify, with content that no append of this version makes: of older versions, or of another's making."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from ledger.storage.line import chain_hash, following, seed

__all__ = ["ORIGIN", "forged", "forged_after", "put"]

ORIGIN = "0123456789abcdef0123456789abcdef"


def forged(workflow_id: str, *events: dict[str, Any], opening: dict[str, Any] | None = None) -> bytes:
    """Return the bytes of a ledger whose chain verifies.

    Args:
        events: the fields of each line but `v`, `seq` and `hash`; None takes a field away.
        opening: what the first line says in addition to, or in place of, what ours says.
    """
    first: dict[str, Any] = {"type": "ledger_opened", "format": 1, "origin": ORIGIN} | (opening or {})
    return b"".join(_chained(workflow_id, [first, *events], 0, seed(workflow_id, first["origin"])))


def forged_after(seq: int, digits: str, workflow_id: str, *events: dict[str, Any]) -> list[bytes]:
    """Return lines that follow the one of this `seq` and hash."""
    return list(_chained(workflow_id, events, seq, following(digits)))


def _chained(workflow_id: str, events: Sequence[dict[str, Any]], seq: int, before: bytes) -> Iterator[bytes]:
    for number, event in enumerate(events, seq + 1):
        fields = {
            "v": 1,
            "seq": number,
            "id": f"{workflow_id}-{number}",
            "type": "cost_observed",
            "workflow_id": workflow_id,
            "recorded_at": f"2026-11-23T18:33:{number % 60:02d}.000000Z",
        } | event
        given = {name: value for name, value in fields.items() if value is not None}
        body = orjson.dumps(given)[:-1] + b',"hash":"'
        digits = chain_hash(before, body)
        yield body + digits.encode() + b'"}\n'
        before = following(digits)


def put(data: Path, workflow_id: str, *events: dict[str, Any], opening: dict[str, Any] | None = None) -> Path:
    """Write a forged ledger into a data directory."""
    path = data / "ledgers" / f"{workflow_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(forged(workflow_id, *events, opening=opening))
    return path
