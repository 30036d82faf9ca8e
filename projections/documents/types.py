"""The types of fields, with their descriptions for the OpenAPI document. Importing this loads no pydantic."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from ledger.events import money

if sys.version_info >= (3, 12):
    from typing import NotRequired, TypedDict
else:  # pydantic needs this one: https://docs.pydantic.dev/latest/errors/usage_errors/#typed-dict-version
    from typing import NotRequired

    from typing_extensions import TypedDict

__all__ = ["About", "AdwIdText", "Moment", "NotRequired", "TypedDict", "Usd", "document", "usd"]

T = TypeVar("T", bound=type)


class About:
    """The description of a field in the OpenAPI document.

    Args:
        description: what it means, where its name does not say it.
        keywords: of JSON Schema, such as a pattern or examples.
    """

    def __init__(self, description: str = "", **keywords: Any) -> None:
        self._keywords = ({"description": description} if description else {}) | keywords

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Return the JSON Schema of the annotated type with these keywords; pydantic calls this."""
        return handler(schema) | self._keywords


Usd = Annotated[str, About(pattern=r"^-?[0-9]+\.[0-9]{2,9}$", examples=["2.37"])]
"""US dollars as decimal text."""

Moment = Annotated[str, About(examples=["2026-11-23T18:33:01.123456Z"])]
"""A time of RFC 3339, in UTC."""

AdwIdText = Annotated[str, About(examples=["a5b80595"])]
"""The id of a workflow."""


def document(cls: T) -> T:
    """Let the OpenAPI document say that a `TypedDict` has no other fields."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return cls


def usd(nanousd: int | None) -> str | None:
    """Return an amount as decimal text; None stays None."""
    return None if nanousd is None else money.to_wire(nanousd)
