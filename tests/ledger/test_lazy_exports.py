from __future__ import annotations

import sys
from types import ModuleType

import pytest

from ledger.events.money import parse
from ledger.lazy_exports import exports

PACKAGE = "ledger.events"


def test_a_name_is_imported_on_first_use_and_stored_in_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType(PACKAGE)
    package.__path__ = sys.modules[PACKAGE].__path__
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    get, names = exports(PACKAGE, {"parse": "money"})
    assert "parse" not in vars(package)
    assert "parse" in names()
    assert get("parse") is parse
    assert vars(package)["parse"] is parse


def test_another_name_is_an_attribute_error_as_of_any_module() -> None:
    get, _ = exports(PACKAGE, {"parse": "money"})
    with pytest.raises(AttributeError, match=r"'ledger\.events' has no attribute 'pars'"):
        get("pars")
