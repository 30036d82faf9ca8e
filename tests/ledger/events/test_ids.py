from __future__ import annotations

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from ledger.events.event import cost_observed
from ledger.events.ids import digest

parts = st.lists(st.text(st.characters(exclude_characters="\x1f", exclude_categories=()), max_size=8), max_size=4)


@given(parts, parts)
def test_only_the_same_parts_have_the_same_id_and_an_event_takes_it(one: list[str], other: list[str]) -> None:
    assert (digest("kind", *one) == digest("kind", *other)) == (one == other)
    assert re.fullmatch("[0-9a-f]{32}", digest(*one))
    assert cost_observed("w", cost_usd="1", id=digest(*one)).id == digest(*one)


def test_the_digest_is_the_one_of_ledgers_that_exist() -> None:
    assert digest("claude", 7, None) == hashlib.sha256(b"claude\x1f7\x1fNone").hexdigest()[:32]
