"""Money: US dollars as integer nanodollars inside, plain decimal text on the wire.

Nine decimals is the resolution of `google.type.Money`
(https://github.com/googleapis/googleapis/blob/master/google/type/money.proto).
An amount is rounded once, half to even, when it is parsed; a float is parsed from its shortest decimal
form (`repr`), so 0.1 is ten cents. No binary float takes part in any arithmetic.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from ledger.errors import InvalidMoney

__all__ = [
    "NANOUSD_MAX",
    "NANOUSD_PER_USD",
    "READING_NANOUSD_MAX",
    "from_wire",
    "parse",
    "parse_total",
    "shown",
    "to_wire",
]

NANOUSD_PER_USD = 1_000_000_000
NANOUSD_MAX = 1_000_000_000 * NANOUSD_PER_USD
"""The largest budget or estimate: a billion dollars, so that nine of them still fit a signed 64-bit column."""

READING_NANOUSD_MAX = 1_000_000 * NANOUSD_PER_USD
"""The largest cost of one reading: above any real session, and 9,000 of them still fit a signed 64-bit column."""

_TOTAL_NANOUSD_MAX = 10_000_000_000 * NANOUSD_PER_USD
"""Above what a signed 64-bit column of nanodollars holds, and what the float column next to it shows."""

_NANO = Decimal("1e-9")
_WIRE = re.compile(r"(0|[1-9][0-9]{0,9})\.([0-9]{2,9})\Z")
_UNITS: list[int] = [10 ** (9 - decimals) for decimals in range(10)]
"""The nanodollars of the last decimal, by the number of decimals."""
_TEXT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\Z")
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def parse(value: object, *, negative: str = "it cannot be negative", most_nanousd: int = NANOUSD_MAX) -> int:
    """Return the nanodollars of an amount that a caller or a log gives.

    Args:
        value: USD as text ("2.37", "1e-3"), int, Decimal or float.
        negative: the reason given for refusing an amount below zero.
        most_nanousd: the largest amount that is accepted.

    Raises:
        InvalidMoney: not a number, negative, infinite, NaN, or above the limit.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise InvalidMoney(value, "expected a decimal number")
    text = repr(value) if isinstance(value, float) else str(value).strip()
    if isinstance(value, str) and not (len(text) <= 64 and _TEXT.match(text)):
        raise InvalidMoney(value, "expected a decimal number such as 2.37")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidMoney(value, "expected a decimal number such as 2.37") from None
    if not amount.is_finite():
        raise InvalidMoney(value, "it must be finite")
    if amount < 0:
        raise InvalidMoney(value, negative)
    if amount.adjusted() > 10 or amount * NANOUSD_PER_USD > most_nanousd:
        raise InvalidMoney(value, f"it is above the limit of {most_nanousd // NANOUSD_PER_USD:,} USD")
    return int(_EXACT.quantize(amount, _NANO).scaleb(9, _EXACT))


def parse_total(value: object) -> int:
    """Return the nanodollars of a stored total, which may be above what one event can hold.

    Raises:
        InvalidMoney: see `parse`; the limit is ten billion dollars.
    """
    return parse(value, most_nanousd=_TOTAL_NANOUSD_MAX)


def to_wire(nanousd: int) -> str:
    """Return nanodollars as plain decimal text: two to nine decimals, no needless zeros ("0.00", "2.37")."""
    sign, nanousd = ("-", -nanousd) if nanousd < 0 else ("", nanousd)
    dollars, nanos = divmod(nanousd, NANOUSD_PER_USD)
    decimals = f"{nanos:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{dollars}.{decimals}"


def from_wire(text: str) -> int:
    """Return the nanodollars of wire text; only the canonical spelling is accepted.

    Raises:
        InvalidMoney: any other spelling.
    """
    decimals = text[2:]
    if text[:2] == "0." and decimals.isdecimal() and decimals[-1] != "0" and text.isascii() and 2 <= len(decimals) <= 9:
        return int(decimals) * _UNITS[len(decimals)]  # most amounts; the general case takes half as long again
    if (match := _WIRE.match(text)) is not None:
        dollars, decimals = match.groups()
        if decimals[-1] != "0" or len(decimals) == 2:
            return int(dollars + decimals) * _UNITS[len(decimals)]
    raise InvalidMoney(text, "not in the ledger's spelling (two to nine decimals, no needless zeros)")


def shown(nanousd: int | None, decimals: int = 4) -> str:
    """Return an amount for people: "$2.3700"; "unknown" for None.

    An amount that so many decimals would show as zero has its first two digits: "$0.000042".
    """
    if nanousd is None:
        return "unknown"
    sign, nanousd = ("-", -nanousd) if nanousd < 0 else ("", nanousd)
    units = _rounded(nanousd, decimals)
    if nanousd and not units:
        decimals = min(9, 11 - len(str(nanousd)))
        units = _rounded(nanousd, decimals)
        while units % 10 == 0:
            units, decimals = units // 10, decimals - 1
    whole: int = 10**decimals
    return f"{sign}${units // whole:,}.{units % whole:0{decimals}d}"


def _rounded(nanousd: int, decimals: int) -> int:
    """Return an amount in units of its last decimal, rounded half to even."""
    step: int = 10 ** (9 - decimals)
    quotient, rest = divmod(nanousd, step)
    return quotient + (2 * rest > step or (2 * rest == step and quotient % 2 == 1))
