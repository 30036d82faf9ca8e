"""A conversation of OpenHands while it is written: at any moment the sum of its costs, and never more."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import readings

CALLS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6)
"""Of each call, whether it has a price, and whether it names tokens."""


def state(calls: list[tuple[bool, bool]], *, begun: bool) -> str:
    """A conversation after some calls; of the last one only the cost when it has begun."""
    costs = [
        {"model": "gpt-4o", "cost": 2.0**at, "timestamp": 1767225600.0 + at}
        for at, (priced, _) in enumerate(calls)
        if priced
    ]
    done = calls[:-1] if begun else calls
    usages = [
        {"model": "gpt-4o", "prompt_tokens": 1000 + at, "completion_tokens": 10, "response_id": f"r-{at}"}
        for at, (_, has_tokens) in enumerate(done)
        if has_tokens
    ]
    metrics = {"accumulated_cost": 1.0, "costs": costs, "token_usages": usages}
    return json.dumps({"id": "c-1", "stats": {"usage_to_metrics": {"agent": metrics}}})


@given(calls=CALLS.filter(lambda calls: all(tokens for _, tokens in calls)), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_conversation_costs_the_sum_of_its_costs_whenever_it_was_read(
    calls: list[tuple[bool, bool]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, store = Path(folder, "base_state.json"), DirectoryStore(Path(folder, "data"), durability="none")
        for many in sorted(data.draw(st.sets(st.integers(1, len(calls))))):
            file.write_text(state(calls[:many], begun=data.draw(st.booleans())))
            import_source(store, "openhands", file)
        file.write_text(state(calls, begun=False))
        import_source(store, "openhands", file)
        named = [line for line in readings(store).values() if line.get("cost_source") == "reported"]
        assert sum(Decimal(line["cost_usd"]) for line in named) == sum(
            2**at for at, (priced, _) in enumerate(calls) if priced
        )
        assert len(readings(store)) <= len(calls)


@given(calls=CALLS)
@settings(max_examples=20, deadline=None)
def test_costs_of_calls_that_name_no_tokens_count_too(calls: list[tuple[bool, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, store = Path(folder, "base_state.json"), DirectoryStore(Path(folder, "data"), durability="none")
        file.write_text(state(calls, begun=False))
        import_source(store, "openhands", file)
        named = [line for line in readings(store).values() if line.get("cost_source") == "reported"]
        assert sum(Decimal(line["cost_usd"]) for line in named) == sum(
            2**at for at, (priced, _) in enumerate(calls) if priced
        )
