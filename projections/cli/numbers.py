"""Numbers as options take them: whole ones that fit into 64 bits, and finite ones; none overflows its use."""

from __future__ import annotations

import math
from typing import Any, Final

import click

__all__ = ["Finite", "IssueNumber", "Whole"]

_WHOLE_MAX: Final = 2**63 - 1
_ISSUE_DIGITS: Final = 18


class Whole(click.IntRange):
    """A whole number within bounds."""

    def __init__(self, least: int, most: int = _WHOLE_MAX) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; say of one that is too large what the most is."""
        found = int(click.INT.convert(value, param, ctx))
        if self.max is not None and found > self.max:
            self.fail(f"{found} is too large; the most is {self.max}.", param, ctx)
        return int(super().convert(value, param, ctx))

    def _describe_range(self) -> str:
        """Say in the help only what bounds a person."""
        return f"x>={self.min}" if self.max == _WHOLE_MAX else super()._describe_range()


class Finite(click.FloatRange):
    """A finite number within bounds.

    Args:
        most: the largest; so that a time in the option's unit can be added to a date, and waited for.
    """

    def __init__(self, least: float, most: float, *, above: bool = False) -> None:
        super().__init__(least, most, min_open=above)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; refuse `nan`, which no bound refuses."""
        found = float(super().convert(value, param, ctx))
        return self.fail(f"{value!r} is not a number.", param, ctx) if math.isnan(found) else found


class IssueNumber(click.ParamType[int]):
    """The number of an issue, also as it is shown: 17 or #17."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        digits = str(value).removeprefix("#")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _ISSUE_DIGITS):
            self.fail(f"{value!r} is no issue; give its number, as 17 or '#17'", param, ctx)
        return int(digits)
