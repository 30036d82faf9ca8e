from __future__ import annotations

import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from projections.server.http.json_response import Entries, answer


@given(st.integers(1, 5), st.lists(st.dictionaries(st.text(max_size=3), st.integers()), max_size=8))
def test_a_page_has_the_first_entries_up_to_its_limit_as_they_are(limit: int, entries: list[dict[str, int]]) -> None:
    page = Entries(limit)
    for seq, entry in enumerate(entries, 1):
        if page.full:
            break
        page.add(seq, entry)
    taken = min(limit, len(entries))
    assert json.loads(bytes(answer({"events": page.json}).body)) == {"events": entries[:taken]}
    assert page.last_seq == (taken or None)
    assert page.full == (len(entries) >= limit)


def test_a_page_ends_early_when_its_entries_are_large_and_has_one_at_least() -> None:
    page = Entries(500)
    assert not page.full
    page.add(1, "x" * (9 * 1024 * 1024))
    assert page.full
    assert len(page.json) == 1


def test_an_answer_is_json_with_its_status_and_headers() -> None:
    made = answer({"total": 2**70}, 201, {"Location": "/x"})
    assert (made.status_code, made.headers["location"], made.media_type) == (201, "/x", "application/json")
    assert json.loads(bytes(made.body)) == {"total": 2**70}
    assert orjson.loads(bytes(answer([]).body)) == []
