"""JSON as the CLI and the server write it: fast, and exact for sums above 64 bits."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson

__all__ = ["json_bytes"]


def json_bytes(value: object, *, indented: bool = False) -> bytes:
    """Return a value as JSON.

    `orjson` refuses integers above 64 bits, which no row holds, and a sum of many rows may: the standard library
    writes those.
    """
    option = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indented else 0)
    try:
        return orjson.dumps(value, option=option, default=str)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, default=_plain, indent=2 if indented else None).encode()


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
