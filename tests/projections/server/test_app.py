"""The OpenAPI document holds: whatever is asked, the answer is one that it describes, and no error of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from projections.server.app import EXAMPLES
from tests.projections.server.conftest import Here

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    server = Here(tmp_path_factory.mktemp("openapi") / "data")
    server.ledgers.append([workflow_started("a5b80595", issue_number=17, budget_usd="1", project="p")])
    server.ledgers.append([cost_observed("a5b80595", cost_usd="2.37", agent="plan", model="opus", session_id="s")])
    server.ledgers.append([cost_observed("a5b80595", model="mystery", usage={"output_tokens": 5})])
    server.ledgers.append([workflow_ended("a5b80595", "failed", error_message="Disk full")])
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    yield schema
    server.stop()


def test_each_example_is_an_answer_of_its_shape(api: schemathesis.BaseSchema) -> None:
    found: dict[str, Any] = {}
    for path, methods in api.raw_schema["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                content = answer.get("content", {}).get("application/json", {})
                if "example" in content:
                    jsonschema_rs.validate(api.raw_schema | content["schema"], content["example"])
                    found[f"{method} {path} {status}"] = content["example"]
    assert set(found) == set(json.loads(EXAMPLES.read_bytes()))
    assert len(found) >= 15
    assert found["get /api/workflow-history/{adw_id} 200"]["actual_cost_total"] == "2.37"


def test_every_answer_is_one_that_the_document_describes(api: schemathesis.BaseSchema) -> None:
    asked, failed = [], []
    operations = [found.ok() for found in api.get_all_operations() if isinstance(found, Ok)]
    for operation, mode in product(operations, schemathesis.GenerationMode):
        if operation.path == "/api/stream":
            continue  # it has no end; test_stream reads it

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=15,
            phases=[Phase.explicit, Phase.generate],
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case[Any]) -> None:
            case.headers.pop("Authorization", None)  # test_access has wrong tokens
            case.cookies.clear()
            case.call_and_validate(checks=_CHECKS)

        asked.append(operation.label)
        try:
            ask()
        except Unsatisfiable:
            continue  # nothing that is sent there is wrong
        except BaseExceptionGroup as errors:
            failed += [f"{operation.label}: {error}" for error in errors.exceptions]
    assert not failed, "\n".join(failed)
    assert len(set(asked)) > 15
