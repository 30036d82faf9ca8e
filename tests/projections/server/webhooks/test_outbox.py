from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.server.webhooks.outbox import NO_DELIVERIES, Outbox, WebhookMessage


def put(outbox: Outbox, number: int, adw_id: str, *endpoints: str) -> None:
    with outbox.transaction():
        outbox.put(WebhookMessage(f"msg_{number}", "cost.updated", adw_id, f"{number}"), endpoints, 0.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("wv"), st.sampled_from([("a",), ("a", "b")])), max_size=6), st.data())
def test_each_endpoint_takes_the_messages_of_a_workflow_in_order_and_once(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[str, tuple[str, ...]]], data: st.DataObject
) -> None:
    expected, taken = defaultdict(list), defaultdict(list)
    with closing(Outbox(tmp_path_factory.mktemp("data"))) as outbox:
        for number, (adw_id, endpoints) in enumerate(messages):
            put(outbox, number, adw_id, *endpoints)
            for endpoint in endpoints:
                expected[endpoint, adw_id].append(f"{number}")
        now = 1.0
        while due := [one for endpoint in "ab" for one in outbox.due(endpoint, now, 10)]:
            assert len({(one.endpoint, one.message.adw_id) for one in due}) == len(due)
            one = data.draw(st.sampled_from(due))
            if one.attempts < 2 and data.draw(st.booleans()):
                outbox.failed(one, "refused", again_at=now + 1, now=now)
            else:
                outbox.taken(one, now)
                taken[one.endpoint, one.message.adw_id].append(one.message.body)
            now += 2
        assert outbox.next_due_at("a") is outbox.next_due_at("b") is None
        assert taken == expected
        assert outbox.tally("a")["delivered"] == sum("a" in endpoints for _, endpoints in messages)


def test_a_message_that_is_given_up_lets_the_next_go_and_can_be_sent_again(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as outbox:
        for number in (1, 2):
            put(outbox, number, "w", "a")
        (first,) = outbox.due("a", 1.0, 10)
        outbox.failed(first, "gone", again_at=None, now=1.0)
        assert [one.message.id for one in outbox.due("a", 1.0, 10)] == ["msg_2"]
        assert [(one["id"], one["last_error"]) for one in outbox.dead_letters()] == [("msg_1", "gone")]
        assert (outbox.tally("a")["pending"], outbox.tally("a")["dead"]) == (1, 1)
        assert outbox.resend("msg_1", 2.0) == ["a"]
        assert outbox.resend("msg_1", 2.0) == []
        assert outbox.dead_letters() == []


def test_a_transaction_that_fails_stores_neither_a_note_nor_a_message(tmp_path: Path) -> None:
    def interrupted(outbox: Outbox) -> None:
        with outbox.transaction():
            outbox.set_note("audit", [7, "mark"])
            outbox.put(WebhookMessage("m", "cost.updated", "w", "{}"), ["a"], 0.0)
            raise ValueError("stop")

    with closing(Outbox(tmp_path)) as outbox:
        with pytest.raises(ValueError, match="stop"):
            interrupted(outbox)
        assert outbox.note("audit") is None
        assert outbox.due("a", 1.0, 10) == []
        assert outbox.tally("a") == NO_DELIVERIES


def test_notes_are_there_after_a_restart_and_the_last_one_counts(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as outbox, outbox.transaction():
        outbox.set_note("audit", [7, "mark"])
        outbox.set_note("audit", [8, "mark"])
    with closing(Outbox(tmp_path)) as outbox:
        assert outbox.note("audit") == [8, "mark"]
