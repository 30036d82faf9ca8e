"""Tracking: a client of Anthropic, OpenAI or Gemini whose calls are recorded as they return.

`tracked` gives a stand-in for the client. It hands everything on, and looks at what the calls in `_CALLS` return: an
answer, a stream, or the manager of a stream, at once or awaited. The SDKs are recognised by their shape and never
imported. What they call inside themselves passes by the stand-in, so that no call is seen twice.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, TypeVar, cast

from ledger.errors import InvalidInput, shown
from ledger.responses import of
from ledger.streams import Gathered

__all__ = ["Record", "tracked"]

Client = TypeVar("Client")
Path = tuple[str, ...]


class Record(Protocol):
    """Takes what a call returned."""

    def __call__(self, answer: object, *, partial: bool) -> None:
        """Append it; never raises, since the caller waits for the answer itself."""
        ...


_CALLS: Final = frozenset(
    {
        *((*beta, "messages", name) for beta in ((), ("beta",)) for name in ("create", "parse", "stream")),
        *((*beta, "chat", "completions", name) for beta in ((), ("beta",)) for name in ("create", "parse", "stream")),
        *(("responses", name) for name in ("create", "parse", "stream")),
        ("completions", "create"),
        ("embeddings", "create"),
        *((*aio, "models", f"generate_content{s}") for aio in ((), ("aio",)) for s in ("", "_stream")),
        *((*aio, "chats", "create()", f"send_message{s}") for aio in ((), ("aio",)) for s in ("", "_stream")),
    }
)
"""What is called, and returns an answer or a stream; `create()` is what `create` returns."""
_ON_THE_WAY: Final = frozenset(path[:end] for path in _CALLS for end in range(1, len(path)))
_COPIES: Final = frozenset({"with_options", "copy"})
_RAW: Final = frozenset({"with_raw_response", "with_streaming_response"})
_CHAT: Final = ("chat", "completions")

_RAW_STREAM: Final = "_raw_stream"
"""Where the SDKs' stream helpers keep what they read from: seen in anthropic 2.13 and openai 3.57."""

_log = logging.getLogger("costledger")


def tracked(client: Client, record: Record) -> Client:
    """A stand-in for a client whose calls are recorded.

    Raises:
        InvalidInput: nothing that it can do is a call that we know: nothing would ever be recorded.
    """
    if not any(_has(client, path) for path in sorted(_CALLS, key=len)):
        raise InvalidInput(
            f"track: {shown(client)} is no client of Anthropic, OpenAI or Gemini whose calls could be recorded; "
            "`charge` each response instead"
        )
    return cast("Client", _StandIn(client, (), record))


def _has(client: object, path: Path) -> bool:
    """Whether a call can be reached, by what is there before anything is called."""
    found: Any = client
    for name in path:
        if name.endswith("()"):
            return callable(getattr(found, name.removesuffix("()"), None))
        found = getattr(found, name, None)
    return callable(found)


class _Wrapped:
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


class _StandIn(_Wrapped):
    """For a client, or for a part of it on the way to a call."""

    def __init__(self, target: Any, path: Path, record: Record) -> None:
        super().__init__(target)
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_record", record)

    def __getattr__(self, name: str) -> Any:
        found, path = super().__getattr__(name), (*self._path, name)
        if name in _RAW and (self._path in _ON_THE_WAY or not self._path):
            _log.warning("calls through %s are not recorded: charge their responses", ".".join(path))
        if path in _CALLS:
            return _call(found, path, self._record)
        if (made := (*self._path, f"{name}()")) in _ON_THE_WAY:
            return lambda *args, **kwargs: _StandIn(found(*args, **kwargs), made, self._record)
        if not self._path and name in _COPIES:
            return lambda *args, **kwargs: _StandIn(found(*args, **kwargs), (), self._record)
        return _StandIn(found, path, self._record) if path in _ON_THE_WAY else found

    def __enter__(self) -> Any:
        self._target.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._target.__exit__(*error)

    async def __aenter__(self) -> Any:
        await self._target.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._target.__aexit__(*error)


def _call(method: Callable[..., Any], path: Path, record: Record) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        hidden = path[-3:-1] == _CHAT and _ask_for_usage(path[-1], kwargs)
        result = method(*args, **kwargs)
        if not inspect.isawaitable(result):
            return _looked_at(result, record, hidden=hidden)

        async def awaited() -> Any:
            found = await result
            seen = _seen(found, record, hidden=hidden)
            if seen is None:
                await asyncio.to_thread(record, found, partial=False)
            return found if seen is None else seen

        return awaited()

    call.__wrapped__ = method  # type: ignore[attr-defined]
    return call


def _ask_for_usage(name: str, kwargs: dict[str, Any]) -> bool:
    """Ask a streamed chat for its usage when the caller does not; whether we, and not the caller, did."""
    options = kwargs.get("stream_options")
    streamed = name == "stream" or (name == "create" and kwargs.get("stream") is True)
    if not streamed or (isinstance(options, dict) and options.get("include_usage")):
        return False
    kwargs["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return True


def _looked_at(result: Any, record: Record, *, hidden: bool) -> Any:
    seen = _seen(result, record, hidden=hidden)
    if seen is not None:
        return seen
    record(result, partial=False)
    return result


def _seen(result: Any, record: Record, *, hidden: bool) -> Any:
    """What stands in for a stream or the manager of one; None for an answer, which is recorded as it is."""
    if hasattr(result, "__next__") or hasattr(result, "__anext__"):
        return _Stream(result, record, hide_usage=hidden)
    if hasattr(result, "__enter__") or hasattr(result, "__aenter__"):
        return _Manager(result, record, hide_usage=hidden)
    return None


class _Manager(_Wrapped):
    """`with client.messages.stream(…) as stream`: the stream that is entered reads from one that we look at."""

    def __init__(self, target: Any, record: Record, *, hide_usage: bool) -> None:
        super().__init__(target)
        object.__setattr__(self, "_record", record)
        object.__setattr__(self, "_hide", hide_usage)

    def _watched(self, stream: Any) -> Any:
        raw = getattr(stream, _RAW_STREAM, None)
        if raw is None:
            _log.warning("calls through %s are not recorded: charge their responses", type(stream).__name__)
        else:
            watched = _Stream(raw, self._record, hide_usage=self._hide)
            setattr(stream, _RAW_STREAM, watched)
            object.__setattr__(self, "_watching", watched)
        return stream

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
        self._left()
        return await self._target.__aexit__(*error)


class _Stream(_Wrapped):
    """A stream that is recorded once: when it has ended, or, as partial, when it is closed, fails or is dropped.

    Args:
        hide_usage: leave out the last chunk of a chat, which we asked for and the caller does not expect.
    """

    def __init__(self, target: Any, record: Record, *, hide_usage: bool = False) -> None:
        super().__init__(target)
        own = {"_record": record, "_hide": hide_usage, "_gathered": Gathered(), "_misread": False, "_done": False}
        for name, value in own.items():
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
                await asyncio.to_thread(self.finish, ended=isinstance(error, StopAsyncIteration))
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
        return not (self._hide and of(event, "choices") == [] and of(event, "usage") is not None)

    def finish(self, *, ended: bool) -> None:
        """Record what has been seen, unless that was done."""
        if not self._done:
            object.__setattr__(self, "_done", True)
            gathered = self._gathered
            whole = not self._misread and (gathered.whole or (ended and gathered.tells_usage))
            self._record(gathered.answer(), partial=not whole)

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
