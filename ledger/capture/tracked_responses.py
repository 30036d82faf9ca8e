"""Tracked responses: proxies of results that a call returns, which are recorded once their usage is known.

A response is recorded at once; a stream when it ends, as partial when it is left before; a raw response when its body
has been read. Unreadable ones are recorded as a call of unknown cost, with a warning that names the call. The objects
of the SDKs are recognised by their shape and never imported.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from ledger.capture.pending_events import in_thread
from ledger.errors import shown
from ledger.providers.responses import is_free, names_model, reports_usage
from ledger.providers.streamed_responses import Gathered
from ledger.providers.usage import of

__all__ = ["Proxy", "ResponseRecorder", "TrackedCall", "is_stream", "tracked_result"]

_RAW_STREAM: Final = "_raw_stream"
"""The attribute of the SDKs' stream helpers with the stream that they read: in anthropic 2.14 and openai 3.57."""
_READS: Final = frozenset({"json", "parse", "read", "text"})
"""Methods that read the body of a raw response; of an asynchronous one, their result is awaited."""

_log = logging.getLogger("costledger")


class ResponseRecorder(Protocol):
    """Records the response of a call."""

    def __call__(self, answer: object, *, partial: bool, model: str | None) -> None:
        """Append it; never raise, since the caller waits for the response itself.

        Args:
            partial: the call used more than the response shows.
            model: of the request, for a response that names none.
        """
        ...


@dataclass(frozen=True)
class TrackedCall:
    """One call of a tracked client.

    Attributes:
        name: as it is written after the client, "chat.completions.create".
        model: of the request; None when it names none.
        hide_usage: hide the last chunk of a chat, which we requested and the caller does not expect.
        raw: it returns the HTTP response, not the parsed one.
    """

    name: str
    record: ResponseRecorder
    model: str | None = None
    hide_usage: bool = False
    raw: bool = False

    def finish(self, answer: object, *, partial: bool = False) -> None:
        """Record a response, or that it does not show its cost."""
        if is_free(answer):
            return
        if not partial and not reports_usage(answer):
            self.warn(f"no usage in {shown(type(answer).__name__)}")
            partial = True
        self.record(answer, partial=partial, model=None if names_model(answer) else self.model)

    def miss(self, why: str) -> None:
        """Record the call with an unknown cost."""
        self.warn(why)
        self.record(None, partial=True, model=self.model)

    def warn(self, why: str) -> None:
        """Log that the cost of this call is at best a lower bound."""
        _log.warning("the cost of a call of %s is unknown, so the workflow's cost is a lower bound: %s", self.name, why)


def is_stream(result: object) -> bool:
    """Return whether a result is read event by event."""
    return hasattr(result, "__next__") or hasattr(result, "__anext__")


def tracked_result(result: Any, call: TrackedCall) -> Any:
    """Return the result for the caller: a response, recorded; or a proxy that records it later."""
    if is_stream(result):
        return _TrackedStream(result, call)
    if call.raw and hasattr(result, "http_response"):
        raw = _RawResponse(result, call)
        raw.try_to_finish()
        return raw
    if hasattr(result, "__enter__") or hasattr(result, "__aenter__"):
        return _StreamManager(result, _call=call)
    call.finish(result)
    return result


class Proxy:
    """A proxy that delegates to a target, and stays the same when it is entered; to `isinstance` it is the target.

    Args:
        own: attributes of the proxy itself, not of the target.
    """

    def __init__(self, target: Any, **own: Any) -> None:
        self._set(_target=target, **own)

    def _set(self, **own: Any) -> None:
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._target)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_target"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, value)

    def _entered(self, entered: Any) -> Any:  # noqa: ARG002
        """Return what the block works with, once the target is entered; the proxy itself."""
        return self

    def _leave(self) -> None:
        """Record what can be recorded before the target is left."""

    def __enter__(self) -> Any:
        return self._entered(self._target.__enter__())

    def __exit__(self, *error: Any) -> Any:
        self._leave()
        return self._target.__exit__(*error)

    async def __aenter__(self) -> Any:
        return self._entered(await self._target.__aenter__())

    async def __aexit__(self, *error: Any) -> Any:
        await in_thread(self._leave)
        return await self._target.__aexit__(*error)


