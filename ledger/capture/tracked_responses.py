"""Tracked answers: what stands in for what a tracked call returns, so that it is recorded once its usage is known.

An answer is recorded at once; a stream when it ends, as partial when it is left before; a raw response when its body
has been read. What cannot be read is recorded as a call whose cost is unknown, with a warning that names the call.
The objects of the SDKs are recognised by their shape and never imported.
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
from ledger.providers.responses import is_free, names_model, of, tells_usage
from ledger.providers.streamed_responses import Gathered

__all__ = ["ResponseRecorder", "TrackedCall", "Wrapped", "is_stream", "stand_in"]

_RAW_STREAM: Final = "_raw_stream"
"""Where the SDKs' stream helpers keep what they read from: in anthropic 2.14 and openai 3.57."""
_READS: Final = frozenset({"json", "parse", "read", "text"})
"""What reads the body of a raw response; of an asynchronous one, what it returns is to be awaited."""

_log = logging.getLogger("costledger")


class ResponseRecorder(Protocol):
    """Takes what a call returned."""

    def __call__(self, answer: object, *, partial: bool, model: str | None) -> None:
        """Append it; never raises, since the caller waits for the answer itself.

        Args:
            partial: there is more to this call than the answer shows.
            model: which was asked, of an answer that names none.
        """
        ...


@dataclass(frozen=True)
class TrackedCall:
    """One call of a tracked client.

    Attributes:
        name: as it is written after the client, "chat.completions.create".
        model: which was asked; None when the call does not name it.
        hide_usage: leave out the last chunk of a chat, which we asked for and the caller does not expect.
        raw: it returns the HTTP response, not the answer.
    """

    name: str
    record: ResponseRecorder
    model: str | None = None
    hide_usage: bool = False
    raw: bool = False

    def finish(self, answer: object, *, partial: bool = False) -> None:
        """Record an answer, or that it does not show what it cost."""
        if is_free(answer):
            return
        # google-genai returns the last answer of a loop; with this field it made others, which passed us by.
        partial = partial or bool(of(answer, "automatic_function_calling_history"))
        if not partial and not tells_usage(answer):
            self.warn(f"no usage in {shown(type(answer).__name__)}")
            partial = True
        self.record(answer, partial=partial, model=None if names_model(answer) else self.model)

    def miss(self, why: str) -> None:
        """Record that the call was made and nothing of its cost can be known."""
        self.warn(why)
        self.record(None, partial=True, model=self.model)

    def warn(self, why: str) -> None:
        """Log that the cost of this call is at best a lower bound."""
        _log.warning(
            "the cost of a call of %s is not known, so the workflow's is at least what is known: %s", self.name, why
        )


def is_stream(result: object) -> bool:
    """Whether it is read event by event."""
    return hasattr(result, "__next__") or hasattr(result, "__anext__")


def stand_in(result: Any, call: TrackedCall) -> Any:
    """What the caller gets: an answer, once it is recorded; in the place of all else something that will record it."""
    if is_stream(result):
        return _TrackedStream(result, call)
    if call.raw and hasattr(result, "http_response"):
        raw = _Raw(result, call)
        raw.try_to_finish()
        return raw
    if hasattr(result, "__enter__") or hasattr(result, "__aenter__"):
        return _Manager(result, call)
    call.finish(result)
    return result


class Wrapped:
    """Hands everything on to a target; to `isinstance` it is the target."""

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_target", target)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._target)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_target"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, value)


