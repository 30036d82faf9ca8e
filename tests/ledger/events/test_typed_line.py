from __future__ import annotations

from typing import Any

import orjson
import pytest

from ledger.events.typed_line import UsageCounts, as_mapping, decoded, typed

LINE: dict[str, Any] = {
    "v": 1,
    "seq": 2,
    "id": "e",
    "type": "cost_observed",
    "workflow_id": "w",
    "recorded_at": "2026-11-23T18:33:01.123456Z",
    "cost_usd": "0.09",
    "usage": {"input_tokens": 5, "of_another_version": 1},
    "of_another_version": {"any": ["thing"]},
    "hash": "0" * 64,
}


def test_a_line_is_decoded_to_the_fields_that_are_folded() -> None:
    found = decoded(orjson.dumps(LINE) + b"\n")
    assert found is not None
    assert found[0].usage == UsageCounts(input_tokens=5)
    assert (found[0].cost_usd, found[0].agent, found[0].hash) == ("0.09", None, "0" * 64)


def test_a_mapping_has_the_same_fields_with_values_of_any_type() -> None:
    line = typed(LINE | {"usage": ["odd"]})
    assert as_mapping(line) == {n: v for n, v in LINE.items() if n != "of_another_version"} | {"usage": ["odd"]}


@pytest.mark.parametrize(
    "bad",
    [
        {"usage": {"input_tokens": -1}},
        {"usage": {"input_tokens": 2**63}},
        {"usage": {"input_tokens": 1.0}},
        {"usage": []},
        {"v": True},
        {"id": 7},
    ],
)
def test_values_of_other_types_are_left_to_a_mapping(bad: dict[str, Any]) -> None:
    assert decoded(orjson.dumps(LINE | bad)) is None


def test_what_is_no_text_or_no_json_is_not_decoded() -> None:
    assert decoded(b'{"of_another_version":"\xff",' + orjson.dumps(LINE)[1:]) is None
    assert decoded(b"{\n") is None