class _StreamManager(Proxy):
    """`with client.messages.stream(…) as stream`: the entered stream reads from a stream that is tracked."""

    def _entered(self, entered: Any) -> Any:
        tracked: _RawResponse | _TrackedStream
        if self._call.raw:
            tracked = entered = _RawResponse(entered, self._call)
        elif (raw := getattr(entered, _RAW_STREAM, None)) is not None:
            tracked = _TrackedStream(raw, self._call)
            setattr(entered, _RAW_STREAM, tracked)
        else:
            self._call.miss(f"{type(entered).__name__} is a stream of a kind that cannot be followed")
            return entered
        self._set(_tracked_stream=tracked)
        return entered

    def _leave(self) -> None:
        if (tracked := object.__getattribute__(self, "__dict__").get("_tracked_stream")) is not None:
            tracked.finish(ended=False)


class _Finishing(Proxy):
    """A proxy that records its call once, at the latest when it is closed or dropped."""

    def finish(self, *, ended: bool) -> None:
        """Record the call, unless that was done.

        Args:
            ended: the target was read to its end.
        """
        raise NotImplementedError

    def close(self) -> Any:
        """Close the target; for an asynchronous one, the result is to be awaited."""
        self.finish(ended=False)
        return self._target.close()

    def __del__(self) -> None:
        if not object.__getattribute__(self, "__dict__").get("_done", True):
            self.finish(ended=False)


class _RawResponse(_Finishing):
    """A raw response: recorded when its body has been read, or, as a call of unknown cost, when it is left unread.

    The stream that it is parsed to is recorded like any other.
    """

    def __init__(self, target: Any, call: TrackedCall) -> None:
        super().__init__(target, _call=call, _streams={}, _done=False)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name not in _READS or not callable(found):
            return found

        def read(*args: Any, **kwargs: Any) -> Any:
            result = found(*args, **kwargs)
            return self._awaited(result) if hasattr(result, "__await__") else self._read(result)

        return read

    async def _awaited(self, result: Any) -> Any:
        found = await result
        return self._read(found) if is_stream(found) else await in_thread(partial(self._read, found))

    def _read(self, result: Any) -> Any:
        if not is_stream(result):
            self.try_to_finish()
            return result
        self._set(_done=True)
        if id(result) not in self._streams:  # an SDK returns the same stream again
            self._streams[id(result)] = _TrackedStream(result, self._call)
        return self._streams[id(result)]

    def try_to_finish(self) -> bool:
        """Record the call, if the body has been read; return whether it is recorded."""
        if not self._done:
            try:
                body = self._target.http_response.content
            except Exception:  # httpx: it was streamed and not read to its end
                return False
            self._set(_done=True)
            self._call.finish(_parsed(body))
        return True

    def finish(self, *, ended: bool) -> None:  # noqa: ARG002 - as of a stream
        """Record the call, unless that was done."""
        if not self.try_to_finish():
            self._set(_done=True)
            self._call.miss("its body was neither parsed nor read as a whole")


def _parsed(body: bytes) -> object:
    """Return the JSON of a body, or the bytes themselves, such as those of a recording."""
    try:
        return json.loads(body)
    except ValueError:
        return body


class _TrackedStream(_Finishing):
    """A stream that is recorded once: when it has ended, or, as partial, when it is closed, fails or is dropped."""

    def __init__(self, target: Any, call: TrackedCall) -> None:
        super().__init__(target, _call=call, _gathered=Gathered(), _misread=False, _done=False)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __aiter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                event = next(self._target)
            except BaseException as error:
                self.finish(ended=isinstance(error, StopIteration))
                raise
            if self._shown(event):
                return event

    async def __anext__(self) -> Any:
        while True:
            try:
                event = await anext(self._target)
            except BaseException as error:
                await in_thread(partial(self.finish, ended=isinstance(error, StopAsyncIteration)))
                raise
            if self._shown(event):
                return event

    def _shown(self, event: Any) -> bool:
        """Read an event of any kind; return whether to pass it to the caller."""
        try:
            self._gathered.take(event)
        except Exception:
            self._set(_misread=True)
            _log.exception("an event of a stream could not be read; its call is charged as partial")
        return not (self._call.hide_usage and of(event, "choices") == [] and of(event, "usage") is not None)

    def finish(self, *, ended: bool) -> None:
        """Record what has been read, unless that was done."""
        if not self._done:
            self._set(_done=True)
            whole = not self._misread and (self._gathered.whole or ended)
            self._call.finish(self._gathered.answer(), partial=not whole)

    def _leave(self) -> None:
        self.finish(ended=False)

    async def aclose(self) -> Any:
        """Close an asynchronous generator."""
        self.finish(ended=False)
        return await self._target.aclose()
