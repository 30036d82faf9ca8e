from __future__ import annotations

import asyncio

from projections.server.background.change_feed import ChangeFeed, RowChange


def change(number: int) -> RowChange:
    return RowChange(number, "w", None)


def test_each_subscriber_gets_what_comes_after_it_subscribed_in_order() -> None:
    async def run() -> None:
        feed = ChangeFeed()
        early = feed.subscribe()
        feed.publish([change(1)])
        late = feed.subscribe()
        feed.publish([change(2), change(3)])
        assert [*await early.changes(), *await early.changes()] == [change(1), change(2), change(3)]
        assert await late.changes() == [change(2), change(3)]
        feed.unsubscribe(late)
        assert len(feed) == 1

    asyncio.run(run())


def test_a_slow_subscriber_is_dropped_and_the_others_go_on() -> None:
    async def run() -> None:
        feed = ChangeFeed()
        slow, quick = feed.subscribe(), feed.subscribe()
        for number in range(1001):
            feed.publish([change(number)])
            assert await quick.changes() == [change(number)]
        assert (slow.lost, quick.lost, len(feed)) == (True, False, 1)

    asyncio.run(run())


def test_a_close_ends_every_wait() -> None:
    async def run() -> None:
        feed = ChangeFeed()
        waits = [asyncio.create_task(feed.subscribe().changes()) for _ in range(2)]
        await asyncio.sleep(0)
        feed.close()
        assert await asyncio.gather(*waits) == [(), ()]

    asyncio.run(run())