class _Manager(Wrapped):
    """`with client.messages.stream(…) as stream`: the stream that is entered reads from one that we look at."""

    def __init__(self, target: Any, call: TrackedCall) -> None:
        super().__init__(target)
        object.__setattr__(self, "_call", call)

    def _watched(self, entered: Any) -> Any:
        """What is entered, or what stands in for it."""
        watching: _Raw | _TrackedStream
        if self._call.raw:
            watching = entered = _Raw(entered, self._call)
        elif (raw := getattr(entered, _RAW_STREAM, None)) is not None:
            watching = _TrackedStream(raw, self._call)
            setattr(entered, _RAW_STREAM, watching)
        else:
            self._call.miss(f"{type(entered).__name__} is a stream of a kind that cannot be followed")
            return entered
        object.__setattr__(self, "_watching", watching)
        return entered

    def _left(self) -> None:
        if (watched := object.__getattribute__(self, "__dict__").get("_watching")) is not None:
            watched.finish(ended=False)

    def __enter__(self) -> Any:
        return self._watched(self._target.__enter__())

    def __exit__(self, *error: Any) -> Any:
        self._left()
        return self._target.__exit__(*error)

    async def __aenter__(self) -> Any:
        return self._watched(await self._target.__aenter__())

    async def __aexit__(self, *error: Any) -> Any:
        await in_thread(self._left)
        return await self._target.__aexit__(*error)


class _Raw(Wrapped):
    """A raw response: recorded when its body has been read, or, as a call of unknown cost, when it is left unread.

    The stream that it is parsed to is recorded as any other.
    """

    def __init__(self, target: Any, call: TrackedCall) -> None:
        super().__init__(target)
        for name, value in {"_call": call, "_streams": {}, "_done": False}.items():
            object.__setattr__(self, name, value)

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
        object.__setattr__(self, "_done", True)
        if id(result) not in self._streams:  # an SDK hands out the same stream again
            self._streams[id(result)] = _TrackedStream(result, self._call)
        return self._streams[id(result)]

    def try_to_finish(self) -> bool:
        """Record it, if its body has been read; whether that was done."""
        if not self._done:
            try:
                body = self._target.http_response.content
            except Exception:  # httpx: it was streamed and not read to its end
                return False
            object.__setattr__(self, "_done", True)
            self._call.finish(_parsed(body))
        return True

    def finish(self, *, ended: bool) -> None:  # noqa: ARG002 - as of a stream
        """Record it, unless that was done."""
        if not self.try_to_finish():
            object.__setattr__(self, "_done", True)
            self._call.miss("its body was neither parsed nor read as a whole")

    def close(self) -> Any:
        """Close the response; for an asynchronous one, what it returns is to be awaited."""
        self.finish(ended=False)
        return self._target.close()

    def __del__(self) -> None:
        if not object.__getattribute__(self, "__dict__").get("_done", True):
            self.finish(ended=False)


def _parsed(body: bytes) -> object:
    """The JSON of a body, or the bytes themselves, such as those of a recording."""
    try:
        return json.loads(body)
    except ValueError:
        return body


class _TrackedStream(Wrapped):
    """A stream that is recorded once: when it has ended, or, as partial, when it is closed, fails or is dropped."""

    def __init__(self, target: Any, call: TrackedCall) -> None:
        super().__init__(target)
        for name, value in {"_call": call, "_gathered": Gathered(), "_misread": False, "_done": False}.items():
            object.__setattr__(self, name, value)

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
        """Look at an event, whatever it is; whether the caller is to see it."""
        try:
            self._gathered.take(event)
        except Exception:
            object.__setattr__(self, "_misread", True)
            _log.exception("an event of a stream could not be read; its call is charged as partial")
        return not (self._call.hide_usage and of(event, "choices") == [] and of(event, "usage") is not None)

    def finish(self, *, ended: bool) -> None:
        """Record what has been seen, unless that was done."""
        if not self._done:
            object.__setattr__(self, "_done", True)
            whole = not self._misread and (self._gathered.whole or ended)
            self._call.finish(self._gathered.answer(), partial=not whole)

    def close(self) -> Any:
        """Close the stream; for an asynchronous one, what it returns is to be awaited."""
        self.finish(ended=False)
        return self._target.close()

    async def aclose(self) -> Any:
        """As `close`, of an asynchronous generator."""
        self.finish(ended=False)
        return await self._target.aclose()

    def __enter__(self) -> Any:
        self._target.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        self.finish(ended=False)
        return self._target.__exit__(*error)

    async def __aenter__(self) -> Any:
        await self._target.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self.finish(ended=False)
        return await self._target.__aexit__(*error)

    def __del__(self) -> None:
        if not object.__getattribute__(self, "__dict__").get("_done", True):
            self.finish(ended=False)
