"""What a package exports, imported when it is first asked for: whoever uses one name does not wait for the others.

PEP 562. Small and plain: it runs while an agent waits.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` would take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["exports"]


def exports(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__`.

    Args:
        modules: the module, inside the package, of each exported name. No name is a module's too: importing that
            module would put it where the name belongs.
    """
    names = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        names[name] = value = getattr(import_module(f"{package}.{modules[name]}"), name)
        return value

    return get, lambda: sorted({*names, *modules})
