"""LiteLLM: a callback that charges every call it makes (https://docs.litellm.ai/docs/observability/custom_callback).

LiteLLM calls it once per finished call, for a stream with the whole answer, and sometimes twice for an asynchronous
one: the second is the same event. Its own `response_cost` is not taken: calls are priced as everywhere else, by the
named price book, so that one model has one price in a ledger.

Where a provider's stream shows no usage, LiteLLM counts tokens itself; a guess may be above the truth and is left out.
A call that it never reports, such as a stream that is left before its end, is recorded when the program ends.

In litellm 1.110 (`logging_callback_manager`): what was in `litellm.callbacks` at any call stays in lists that
last as long as the process and hold 30 callbacks; of two of a class, the second is dropped unless a public attribute
that is text or a number tells them apart. So ours have one, and leave those lists when their workflow has ended.
"""

from __future__ import annotations

import atexit
import itertools
import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Any, Final

from ledger.capture.pending_events import in_thread
from ledger.capture.workflow import Workflow
from ledger.errors import MissingExtra
from ledger.providers.responses import named, of, tells_usage
from ledger.providers.usage import mapping

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
_unreported: Final[dict[tuple[int, str], Callable[[], None]]] = {}
"""Calls that have begun, by the callback's number and LiteLLM's id, and what records that no more is known of them."""
_CACHES: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")

_log = logging.getLogger("costledger")


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

    calls = _Calls(workflow, agent)

    class LedgerCallback(CustomLogger):  # type: ignore[misc]
        """By LiteLLM's names, since it calls these with keywords."""

        def __init__(self) -> None:
            super().__init__()
            self.costledger_callback = calls.number

        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:  # noqa: ARG002
            calls.begin(model, kwargs)

        async def async_post_call_success_deployment_hook(
            self,
            request_data: Any,
            response: Any,
            call_type: Any,  # noqa: ARG002
        ) -> None:
            calls.answered(request_data, response)

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any) -> None:
            calls.report(self, kwargs, start_time, partial(_charge, workflow, agent, kwargs, response_obj))()

        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any
        ) -> None:
            charge = partial(_charge, workflow, agent, kwargs, response_obj)
            await in_thread(calls.report(self, kwargs, start_time, charge))

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002
            calls.report(self, kwargs, start_time, partial(_charge_broken, workflow, agent, kwargs))()

        async def async_log_failure_event(
            self,
            kwargs: Any,
            response_obj: Any,  # noqa: ARG002
            start_time: Any,
            *_: Any,
            **__: Any,
        ) -> None:
            await in_thread(calls.report(self, kwargs, start_time, partial(_charge_broken, workflow, agent, kwargs)))

    return LedgerCallback()


Work = Callable[[], None]


class _Calls:
    """The calls of one callback that have begun, until LiteLLM reports them."""

    def __init__(self, workflow: Workflow, agent: str | None) -> None:
        self.number = next(_numbers)
        self._workflow, self._agent = workflow, agent
        atexit.unregister(_finish)  # there is one of it
        atexit.register(_finish)

    def begin(self, model: object, kwargs: Any) -> None:
        """Note that a request is being sent."""
        if self._workflow.ended_at is None and isinstance(call_id := of(kwargs, "litellm_call_id"), str):
            whose = _whose(self._agent, kwargs)
            _unreported[self.number, call_id] = partial(_miss, self._workflow, whose, call_id, model)

    def answered(self, request: Any, answer: object) -> None:
        """Note its answer, since LiteLLM loses its report when the program's event loop ends first."""
        key = (self.number, str(of(request, "litellm_call_id")))
        if key in _unreported and tells_usage(answer):
            asked = {"model": of(request, "model"), "litellm_params": {"metadata": of(request, "metadata")}}
            _unreported[key] = partial(_charge, self._workflow, self._agent, asked, answer)

    def report(self, callback: object, kwargs: Any, start_time: object, charge: Work) -> Work:
        """What is to be done about a reported call; nothing, when it began after the workflow's end.

        Then LiteLLM forgets the callback.
        """
        key = (self.number, str(of(kwargs, "litellm_call_id")))
        if not _begins_after_end(self._workflow, start_time):

            def charge_and_forget() -> None:
                charge()
                _unreported.pop(key, None)

            return charge_and_forget
        _unreported.pop(key, None)
        _forget(callback)
        return lambda: None


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


