"""Lines that give a session its title."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tests.ledger.transcript_lines import asked


def prompt(text: Any, **more: Any) -> dict[str, Any]:
    return asked(**more) | {"message": {"role": "user", "content": text}}


def titled(kind: str, title: str) -> dict[str, Any]:
    return {"type": f"{kind}-title", f"{kind}Title": title, "sessionId": "s1"}


FIRST = prompt("Fix the login test")


def compact(line: Mapping[str, Any]) -> bytes:
    """A line as clients write it, without blanks."""
    return orjson.dumps(line) + b"\n"
