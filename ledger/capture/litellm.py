"""LiteLLM: a callback that charges every call it makes (https://docs.litellm.ai/docs/observability/custom_callback).

LiteLLM calls it once per finished call, for a stream with the whole answer, and sometimes twice for an asynchronous
one: the second is the same event. Its own `response_cost` is not used: calls are priced as everywhere else, by the
price book, so that one model has one price in a ledger.

Where a provider's stream shows no usage, LiteLLM counts tokens itself; a guess may be above the truth and is ignored.
A call that it never reports, such as a stream that is left before its end, is recorded when the program ends.

In litellm 1.110 (`logging_callback_manager`): callbacks that were in `litellm.callbacks` at any call stay in lists of
at most 30 as long as the process runs; of two of a class, the second is dropped unless a public attribute of type text
or number differs. So ours have one, and leave those lists when their workflow has ended.
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
from ledger.providers.responses import named, reports_usage
from ledger.providers.usage import mapping, of

__all__ = ["LISTS", "litellm_callback"]

LISTS: Final = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
"""LiteLLM's lists of callbacks."""
_numbers: Final = itertools.count(1)
_unreported: Final[dict[tuple[int, str], Callable[[], None]]] = {}
"""Started calls, by the callback's number and LiteLLM's id; each is recorded so if LiteLLM never reports it."""
_CACHES: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")

_log = logging.getLogger("costledger")


def litellm_callback(workflow: Workflow, *, agent: str | None = None) -> Any:
    """Return a callback for `litellm.callbacks` that charges a workflow; it never makes a call fail (`Workflow.track`).

    A call that starts after the end of the workflow's `with` block is not charged.

    Args:
        agent: of calls whose `metadata` names none: `completion(…, metadata={"agent": "plan"})`.

    Raises:
        MissingExtra: LiteLLM is not installed.
    """
    try:
        from litellm.integrations.custom_logger import CustomLogger
    except ModuleNotFoundError:
        raise MissingExtra("the LiteLLM callback", "litellm") from None

    class LedgerCallback(_LedgerCallback, CustomLogger):  # type: ignore[misc]
        """A callback of LiteLLM's own class."""

    return LedgerCallback(workflow, agent)


class _LedgerCallback:
    """The hooks, by LiteLLM's names, since it calls them with keywords.

    Attributes:
        costledger_callback: its number, which LiteLLM compares.
    """

    def __init__(self, workflow: Workflow, agent: str | None) -> None:
        super().__init__()
        self.costledger_callback = next(_numbers)
        self._workflow, self._agent = workflow, agent
        atexit.unregister(_finish)  # at most once
        atexit.register(_finish)

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:  # noqa: ARG002
        """Add a call whose request is being sent."""
        if self._workflow.ended_at is None and isinstance(of(kwargs, "litellm_call_id"), str):
            meter, call_id = _meter(self._agent, kwargs), of(kwargs, "litellm_call_id")
            _unreported[self._key(kwargs)] = partial(_miss, self._workflow, meter, call_id, model)

    async def async_post_call_success_deployment_hook(
        self,
        request_data: Any,
        response: Any,
        call_type: Any,  # noqa: ARG002
    ) -> None:
        """Add the response of a call, since LiteLLM loses its report when the program's event loop ends first."""
        if self._key(request_data) in _unreported and reports_usage(response):
            metadata = {"metadata": of(request_data, "metadata")}
            request = {"model": of(request_data, "model"), "litellm_params": metadata}
            charge = partial(_charge, self._workflow, self._agent, request, response)
            _unreported[self._key(request_data)] = charge

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any) -> None:
        """Charge a call."""
        self._report(kwargs, start_time, partial(_charge, self._workflow, self._agent, kwargs, response_obj))

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any
    ) -> None:
        """Charge a call in a thread."""
        await in_thread(partial(self.log_success_event, kwargs, response_obj, start_time))

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002
        """Charge a stream that broke."""
        self._report(kwargs, start_time, partial(_charge_broken, self._workflow, self._agent, kwargs))

    async def async_log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, *_: Any, **__: Any
    ) -> None:
        """Charge a stream that broke, in a thread."""
        await in_thread(partial(self.log_failure_event, kwargs, response_obj, start_time))

    def _report(self, kwargs: Any, start_time: object, charge: Callable[[], None]) -> None:
        """Charge a reported call, unless it started after the workflow's end; then leave LiteLLM's lists."""
        if _starts_after_end(self._workflow, start_time):
            _remove(self)
        else:
            charge()
        _unreported.pop(self._key(kwargs), None)

    def _key(self, kwargs: Any) -> tuple[int, str]:
        return self.costledger_callback, str(of(kwargs, "litellm_call_id"))


