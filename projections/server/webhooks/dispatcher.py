"""Webhooks: messages are collected as rows change, and sent to each endpoint until it has taken them.

At least once, and in order for each workflow. An endpoint has taken a message when it answers with a status from 200 to
299 in time; everything else is tried again, each pause twice as long as the one before, and given up after the
configured number of attempts; such a message is stored, and can be sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Final, TypeVar

from ledger.errors import CostledgerError
from projections.documents.webhooks import (
    DeadLetterDocument,
    EndpointDocument,
    dead_letter_document,
    endpoint_document,
)
from projections.server.background.metrics import Metrics
from projections.server.background.row_refresher import RowRefresher
from projections.server.service.service import Service
from projections.server.webhooks.collector import MessageCollector
from projections.server.webhooks.endpoints import Endpoint
from projections.server.webhooks.http_client import NotSent, WebhookClient
from projections.server.webhooks.outbox import Delivery, Outbox
from projections.server.webhooks.slack import slack_body

__all__ = ["WebhookDispatcher"]

T = TypeVar("T")

_log = logging.getLogger("costledger")

_AT_ONCE: Final = 8
"""Attempts under way to one endpoint."""

_LOOK_SECONDS: Final = 2.0
"""How often to look without a wake-up: for damage, and for messages that another process sends again."""

_PAUSE_SECONDS_MAX: Final = 12 * 3600.0


class WebhookDispatcher:
    """The webhooks of a service, in its event loop."""

    def __init__(
        self, service: Service, endpoints: Sequence[Endpoint], refresher: RowRefresher, metrics: Metrics
    ) -> None:
        self._service, self.endpoints, self._refresher, self._metrics = service, endpoints, refresher, metrics
        self._clients: dict[str, WebhookClient] = {}
        self._pool = ThreadPoolExecutor(1, "webhooks")  # an outbox is not for two threads at once
        self._outbox: Outbox | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self._due = {endpoint.id: asyncio.Event() for endpoint in self.endpoints}

    async def start(self) -> None:
        """Start to send messages of what happens from now on; nothing to do without an endpoint.

        Raises:
            HistoryUnavailable: the outbox cannot be used.
        """
        if self.endpoints:
            self._loop = asyncio.get_running_loop()
            outbox = self._outbox = await self._ask(lambda: Outbox(self._service.settings.data))
            collector = MessageCollector(outbox, self._service, self._refresher, self.endpoints)
            await self._ask(collector.start)
            self._tasks.append(asyncio.create_task(self._run(outbox, collector)))

    def wake(self) -> None:
        """Look for new messages."""
        self._woken.set()

    async def stop(self) -> None:
        """Stop; messages under way are sent again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients.values():
            await client.close()
        if self._outbox is not None:
            await self._ask(self._outbox.close)
        self._pool.shutdown()

    def state(self) -> list[EndpointDocument]:
        """Return each endpoint and its deliveries; waits for the outbox.

        Raises:
            HistoryUnavailable: the outbox cannot be used.
        """
        outbox = self._outbox
        if outbox is None:
            return []
        tallies = self._pool.submit(lambda: [outbox.tally(endpoint.id) for endpoint in self.endpoints]).result()
        return [
            endpoint_document(endpoint.id, endpoint.host, endpoint.config.events, tally)
            for endpoint, tally in zip(self.endpoints, tallies, strict=True)
        ]

    def dead_letters(self) -> list[DeadLetterDocument]:
        """Return the messages that were given up; waits for the outbox."""
        outbox = self._outbox
        letters = [] if outbox is None else self._pool.submit(outbox.dead_letters).result()
        return [dead_letter_document(letter) for letter in letters]

    def resend(self, id: str) -> list[str]:
        """Send a message that was given up again; return its endpoints. Waits for the outbox."""
        outbox = self._outbox
        if outbox is None:
            return []
        endpoints = self._pool.submit(lambda: outbox.resend(id, time.time())).result()
        self._loop.call_soon_threadsafe(self._deliver_now)
        return endpoints

    def _deliver_now(self) -> None:
        for due in self._due.values():
            due.set()

    async def _ask(self, question: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, question)

    async def _run(self, outbox: Outbox, collector: MessageCollector) -> None:
        async with asyncio.TaskGroup() as group:
            for endpoint in self.endpoints:
                group.create_task(self._deliver(outbox, endpoint))
            while True:
                self._woken.clear()
                try:
                    if await self._ask(collector.collect):
                        self._deliver_now()
                except CostledgerError as error:
                    _log.error("webhooks: %s", error)
                except Exception:
                    _log.exception("webhooks: messages could not be collected")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), _LOOK_SECONDS)

    async def _deliver(self, outbox: Outbox, endpoint: Endpoint) -> None:
        while True:
            self._due[endpoint.id].clear()
            try:
                due = await self._ask(lambda: outbox.due(endpoint.id, time.time(), _AT_ONCE))
                if due:
                    await asyncio.gather(*(self._send(outbox, endpoint, delivery) for delivery in due))
                    continue
                at = await self._ask(lambda: outbox.next_due_at(endpoint.id))
                wait = _LOOK_SECONDS if at is None else min(max(at - time.time(), 0.0), _LOOK_SECONDS)
            except CostledgerError as error:
                _log.error("webhooks: %s", error)
                wait = _LOOK_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due[endpoint.id].wait(), wait)

    async def _send(self, outbox: Outbox, endpoint: Endpoint, delivery: Delivery) -> None:
        problem = await self._attempt(endpoint, delivery)
        now, config = time.time(), endpoint.config
        if problem is None:
            self._metrics.deliveries.labels(endpoint.id, "taken").inc()
            await self._ask(lambda: outbox.taken(delivery, now))
            return
        attempts = delivery.attempts + 1
        given_up = attempts >= config.attempts
        pause = min(config.retry_seconds * 2.0 ** (attempts - 1), _PAUSE_SECONDS_MAX) * random.uniform(0.75, 1.25)
        again_at = None if given_up else now + pause
        outcome = "given up" if given_up else "failed"
        self._metrics.deliveries.labels(endpoint.id, outcome.replace(" ", "_")).inc()
        _log.warning("webhook %s to %s %s: %s", delivery.message.id, endpoint.host, outcome, problem)
        await self._ask(lambda: outbox.failed(delivery, problem, again_at=again_at, now=now))

    async def _attempt(self, endpoint: Endpoint, delivery: Delivery) -> str | None:
        """Send a message; return why it was not taken, or None."""
        message, moment = delivery.message, datetime.now(UTC)
        text = slack_body(message.body) if endpoint.config.format == "slack" else message.body
        headers = {
            "content-type": "application/json",
            "user-agent": f"costledger/{version('costledger')}",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(moment.timestamp())),
        }
        if endpoint.signer is not None:
            headers["webhook-signature"] = endpoint.signer.sign(message.id, moment, text)
        try:
            if endpoint.id not in self._clients:
                to = WebhookClient(endpoint.config.url, allow_private=endpoint.config.allow_private)
                self._clients[endpoint.id] = to
            client, seconds = self._clients[endpoint.id], endpoint.config.timeout_seconds
            status = await client.post(text.encode(), headers, seconds)
        except NotSent as error:
            return str(error)
        except Exception as error:
            _log.exception("webhooks: %s could not be asked", endpoint.host)
            return f"{type(error).__name__}; the log has more"
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        redirect = ", and redirects are not followed" if HTTPStatus.MULTIPLE_CHOICES <= status < 400 else ""
        return f"answered with {status}{redirect}"
