"""Misspelt keyword arguments: the error names the one that is probably meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["named_arguments"]

P = ParamSpec("P")
R = TypeVar("R")

_SIMILAR: Final = 0.5


def named_arguments(*more: type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function refuse unknown keyword arguments with a suggestion.

    Args:
        more: the TypedDicts of its `**` arguments.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        code = function.__code__
        own = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
        names = dict.fromkeys([*own, *(name for kind in more for name in kind.__annotations__)])
        names.pop("self", None)

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in names:
                    raise TypeError(_unexpected(function.__name__, name, list(names)))
            return function(*args, **kwargs)

        return checked

    return decorate


def _unexpected(function: str, name: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near: list[Any] = [one for one in names if one.startswith(name)]
    near += get_close_matches(name, names, n=1, cutoff=_SIMILAR)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(names)}"
    return f"{function}() got an unexpected argument {name!r}; {hint}"
