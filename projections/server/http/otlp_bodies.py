"""Bodies of telemetry, decoded in bounded memory: what a few kilobytes inflate to is counted before it is decoded.

The limits are of elements: what becomes an object in memory, which a body of empty ones has millions of. They are
counted over the bytes, by the schema for protobuf and outside of strings for JSON, so that a body that has too many
costs no more than counting up to the limit.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, Final, cast

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message

from projections.server.http.problems import Refusal

__all__ = [
    "ELEMENTS_MAX",
    "SMALL_BYTES_MAX",
    "VALUES_MAX",
    "check_values",
    "count_elements",
    "decoded",
    "inflated",
    "is_small",
    "json_object",
]

SMALL_BYTES_MAX: Final = 64 * 1024
"""A body of so many bytes, inflated, takes little memory whatever it holds: any number are decoded at the same time.
Larger ones are decoded one at a time, which bounds the memory of all of them by the memory of one."""

VALUES_MAX: Final = 750_000
"""Of one JSON body: a collector's batch of 8,192 records of twenty attributes has some 700,000."""

ELEMENTS_MAX: Final = 500_000
"""Of one protobuf body: the same batch has some 350,000."""

_MEMBER: Final = b"\x1f\x8b\x08"
"""The start of a member of a gzip (RFC 1952); compressed bytes may look like a few more."""

_MEMBERS_MAX: Final = 1_000
"""Of one gzip: who compresses piece by piece writes a few."""

_UNCOUNTED_BYTES_MAX: Final = 256 * 1024
"""A body so short cannot have many elements: the least of JSON's is of two bytes, and of protobuf's, too."""

_RECORDS_AT_ONCE: Final = 500
_WINDOW_BYTES: Final = 256 * 1024
_BACKSLASH: Final = ord("\\")
_VARINT, _FIXED64, _DELIMITED, _GROUP, _GROUP_END, _FIXED32 = range(6)


def inflated(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """Return a body without its compression; a gzip of several members is read whole.

    Raises:
        Refusal: it is not what it says, is cut, has something else after it, or is too long.
    """
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", "send a body as it is, or gzip")
    try:
        if body.count(_MEMBER) not in range(1, _MEMBERS_MAX + 1):
            raise gzip.BadGzipFile("none, or too many members")
        found = gzip.GzipFile(fileobj=io.BytesIO(body)).read(bytes_max + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "encoding", f"the body is not a whole gzip: {error}") from None
    if len(found) > bytes_max:
        detail = f"a body may have {bytes_max:,} bytes once it is inflated; send several requests"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail)
    return found


def is_small(body: bytes, encoding: str) -> bool:
    """Whether a body is of at most `SMALL_BYTES_MAX` bytes, also inflated, or is refused before it is decoded."""
    if len(body) > SMALL_BYTES_MAX:
        return False
    try:
        inflated(body, encoding, SMALL_BYTES_MAX)
    except Refusal as refusal:
        return refusal.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return True


def check_values(text: bytes, most: int = VALUES_MAX) -> None:
    """Check that a JSON text has no more values than the limit.

    Raises:
        Refusal: it has more.
    """
    if len(text) <= _UNCOUNTED_BYTES_MAX:
        return
    if _values(text) > most and _values_outside_strings(text, most) > most:  # mostly the first is low enough
        raise _too_many(most)


def _values(text: bytes) -> int:
    """At least as many as a JSON text can hold, strings included that look like values."""
    return text.count(b"{") + text.count(b"[") + text.count(b",")


def _values_outside_strings(text: bytes, most: int) -> int:
    """The same, strings left out; window by window, since a text may have millions of strings."""
    count, at, inside = 0, 0, False
    while at < len(text) and count <= most:
        end = min(at + _WINDOW_BYTES, len(text))
        while end < len(text) and text[end - 1] == _BACKSLASH:
            end += 1  # no escape is cut in two
        pieces = text[at:end].replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        count += _values(b"".join(pieces[inside::2]))
        inside ^= len(pieces) % 2 == 0
        at = end
    return count


