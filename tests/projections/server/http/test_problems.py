from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import errors
from ledger.errors import CostledgerError, DamagedLedger, UnknownWorkflow
from projections.server.http.problems import (
    MEDIA_TYPE,
    PROTOBUF,
    Refusal,
    from_within,
    problem_of,
    refused,
    response_to,
)

DATA = Path("/srv/costs")


def asked(path: str = "/api/events", content_type: str = "application/json") -> Any:
    app = SimpleNamespace(state=SimpleNamespace(service=SimpleNamespace(settings=SimpleNamespace(data=DATA))))
    return {"type": "http", "app": app, "path": path, "headers": [(b"content-type", content_type.encode())]}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (UnknownWorkflow("w", "the ledgers"), 404, "unknown-workflow"),
        (DamagedLedger(DATA / "ledgers" / "w.jsonl", 2, 90, "is cut"), 409, "damaged-ledger"),
        (errors.InvalidEvent("agent", "expected text"), 422, "invalid-event"),
        (Refusal(HTTPStatus.FORBIDDEN, "scope", "no"), 403, "scope"),
        (OSError(24, "too many"), 503, "too-few-descriptors"),
        (ZeroDivisionError("secret"), 500, "unexpected"),
    ],
)
def test_each_error_is_a_problem_with_its_status_and_names_no_folder(error: Exception, status: int, kind: str) -> None:
    answer = response_to(error, asked())
    problem = json.loads(bytes(answer.body))
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem["type"] == f"urn:costledger:problem:{kind}"
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert "/srv" not in problem["detail"]
    assert "secret" not in problem["detail"]
    assert ("retry-after" in answer.headers) is (status == 503)


def test_an_exporter_gets_a_status_in_the_encoding_of_its_request() -> None:
    error = CostledgerError("x" * 300)
    assert json.loads(bytes(response_to(error, asked("/v1/logs")).body)) == {"message": "x" * 300}
    answer = response_to(error, asked("/v1/logs", f"{PROTOBUF}; charset=x"))
    from google.protobuf.descriptor_pb2 import FileDescriptorProto  # its field 2 is a string as well

    assert FileDescriptorProto.FromString(bytes(answer.body)).package == "x" * 300


@given(st.sampled_from(["costs/w.jsonl", "x --data {} origin", "{}/ledgers/w.jsonl", "{} was copied"]))
def test_a_message_names_files_relative_to_the_data_directory(text: str) -> None:
    assert "/srv" not in from_within(text.format(DATA), DATA)


def test_a_refused_connection_gets_a_whole_response() -> None:
    refusal = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too-many", "try again")
    head, _, body = refused(refusal).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body) == problem_of(refusal, {})
