"""LiteLLM: a callback that charges every call it makes (https://docs.litellm.ai/docs/observability/custom_callback).

LiteLLM calls it once per finished call, for a stream with the whole answer, and sometimes twice for an asynchronous
one: the second is the same event. Its own `response_cost` is not taken: calls are priced as everywhere else, by the
named price book, so that one model has one price in a ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.errors import MissingExtra
from ledger.responses import of
from ledger.workflows import Workflow

__all__ = ["litellm_callback"]


def litellm_callback(workflow: Workflow, *, agent: str | None = None) -> Any:
    """A callback for `litellm.callbacks` that charges a workflow; it never makes a call fail, see `Workflow.track`.

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
        def log_success_event(self, kwargs: Any, response_obj: Any, *_: Any, **__: Any) -> None:
            _charge(workflow, agent, kwargs, response_obj)

        async def async_log_success_event(self, kwargs: Any, response_obj: Any, *_: Any, **__: Any) -> None:
            await asyncio.to_thread(_charge, workflow, agent, kwargs, response_obj)

    return LedgerCallback()


def _charge(workflow: Workflow, agent: str | None, kwargs: Mapping[str, Any], answer: object) -> None:
    told = of(of(kwargs, "litellm_params"), "metadata")
    named, session_id = of(told, "agent"), of(told, "session_id")
    workflow.charge_later(
        answer,
        agent=named if isinstance(named, str) and named else agent,
        session_id=session_id if isinstance(session_id, str) and session_id else None,
    )
