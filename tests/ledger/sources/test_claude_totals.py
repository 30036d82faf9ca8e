"""What one process of Claude Code cost by its own results, compared with what the API charged for its calls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.sources.claude_totals import ResultLine, models_of, own_total, version_of
from ledger.sources.findings import Location

LOCATION = Location("log.jsonl", 1)
SONNET = "claude-sonnet-4-5-20250929"
RATE = 1_000
"""Nanodollars of each token of the model that these tests make up."""

calls = st.lists(st.integers(1, 10**6), min_size=1, max_size=4)


def usage(tokens: int) -> dict[str, int]:
    return {"input_tokens": tokens} if tokens else {}


def result(carried: int, own: int, turn: int, *, since: bool, main: int | None = None) -> ResultLine:
    """A result after `own` tokens of a process, `turn` since the last; its session had used `carried` before."""
    whole = carried + own
    models = {SONNET: (whole * RATE, usage(whole))}
    since_last = {SONNET: (turn * RATE, usage(turn))} if since else None
    return ResultLine(
        whole * RATE, models, since_last, usage(turn if main is None else main), recent=True, location=LOCATION
    )


@given(st.integers(0, 10**6), calls, st.booleans())
def test_a_process_that_says_what_each_result_added_is_exact_whatever_it_carried_over(
    carried: int, turns: list[int], resumed: bool
) -> None:
    carried = carried if resumed else 0
    results = [result(carried, sum(turns[: at + 1]), turn, since=True) for at, turn in enumerate(turns)]
    own = own_total(results, (2, 1, 332), [], SONNET)
    assert own is not None
    assert (own.nanousd, own.partial, own.carried_nanousd) == (sum(turns) * RATE, False, carried * RATE)


@given(st.integers(0, 10**6), calls, st.integers(0, 10**6))
def test_a_carried_total_is_never_more_than_the_process_cost_where_the_log_cannot_tell(
    carried: int, turns: list[int], helpers: int
) -> None:
    own_tokens = sum(turns) + helpers
    results = [
        result(carried, sum(turns[: at + 1]) + helpers, turn + helpers, since=False, main=turn)
        for at, turn in enumerate(turns)
    ]
    own = own_total(results, (2, 1, 277), [usage(turn) for turn in turns], SONNET)
    assert own is not None
    priced = sum(used.get("input_tokens", 0) * RATE for _, _, used in own.models)
    shown = priced if own.nanousd is None else own.nanousd
    assert shown <= own_tokens * RATE
    assert shown == own_tokens * RATE or own.partial
    if not carried and not helpers:
        assert (shown, own.partial) == (own_tokens * RATE, False)


@pytest.mark.parametrize(
    ("version", "nanousd", "partial"),
    [((2, 0, 76), 900, True), ((2, 1, 100), 900, True), (None, 900, True), ((2, 1, 276), 900, False)],
)
def test_before_totals_were_carried_on_a_process_is_its_highest_total(
    version: tuple[int, ...] | None, nanousd: int, partial: bool
) -> None:
    results = [ResultLine(total, {}, None, {}, recent=False, location=LOCATION) for total in (500, 900)]
    own = own_total(results, version, [], SONNET)
    assert own is not None
    assert (own.nanousd, own.partial) == (nanousd, partial)


def test_a_process_without_a_result_has_no_total() -> None:
    assert own_total([], (2, 1, 332), [usage(5)], SONNET) is None


def test_a_model_with_its_long_context_is_the_model() -> None:
    used: dict[str, Any] = {"inputTokens": 3, "outputTokens": 1, "costUSD": 0.25}
    assert models_of({f"{SONNET}[1m]": used, SONNET: used})[SONNET][0] == 500_000_000


@pytest.mark.parametrize(("text", "numbers"), [("2.1.332", (2, 1, 332)), ("2.1", None), (7, None), ("2.1.x", None)])
def test_versions(text: object, numbers: tuple[int, ...] | None) -> None:
    assert version_of(text) == numbers
