"""Money: US dollars as integer nanodollars inside, plain decimal text on the wire.

Nine decimals is the resolution of `google.type.Money`
(https://github.com/googleapis/googleapis/blob/master/google/type/money.proto).
An amount is rounded once, half to even, when it enters; a float enters through its shortest decimal
form (`repr`), so 0.1 is ten cents. No binary float takes part in any arithmetic.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from ledger.errors import InvalidMoney

__all__ = ["NANOUSD_MAX", "NANOUSD_PER_USD", "from_wire", "parse", "shown", "to_wire"]

NANOUSD_PER_USD = 1_000_000_000
NANOUSD_MAX = 1_000_000_000 * NANOUSD_PER_USD
"""The largest single amount: a billion dollars, so that nine of them still fit a signed 64-bit column."""

_NANO = Decimal("1e-9")
_WIRE = re.compile(r"(0|[1-9][0-9]{0,9})\.([0-9]{2,9})\Z")
_TEXT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\Z")
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def parse(value: object, *, negative: str = "it cannot be negative") -> int:
    """An amount given by a caller or a log, in nanodollars.

    Args:
        value: USD as text ("2.37", "1e-3"), int, Decimal or float.
        negative: what is said of an amount below zero.

    Raises:
        InvalidMoney: not a number, negative, infinite, NaN, or above a billion dollars.
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
    if amount.adjusted() > 10 or amount * NANOUSD_PER_USD > NANOUSD_MAX:
        raise InvalidMoney(value, "it is above the limit of 1,000,000,000 USD")
    return int(_EXACT.quantize(amount, _NANO).scaleb(9, _EXACT))


def to_wire(nanousd: int) -> str:
    """Nanodollars as plain decimal text: two to nine decimals, no needless zeros ("0.00", "2.37")."""
    sign, nanousd = ("-", -nanousd) if nanousd < 0 else ("", nanousd)
    dollars, nanos = divmod(nanousd, NANOUSD_PER_USD)
    decimals = f"{nanos:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{dollars}.{decimals}"


def from_wire(text: str) -> int:
    """Wire text as nanodollars; only the one canonical spelling is accepted.

    Raises:
        InvalidMoney: any other spelling.
    """
    match = _WIRE.match(text)
    if match is None or (len(match[2]) > 2 and match[2].endswith("0")):
        raise InvalidMoney(text, "not in the ledger's spelling (two to nine decimals, no needless zeros)")
    return int(match[1]) * NANOUSD_PER_USD + int(match[2].ljust(9, "0"))


def shown(nanousd: int | None, decimals: int = 4) -> str:
    """An amount for people: "$2.3700"; "unknown" when there is none."""
    if nanousd is None:
        return "unknown"
    sign, nanousd = ("-", -nanousd) if nanousd < 0 else ("", nanousd)
    step: int = 10 ** (9 - decimals)
    quotient, rest = divmod(nanousd, step)
    if 2 * rest > step or (2 * rest == step and quotient % 2):
        quotient += 1
    whole: int = 10**decimals
    return f"{sign}${quotient // whole:,}.{quotient % whole:0{decimals}d}"
