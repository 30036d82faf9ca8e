from __future__ import annotations

from typing import Any

import pytest

from ledger.replication.nats.stream import STREAM, differences, made


def test_a_stream_as_it_was_made_has_no_difference_and_other_settings_are_the_operators() -> None:
    assert differences(STREAM, made(STREAM, 3), 3) == []
    assert differences(STREAM, {**made(STREAM, 3), "max_bytes": 10**9, "compression": "s2"}, None) == []


@pytest.mark.parametrize("unlimited", [None, 0, -1])
def test_a_limit_that_is_absent_is_no_limit(unlimited: int | None) -> None:
    found = {**STREAM, "max_age": unlimited, "max_msgs": unlimited}
    assert differences(STREAM, found, None) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("max_age", 3600, "has max_age 3600, and needs 0"),
        ("discard", "old", 'has discard "old", and needs "new"'),
        ("deny_delete", False, "has deny_delete false, and needs true"),
        ("num_replicas", 1, "has num_replicas 1, and needs 3 (if so few are meant: --copies 1)"),
    ],
)
def test_a_setting_that_would_lose_lines_is_named_with_both_values(name: str, value: Any, sentence: str) -> None:
    assert differences(STREAM, {**made(STREAM, 3), name: value}, 3) == [f"stream 'costledger' {sentence}"]