def _starts_after_end(workflow: Workflow, start_time: object) -> bool:
    """Return whether a call started after the block; calls of the block may be reported later, from another thread."""
    ended_at = workflow.ended_at
    # LiteLLM's times are naive and local.
    return ended_at is not None and isinstance(start_time, datetime) and start_time.timestamp() > ended_at.timestamp()


def _remove(callback: object) -> None:
    """Remove a callback from LiteLLM's lists, by new lists, since it may be iterating over the old ones."""
    import litellm

    manager = getattr(litellm, "logging_callback_manager", None)
    with getattr(manager, "callback_lists_lock", None) or nullcontext():
        for name in LISTS:
            found = getattr(litellm, name, None)
            if isinstance(found, list) and any(each is callback for each in found):
                setattr(litellm, name, [each for each in found if each is not callback])


def _charge(workflow: Workflow, agent: str | None, kwargs: Any, answer: object) -> None:
    """Charge a call that LiteLLM reports as a success, unless it came from its cache."""
    if of(kwargs, "cache_hit") is True:
        return
    meter = _meter(agent, kwargs)
    if not _is_guess(kwargs, answer):
        workflow.charge_later(answer, **meter)
        return
    _log.warning(
        "a stream of %s showed no usage, so its cost is unknown, and the workflow's cost is a lower bound; "
        "ask for it with stream_options={'include_usage': True}",
        of(kwargs, "model"),
    )
    ids = named(answer)
    workflow.charge_later({"id": ids.get("message_id"), "model": ids.get("model")}, partial=True, **meter)


def _charge_broken(workflow: Workflow, agent: str | None, kwargs: Any) -> None:
    """Charge a stream that broke, as partial, with the input if the provider had reported it."""
    usage = mapping(of(kwargs, "combined_usage_object"))
    started = usage or of(kwargs, "completion_start_time") or hasattr(of(kwargs, "original_response"), "__next__")
    if of(kwargs, "stream") is not True or not started:
        return  # the request failed: there is nothing to charge
    answer: dict[str, Any] = {"model": of(kwargs, "model"), "id": f"litellm-{of(kwargs, 'litellm_call_id')}"}
    if any(mapping(usage.get("prompt_tokens_details")).values()):  # a guess has none but zeros here
        answer["usage"] = {**usage, "completion_tokens": 0, "completion_tokens_details": None}
    workflow.charge_later(answer, partial=True, **_meter(agent, kwargs))


def _is_guess(kwargs: Any, answer: object) -> bool:
    """Return whether LiteLLM counted the usage of a stream itself: the provider's has details, or differs from it."""
    usage = mapping(of(answer, "usage"))
    if of(kwargs, "stream") is not True or "prompt_tokens" not in usage or _has_details(usage):
        return False
    options = of(kwargs, "stream_options") or of(of(kwargs, "optional_params"), "stream_options")
    return of(options, "include_usage") is not True or _counted(kwargs, answer) == usage.get("completion_tokens")


def _has_details(usage: Mapping[str, Any]) -> bool:
    return bool(mapping(usage.get("prompt_tokens_details"))) or any(usage.get(name) is not None for name in _CACHES)


def _counted(kwargs: Any, answer: object) -> object:
    """Return how many tokens LiteLLM counts in the streamed text."""
    import litellm

    choices = of(answer, "choices")
    text = of(of(choices[0], "message"), "content") if choices else ""
    return litellm.token_counter(model=of(kwargs, "model"), text=text or "", count_response_tokens=True)


def _meter(agent: str | None, kwargs: Any) -> dict[str, Any]:
    metadata = of(of(kwargs, "litellm_params"), "metadata")
    named, session_id = of(metadata, "agent"), of(metadata, "session_id")
    return {
        "agent": named if isinstance(named, str) and named else agent,
        "session_id": session_id if isinstance(session_id, str) and session_id else None,
    }


def _miss(workflow: Workflow, meter: Mapping[str, Any], call_id: str, model: object) -> None:
    _log.warning("LiteLLM never reported a call of %s, so its cost is unknown, such as of a stream left open", model)
    workflow.charge_later({"model": model, "id": f"litellm-{call_id}"}, partial=True, **meter)


def _finish() -> None:
    """Make LiteLLM report its last calls at the end of the program, then record those that it never reports."""
    from litellm.litellm_core_utils import logging_worker

    flush = getattr(getattr(logging_worker, "GLOBAL_LOGGING_WORKER", None), "_flush_on_exit", None)
    if callable(flush):
        flush()
    while _unreported:
        _, record = _unreported.popitem()
        record()
