"""The page of errors is complete, and an error survives the way to another process."""

from __future__ import annotations

import inspect
import pickle
import re
from decimal import Decimal
from pathlib import Path

import pytest

from ledger import errors
from ledger.errors import CostledgerError


def classes() -> dict[str, type[CostledgerError]]:
    found = {name: value for name, value in vars(errors).items() if inspect.isclass(value)}
    return {name: value for name, value in found.items() if issubclass(value, CostledgerError)}


def tree() -> dict[str, str]:
    """The parent of each class, by the indentation of the module's docstring."""
    parents: dict[str, str] = {}
    above = ["CostledgerError"]
    for mark, name in re.findall(r"^ {4}([│ ]*[├└]── )(\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(mark) // 4
        parents[name] = above[depth - 1]
        above[depth:] = [name]
    return parents


def test_every_error_class_is_in_the_tree_below_its_parent() -> None:
    assert tree() == {
        name: str(value.__mro__[1].__name__) for name, value in classes().items() if name != "CostledgerError"
    }


def test_every_error_class_is_exported() -> None:
    assert set(classes()) <= set(errors.__all__)


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidMoney("x", "expected a decimal number"),
        errors.BudgetExceeded("w", Decimal(2), Decimal(1), "$2 of $1"),
        errors.ReplacedLedger(Path("w.jsonl"), 3, 200, "was cut"),
        errors.LockedLedger(Path("w.jsonl"), OSError(11, "process 7 has it")),
        errors.InvalidConfig(Path("costledger.toml"), [(3, "no such key")]),
    ],
)
def test_an_error_is_the_same_in_another_process(error: CostledgerError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy)) == (type(error), str(error))
    assert {**vars(copy), "error": None} == {**vars(error), "error": None}
