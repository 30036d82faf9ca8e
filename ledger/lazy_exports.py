"""Exports of a package, each imported on first use, so that the use of one name does not load all modules.

PEP 562. It runs while an agent waits for the status line, so it imports nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` would take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["exports"]


def exports(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    Args:
        modules: the module, inside the package, of each exported name. No module may have the name of an export: its
            import would replace the export.
    """
    names = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        names[name] = value = getattr(import_module(f"{package}.{modules[name]}"), name)
        return value

    return get, lambda: sorted({*names, *modules})