def _charge(workflow: Workflow, agent: str | None, kwargs: Any, answer: object) -> None:
    """Charge a call that LiteLLM says succeeded, unless it came from its cache."""
    if of(kwargs, "cache_hit") is True:
        return
    whose = _whose(agent, kwargs)
    if not _is_guess(kwargs, answer):
        workflow.charge_later(answer, **whose)
        return
    _log.warning(
        "a stream of %s showed no usage, so its cost is not known, and the workflow's is at least what is known; "
        "ask for it with stream_options={'include_usage': True}",
        of(kwargs, "model"),
    )
    known = named(answer)
    workflow.charge_later({"id": known.get("message_id"), "model": known.get("model")}, partial=True, **whose)


def _charge_broken(workflow: Workflow, agent: str | None, kwargs: Any) -> None:
    """Charge a stream that broke, as partial, with the input if the provider had reported it."""
    usage = mapping(of(kwargs, "combined_usage_object"))
    begun = usage or of(kwargs, "completion_start_time") or hasattr(of(kwargs, "original_response"), "__next__")
    if of(kwargs, "stream") is not True or not begun:
        return  # the request failed: there is nothing to charge
    answer: dict[str, Any] = {"model": of(kwargs, "model"), "id": f"litellm-{of(kwargs, 'litellm_call_id')}"}
    if any(mapping(usage.get("prompt_tokens_details")).values()):  # a guess has none but zeros here
        answer["usage"] = {**usage, "completion_tokens": 0, "completion_tokens_details": None}
    workflow.charge_later(answer, partial=True, **_whose(agent, kwargs))


def _is_guess(kwargs: Any, answer: object) -> bool:
    """Whether the usage of a stream is what LiteLLM counted itself: the provider's has details, or differs from it."""
    usage = mapping(of(answer, "usage"))
    if of(kwargs, "stream") is not True or "prompt_tokens" not in usage or _has_details(usage):
        return False
    options = of(kwargs, "stream_options") or of(of(kwargs, "optional_params"), "stream_options")
    return of(options, "include_usage") is not True or _counted(kwargs, answer) == usage.get("completion_tokens")


def _has_details(usage: Mapping[str, Any]) -> bool:
    return bool(mapping(usage.get("prompt_tokens_details"))) or any(usage.get(name) is not None for name in _CACHES)


def _counted(kwargs: Any, answer: object) -> object:
    """How many tokens LiteLLM counts in what was streamed."""
    import litellm

    choices = of(answer, "choices")
    text = of(of(choices[0], "message"), "content") if choices else ""
    return litellm.token_counter(model=of(kwargs, "model"), text=text or "", count_response_tokens=True)


def _whose(agent: str | None, kwargs: Any) -> dict[str, Any]:
    told = of(of(kwargs, "litellm_params"), "metadata")
    by, session_id = of(told, "agent"), of(told, "session_id")
    return {
        "agent": by if isinstance(by, str) and by else agent,
        "session_id": session_id if isinstance(session_id, str) and session_id else None,
    }


def _miss(workflow: Workflow, whose: Mapping[str, Any], call_id: str, model: object) -> None:
    _log.warning("LiteLLM never reported a call of %s, so its cost is not known, such as of a stream left open", model)
    workflow.charge_later({"model": model, "id": f"litellm-{call_id}"}, partial=True, **whose)


def _finish() -> None:
    """At the end of the program: have LiteLLM report what it has not yet, then record what it never will."""
    from litellm.litellm_core_utils import logging_worker

    flush = getattr(getattr(logging_worker, "GLOBAL_LOGGING_WORKER", None), "_flush_on_exit", None)
    if callable(flush):
        flush()
    while _unreported:
        _, missed = _unreported.popitem()
        missed()
