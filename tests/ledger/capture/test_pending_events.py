from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest

from ledger import Event, MemoryStore, Receipt, cost_observed
from ledger.capture.pending_events import PendingEvents, in_thread
from ledger.errors import CostledgerError


class Refusing(MemoryStore):
    """A store that refuses appends while it is `away`."""

    away = False

    def append(self, events: Sequence[Event], *, expected_seq: int | None = None) -> list[Receipt]:
        if self.away:
            raise CostledgerError("the disk is full")
        return super().append(events, expected_seq=expected_seq)


def costs(store: MemoryStore) -> list[str]:
    return [line["cost_usd"] for line in store.read("w") if "cost_usd" in line]


def test_events_stay_in_order_until_the_ledger_has_them(caplog: pytest.LogCaptureFixture) -> None:
    store = Refusing()
    pending = PendingEvents(store)
    pending.append(cost_observed("w", cost_usd="1"))
    store.away = True
    pending.append(cost_observed("w", cost_usd="2"))
    pending.append(cost_observed("w", cost_usd="3"))
    assert "2 charges of workflow 'w' wait: the disk is full" in caplog.text
    with pytest.raises(CostledgerError, match="the disk is full") as raised:
        pending.flush()
    assert raised.value.__notes__ == ["2 charges of tracked calls are not in the ledger"]
    store.away = False
    pending.append(cost_observed("w", cost_usd="4"))
    assert costs(store) == ["1.00", "2.00", "3.00", "4.00"]


@pytest.mark.parametrize(
    ("again", "level"),
    [
        ({"cost_usd": "1", "observed_at": "2026-01-02T00:00:00Z"}, logging.DEBUG),
        ({"cost_usd": "1", "agent": "build"}, logging.WARNING),
        ({"cost_usd": "2"}, logging.ERROR),
    ],
)
def test_a_charge_whose_id_is_taken_is_left_out_and_holds_up_nothing(
    again: dict[str, str], level: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    pending = PendingEvents(store)
    pending.append(cost_observed("w", cost_usd="1", id="a"))
    with caplog.at_level(logging.DEBUG, "costledger"):
        pending.append(cost_observed("w", id="a", **again))  # type: ignore[arg-type]
    assert [record.levelno for record in caplog.records] == [level]
    pending.append(cost_observed("w", cost_usd="5"))
    assert costs(store) == ["1.00", "5.00"]


def test_work_ends_although_its_caller_is_cancelled() -> None:
    done, begins = threading.Event(), threading.Event()

    def work() -> None:
        begins.set()
        done.wait(5)

    async def cancelled() -> None:
        task = asyncio.create_task(in_thread(work))
        await asyncio.to_thread(begins.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        done.set()

    asyncio.run(cancelled())
    assert done.is_set()


def test_without_a_loop_work_runs_at_once() -> None:
    work = in_thread(threading.get_ident)
    with pytest.raises(StopIteration) as ended:
        work.send(None)
    assert ended.value.value == threading.get_ident()
