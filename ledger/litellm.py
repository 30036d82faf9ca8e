"""LiteLLM: a callback that charges every call it makes (https://docs.litellm.ai/docs/observability/custom_callback).

LiteLLM calls it once per finished call, for a stream with the whole answer, and sometimes twice for an asynchronous
one: the second is the same event. Its own `response_cost` is not taken: calls are priced as everywhere else, by the
named price book, so that one model has one price in a ledger.

Seen in litellm 1.110 (`logging_callback_manager`): what stood in `litellm.callbacks` at any call stays in lists that
last as long as the process and hold 30 callbacks; of two of a class, the second is dropped unless a public attribute
that is text or a number tells them apart. So ours have one, and leave those lists when their workflow has ended.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final

from ledger.errors import MissingExtra
from ledger.responses import of
from ledger.workflows import Workflow

__all__ = ["LISTS", "litellm_callback"]

LISTS: Final = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
"""Where LiteLLM keeps its callbacks."""
_numbers: Final = itertools.count(1)


def litellm_callback(workflow: Workflow, *, agent: str | None = None) -> Any:
    """A callback for `litellm.callbacks` that charges a workflow; it never makes a call fail, see `Workflow.track`.

    A call that begins after the workflow's `with` block has ended is not charged.

    Args:
        agent: of calls whose `metadata` names none: `completion(…, metadata={"agent": "plan"})`.

    Raises:
        MissingExtra: LiteLLM is not installed.
    """
    try:
        from litellm.integrations.custom_logger import CustomLogger
    except ModuleNotFoundError:
        raise MissingExtra("the LiteLLM callback", "litellm") from None

    import asyncio

    class LedgerCallback(CustomLogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.costledger_callback = next(_numbers)

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any) -> None:
            if not self._is_over(start_time):
                _charge(workflow, agent, kwargs, response_obj)

        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any
        ) -> None:
            if not self._is_over(start_time):
                await asyncio.to_thread(_charge, workflow, agent, kwargs, response_obj)

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002 - LiteLLM's names
            self._is_over(start_time)

        async def async_log_failure_event(self, kwargs: Any, *told: Any, **named: Any) -> None:
            self.log_failure_event(kwargs, *told, **named)

        def _is_over(self, start_time: Any) -> bool:
            """Whether a call began after the workflow's end: then LiteLLM forgets this callback."""
            over = _begins_after_end(workflow, start_time)
            if over:
                _forget(self)
            return over

    return LedgerCallback()


def _begins_after_end(workflow: Workflow, start_time: object) -> bool:
    """A call of the block may well be told of after it: LiteLLM runs its callbacks beside the program."""
    ended_at = workflow.ended_at
    # LiteLLM's times are naive and local.
    return ended_at is not None and isinstance(start_time, datetime) and start_time.timestamp() > ended_at.timestamp()


def _forget(callback: object) -> None:
    """Take a callback out of LiteLLM's lists; by new lists, since it may be going through the old ones."""
    import litellm

    manager = getattr(litellm, "logging_callback_manager", None)
    with getattr(manager, "callback_lists_lock", None) or nullcontext():
        for name in LISTS:
            had = getattr(litellm, name, None)
            if isinstance(had, list) and any(each is callback for each in had):
                setattr(litellm, name, [each for each in had if each is not callback])


def _charge(workflow: Workflow, agent: str | None, kwargs: Mapping[str, Any], answer: object) -> None:
    told = of(of(kwargs, "litellm_params"), "metadata")
    named, session_id = of(told, "agent"), of(told, "session_id")
    workflow.charge_later(
        answer,
        agent=named if isinstance(named, str) and named else agent,
        session_id=session_id if isinstance(session_id, str) and session_id else None,
    )