def decoded(body: bytes, message: Message, most: int = ELEMENTS_MAX) -> Iterator[dict[str, Any]]:
    """Yield a protobuf request as `MessageToDict` gives it, in requests of a few records each.

    Args:
        message: an empty request to export logs, metrics or spans.

    Raises:
        Refusal: it has more elements than the limit.
        ValueError: it is not such a message.
    """
    if len(body) > _UNCOUNTED_BYTES_MAX and count_elements(body, cast(Descriptor, message.DESCRIPTOR), most) > most:
        raise _too_many(most)
    try:
        message.ParseFromString(body)
        yield from _in_pieces(message)
    except (DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _in_pieces(message: Message) -> Iterator[dict[str, Any]]:
    """The records of each scope, some at a time; metrics of one scope belong together."""
    (of_resources,) = message.DESCRIPTOR.fields
    for of_resource in getattr(message, of_resources.name):
        resource = MessageToDict(of_resource.resource)
        scopes = next(field for field in of_resource.DESCRIPTOR.fields if field.name.startswith("scope_"))
        for of_scope in getattr(of_resource, scopes.name):
            scope = MessageToDict(of_scope.scope)
            records = next(field for field in of_scope.DESCRIPTOR.fields if field.name in _RECORDS)
            found = getattr(of_scope, records.name)
            step = len(found) if records.name == "metrics" else _RECORDS_AT_ONCE
            for start in range(0, len(found), max(1, step)):
                some = [MessageToDict(record) for record in found[start : start + step]]
                inner = {"scope": scope, records.json_name: some}
                yield {of_resources.json_name: [{"resource": resource, scopes.json_name: [inner]}]}


_RECORDS: Final = ("log_records", "metrics", "spans")


def count_elements(body: bytes, kind: Descriptor, most: int) -> int:
    """Return how many messages and repeated values a protobuf body holds; once it is more than `most`, at least that.

    What is no such message is counted up to where it breaks: the parser refuses it.
    """
    count = at = 0
    within: list[tuple[int, dict[int, Any]]] = []
    end, fields = len(body), _fields(kind)
    try:
        while count <= most:
            while at >= end:
                if not within:
                    return count
                end, fields = within.pop()
            tag, at = (body[at], at + 1) if body[at] < 0x80 else _varint(body, at)
            size, at = _size_of(body, at, tag & 7)
            if at + size > end:
                return count
            inner = fields.get(tag >> 3)
            if inner is _REPEATED or (inner is _PACKED and tag & 7 != _DELIMITED):
                count += 1
            elif inner is _PACKED:
                count += size  # each packed value is of one byte at least
            elif inner is not None:
                count += 1
                if size and tag & 7 == _DELIMITED:
                    within.append((end, fields))
                    end, fields = at + size, _fields(inner)
                    continue
            at += size
    except (IndexError, ValueError):
        pass
    return count


_REPEATED: Final = object()
"""A field that is a list of texts."""

_PACKED: Final = object()
"""A field that is a list of numbers."""


@cache
def _fields(kind: Descriptor) -> dict[int, Any]:
    """Of a kind of message, the fields that become objects, by number: the kind of each message, or what it lists."""
    found: dict[int, Any] = {}
    for field in kind.fields:
        if field.message_type is not None:
            found[field.number] = field.message_type
        elif _repeats(field):
            found[field.number] = _REPEATED if field.type in _TEXTS else _PACKED
    return found


def _repeats(field: Any) -> bool:
    """Whether a field is a list; protobuf 6 has a property for it, and protobuf 7 no longer the label."""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)


_TEXTS: Final = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint of more than ten bytes")


def _size_of(body: bytes, at: int, wire: int) -> tuple[int, int]:
    """How long the value of a field is, and where it begins."""
    if wire == _DELIMITED:
        return (body[at], at + 1) if body[at] < 0x80 else _varint(body, at)
    if wire == _VARINT:
        return _varint(body, at)[1] - at, at
    if wire in (_FIXED64, _FIXED32):
        return (8 if wire == _FIXED64 else 4), at
    if wire in (_GROUP, _GROUP_END):
        return 0, at
    raise ValueError("no wire type")


def _too_many(most: int) -> Refusal:
    detail = f"a body may have {most:,} values, and this one has more; send several requests"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-values", detail)


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object that a JSON body is.

    Raises:
        ValueError: it is none; the message says what it is.
        Refusal: it has more values than the limit.
    """
    check_values(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("the body is not a JSON object")
    return value
