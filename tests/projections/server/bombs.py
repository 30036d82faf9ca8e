"""Bodies that are small on the wire and large in memory, and what a server's process has had in memory at most."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["bombs", "peak_megabytes"]

_SIZE: Final = 16 * 1024 * 1024 - 64
_JSON: Final = {"content-type": "application/json"}
_PROTOBUF: Final = {"content-type": "application/x-protobuf"}
_GZIP: Final = {"content-encoding": "gzip"}


def _varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
    return found + bytes([number])


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _filled(piece: bytes, size: int = _SIZE) -> bytes:
    return piece * (size // len(piece))


def _listed(piece: bytes) -> bytes:
    return b"[" + _filled(piece + b",", _SIZE - 256)[:-1] + b"]"


def _request(*levels: int, piece: bytes) -> bytes:
    """A protobuf message of these nested fields, the innermost filled with a piece."""
    value = _filled(piece, _SIZE - 256)
    for number in reversed(levels):
        value = _field(number, value)
    return value


_CALL: Final = (
    b'{"attributes":[{"key":"event.name","value":{"stringValue":"claude_code.api_request"}}],'
    b'"body":{"stringValue":"claude_code.api_request"}}'
)


@cache
def bombs() -> dict[str, tuple[str, bytes, dict[str, str]]]:
    """Return path, body and headers by name; those of telemetry are sent as gzip, too, of some kilobytes."""
    plain = _above_the_limits() | _below_the_limits()
    packed = {
        f"{name}, as gzip": (path, gzip.compress(body, 9), headers | _GZIP)
        for name, (path, body, headers) in plain.items()
        if path.startswith("/v1/")
    }
    return plain | packed | {"a gzip of many members": ("/v1/logs", gzip.compress(b"") * 500_000, _JSON | _GZIP)}


def _above_the_limits() -> dict[str, tuple[str, bytes, dict[str, str]]]:
    return {
        "protobuf log records": ("/v1/logs", _request(1, 2, piece=b"\x12\x00"), _PROTOBUF),
        "protobuf resources": ("/v1/logs", _filled(b"\x0a\x00"), _PROTOBUF),
        "protobuf attributes": ("/v1/logs", _request(1, 2, 2, piece=b"\x32\x00"), _PROTOBUF),
        "protobuf values in a list": ("/v1/traces", _request(1, 2, 2, 9, 2, 5, piece=b"\x0a\x00"), _PROTOBUF),
        "protobuf buckets": ("/v1/metrics", _request(1, 2, 2, 9, 1, 6, piece=b"\x01" * 8), _PROTOBUF),
        "protobuf of one attribute a record": ("/v1/logs", _request(1, 2, piece=b"\x12\x02\x32\x00"), _PROTOBUF),
        "JSON log records": (
            "/v1/logs",
            b'{"resourceLogs":[{"scopeLogs":[{"logRecords":%b}]}]}' % _listed(b"{}"),
            _JSON,
        ),
        "JSON lists": ("/v1/logs", b'{"x":%b}' % _listed(b"[]"), _JSON),
        "JSON numbers": ("/v1/logs", b'{"x":%b}' % _listed(b"0.5"), _JSON),
        "JSON keys": ("/v1/metrics", b"{%b}" % b",".join(b'"%x":0' % n for n in range(1_400_000)), _JSON),
        "events of nothing": ("/api/events", _listed(b"{}"), _JSON),
        "events of decimals": ("/api/events", _listed(b"0.5"), _JSON),
        "events of lists": ("/api/events", _listed(b"[]"), _JSON),
        "an event of decimals": ("/api/events", b'{"type":"cost_observed","x":%b}' % _listed(b"0.5"), _JSON),
        "lines of nothing": ("/api/events", _filled(b"1\n"), {"content-type": "application/x-ndjson"}),
        "empty lines": ("/api/events", _filled(b"\n"), {"content-type": "application/x-ndjson"}),
    }


def _below_the_limits() -> dict[str, tuple[str, bytes, dict[str, str]]]:
    return {
        "below the limit: protobuf log records": ("/v1/logs", _field(1, _field(2, b"\x12\x00" * 499_000)), _PROTOBUF),
        "below the limit: JSON log records": (
            "/v1/logs",
            b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%b]}]}]}' % b",".join([b"{}"] * 374_000),
            _JSON,
        ),
        "below the limit: calls that are refused": (
            "/v1/logs",
            b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%b]}]}]}' % b",".join([_CALL] * 83_000),
            _JSON,
        ),
        "below the limit: an event of decimals": (
            "/api/events",
            b'{"type":"cost_observed","x":[%b]}' % b",".join([b"0.5"] * 499_000),
            _JSON,
        ),
        "below the limit: events that are refused": ("/api/events", b"[%b]" % b",".join([b'{"a":0}'] * 10_000), _JSON),
    }


def peak_megabytes(pid: int) -> float:
    """What a process has had in memory at most, in MB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
