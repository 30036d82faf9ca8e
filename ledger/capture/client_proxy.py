"""Tracking: a client of Anthropic, OpenAI or Gemini whose calls are recorded as they return.

`tracked` returns a proxy of the client. It delegates everything, and records the results of the calls in `_CALLS`. The
SDKs are recognised by their shape and never imported. Their internal calls do not go through the proxy, so that no call
is recorded twice; where they make several calls in one, the proxy is put inside (`_LOOPS`, `_inside`).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar, cast

from ledger.capture.pending_events import in_thread
from ledger.capture.tracked_responses import Proxy, ResponseRecorder, TrackedCall, tracked_result
from ledger.errors import InvalidInput, shown

__all__ = ["tracked"]

Client = TypeVar("Client")
Path = tuple[str, ...]

_MODELS: Final = ("models",)
_GEMINI: Final = ("generate_content", "generate_content_stream", "generate_images", "edit_image", "embed_content")
_CALLS: Final = frozenset(
    {
        *((*beta, "messages", name) for beta in ((), ("beta",)) for name in ("create", "parse", "stream")),
        *((*beta, "chat", "completions", name) for beta in ((), ("beta",)) for name in ("create", "parse", "stream")),
        *(("responses", name) for name in ("create", "parse", "stream", "compact")),
        ("completions", "create"),
        ("embeddings", "create"),
        ("moderations", "create"),
        *(("images", name) for name in ("generate", "edit", "create_variation")),
        *(("videos", name) for name in ("create", "create_and_poll", "edit", "extend", "remix")),
        *(("audio", kind, "create") for kind in ("speech", "transcriptions", "translations")),
        *((*aio, *_MODELS, name) for aio in ((), ("aio",)) for name in (*_GEMINI, "generate_videos", "upscale_image")),
        *((*aio, "chats", "create()", f"send_message{s}") for aio in ((), ("aio",)) for s in ("", "_stream")),
    }
)
"""Methods that return a response or a stream; `create()` is the result of `create`."""
_LOOPS: Final = frozenset({("beta", "messages", "tool_runner"), ("beta", "messages", "thread")})
"""Methods that make calls of their own, with the client in `_client`."""
_ON_THE_WAY: Final = frozenset(path[:end] for path in _CALLS | _LOOPS for end in range(1, len(path)))
_COPIES: Final = frozenset({"with_options", "copy"})
_RAW: Final = frozenset({"with_raw_response", "with_streaming_response"})
_CHAT: Final = ("chat", "completions")
_GENERATE: Final = ("_generate_content", "_generate_content_stream")
"""Methods that google-genai calls for each request of automatic function calling: in google-genai 1.0 to 3.6."""


def tracked(client: Client, record: ResponseRecorder) -> Client:
    """Return a proxy of a client that records its calls.

    Raises:
        InvalidInput: it has none of the methods whose calls can be recorded.
    """
    if not any(_has(client, path) for path in sorted(_CALLS, key=len)):
        raise InvalidInput(
            f"track: {shown(client)} is no client of Anthropic, OpenAI or Gemini whose calls could be recorded; "
            "`charge` each response instead"
        )
    return cast("Client", _ClientProxy(client, (), record))


def _has(client: object, path: Path) -> bool:
    """Return whether a method exists, as far as that shows before any call."""
    found: Any = client
    for name in path:
        if name.endswith("()"):
            return callable(getattr(found, name.removesuffix("()"), None))
        found = getattr(found, name, None)
    return callable(found)


class _ClientProxy(Proxy):
    """Of a client, or of a part of it on the way to a call.

    Args:
        root: the proxy of the client itself; None: this is it.
        raw: `with_raw_response` or `with_streaming_response` when it is below that.
    """

    def __init__(
        self,
        target: Any,
        path: Path,
        record: ResponseRecorder,
        *,
        root: _ClientProxy | None = None,
        raw: str | None = None,
    ) -> None:
        super().__init__(target, _path=path, _record=record, _root=self if root is None else root, _raw=raw)

    def __getattr__(self, name: str) -> Any:
        if self._path in _LOOPS_AT and (*self._path, name) in _LOOPS:
            return self._loop(name)
        found, path = super().__getattr__(name), (*self._path, name)
        if name in _RAW and (self._path in _ON_THE_WAY or not self._path):
            return self._part(found, self._path, raw=name)
        if path in _CALLS:
            return _call(found, path, self._record, self._raw)
        if (made := (*self._path, f"{name}()")) in _ON_THE_WAY:
            return lambda *args, **kwargs: self._part(found(*args, **kwargs), made, raw=self._raw)
        if not self._path and name in _COPIES:
            return lambda *args, **kwargs: _ClientProxy(found(*args, **kwargs), (), self._record, raw=self._raw)
        if path not in _ON_THE_WAY:
            return found
        return _inside(found, path, self._record) or self._part(found, path, raw=self._raw)

    def _part(self, target: Any, path: Path, *, raw: str | None) -> _ClientProxy:
        return _ClientProxy(target, path, self._record, root=self._root, raw=raw)

    def _loop(self, name: str) -> Any:
        """Return a method that calls the proxy instead of the client, so that each of its calls is recorded."""
        if getattr(self._target, "_client", None) is None:
            TrackedCall(".".join((*self._path, name)), self._record).miss(
                "its client cannot be found, nor its calls followed"
            )
            return getattr(self._target, name)
        return getattr(_copy_with(self._target, _client=self._root), name)


_LOOPS_AT: Final = frozenset(path[:-1] for path in _LOOPS)


def _inside(part: Any, path: Path, record: ResponseRecorder) -> Any:
    """Return a copy of google-genai's `models` or `chats` in which each request is recorded; None when it is neither.

    Its `generate_content` calls Python functions for the model, repeats the request, and returns the last response.
    """
    if path[-1] == "chats":
        models = _inside(getattr(part, "_modules", None), (*path[:-1], *_MODELS), record)
        return None if models is None else _copy_with(part, _modules=models)
    if path[-1:] != _MODELS or not all(callable(getattr(part, name, None)) for name in _GENERATE):
        return None
    own = {name: ".".join((*path, name.removeprefix("_"))) for name in _GENERATE}
    others = {name: ".".join((*path, name)) for *way, name in _CALLS if (*way,) == path and f"_{name}" not in own}
    return _copy_with(
        part,
        **{
            name: _recorded(getattr(part, name), TrackedCall(spelled, record))
            for name, spelled in {**own, **others}.items()
            if callable(getattr(part, name, None))
        },
    )


def _copy_with(part: Any, **attributes: Any) -> Any:
    found = copy.copy(part)
    for name, value in attributes.items():
        setattr(found, name, value)
    return found


def _call(method: Callable[..., Any], path: Path, record: ResponseRecorder, raw: str | None) -> Callable[..., Any]:
    name = ".".join(path if raw is None else (*path[:-1], raw, path[-1]))

    def call(*args: Any, **kwargs: Any) -> Any:
        asks = path[-3:-1] == _CHAT and raw != "with_streaming_response"  # there the caller may read every line
        hidden = asks and _request_usage(path[-1], kwargs)
        return _recorded(method, TrackedCall(name, record, hide_usage=hidden, raw=raw is not None))(*args, **kwargs)

    call.__wrapped__ = method  # type: ignore[attr-defined]
    return call


def _recorded(method: Callable[..., Any], call: TrackedCall) -> Callable[..., Any]:
    """Return a method whose results are recorded as they are returned, or awaited."""

    def made(*args: Any, **kwargs: Any) -> Any:
        model = kwargs.get("model")
        this = replace(call, model=model if isinstance(model, str) and model else None)
        result = method(*args, **kwargs)
        if not inspect.isawaitable(result):
            return tracked_result(result, this)

        async def awaited() -> Any:
            return await in_thread(partial(tracked_result, await result, this))

        return awaited()

    return made


def _request_usage(name: str, kwargs: dict[str, Any]) -> bool:
    """Request the usage of a streamed chat when the caller does not; return whether that was added here."""
    options = kwargs.get("stream_options")
    streamed = name == "stream" or (name == "create" and kwargs.get("stream") is True)
    if not streamed or (isinstance(options, dict) and options.get("include_usage")):
        return False
    kwargs["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return True
