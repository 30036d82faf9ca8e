"""Measure the structure of the code: packages, imports between them, sizes.

`python -m tests.structure` prints the figures; `--json` prints them for a comparison of two commits. The architecture
test holds the same figures to their limits.
"""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = [
    "CHAIN",
    "Import",
    "circles",
    "classes",
    "functions",
    "imports",
    "modules",
    "package_of",
    "trees",
    "without_test",
]

PROJECT: Final = Path(__file__).resolve().parent.parent
ROOTS: Final = ("ledger", "projections")

CHAIN: Final = (
    "ledger.text",
    "ledger.installation",
    "ledger.errors",
    "ledger.lazy_exports",
    "ledger.events",
    "ledger.providers",
    "ledger.storage",
    "ledger.pricing",
    "ledger.sources",
    "ledger.maintenance",
    "ledger.replication",
    "ledger.claude_code",
    "ledger.config",
    "ledger.importing",
    "ledger.capture",
    "projections.json_text",
    "projections.folding",
    "projections.history",
    "projections.applications",
    "projections.replay",
    "projections.reports",
    "projections.documents",
    "projections.projector",
    "projections.programs",
    "projections.claude_code",
    "projections.server.service",
    "projections.server.http",
    "projections.server.background",
    "projections.server.webhooks",
    "projections.server.routes",
    "projections.server.app",
    "projections.server.asgi",
    "projections.cli",
)
"""Packages in the order in which they may be imported: each one imports only from those before it."""


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports from another module of ours."""

    importer: str
    imported: str
    line: int


@cache
def modules() -> Mapping[str, Path]:
    """Return every module of ours by its dotted name; a package is the name of its `__init__`."""
    found: dict[str, Path] = {}
    for root in ROOTS:
        for path in sorted((PROJECT / root).rglob("*.py")):
            name = path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def trees() -> Mapping[str, ast.Module]:
    """Return the syntax tree of every module."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules().items()}


@cache
def exported() -> Mapping[str, frozenset[str]]:
    """Return what each module names in its `__all__`; a module without one is absent."""
    found: dict[str, frozenset[str]] = {}
    for name, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.Assign) and any(
                isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets
            ):
                found[name] = frozenset(ast.literal_eval(node.value))
    return found


def unexported() -> list[str]:
    """Return the imports, from other packages, of names that their module does not export."""
    found = []
    for importer, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module in modules():
                names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in modules()}
                if package_of(importer) != package_of(node.module):
                    missing = names - exported().get(node.module, frozenset())
                    found += [f"{importer}:{node.lineno} imports {node.module}.{name}" for name in sorted(missing)]
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Return every import of one of our modules by another, those inside functions too."""
    return tuple(found for name, tree in trees().items() for found in _imports_of(name, tree))


def _imports_of(name: str, tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                target = whole if whole in modules() else node.module
                if target in modules() and target != name:
                    yield Import(name, target, node.lineno)
        elif isinstance(node, ast.Import):
            yield from (Import(name, each.name, node.lineno) for each in node.names if each.name in modules())


@cache
def _arrows() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for each in imports():
        found[each.importer].add(each.imported)
    return {importer: frozenset(imported) for importer, imported in found.items()}


def reachable(names: Iterable[str]) -> set[str]:
    """Return these modules, and all of ours that they import, directly or through others."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _arrows().get(name, ())
    return found


def package_of(module: str) -> str | None:
    """Return the entry of `CHAIN` that a module belongs to; None for the faces of `ledger` and `projections`."""
    fitting = [entry for entry in CHAIN if module == entry or module.startswith(f"{entry}.")]
    return max(fitting, key=len, default=None)


def circles() -> list[list[str]]:
    """Return the modules that import each other, directly or through others; the faces of packages aside."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for found in imports():
        if modules()[found.importer].name != "__init__.py":
            arrows[found.importer].add(found.imported)
    return [part for part in _components(arrows) if len(part) > 1]


def _components(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of a graph (Tarjan's algorithm)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            at = stack.index(node)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(arrows):
        if node not in number:
            visit(node)
    return found


def classes() -> Mapping[str, list[str]]:
    """Return the modules that define a class of each name."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(name)
    return found


def functions() -> Iterator[tuple[str, str, int]]:
    """Yield the module, the name and the number of lines of every function."""
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, node.name, (node.end_lineno or 0) - node.lineno + 1


def has_logic(module: str) -> bool:
    """Return whether a module has a function with a body; the members of a `Protocol` have none."""
    functions = [node for node in ast.walk(trees()[module]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return any(not all(_is_silent(node) for node in function.body) for function in functions)


def _is_silent(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def test_of(module: str) -> Path:
    """Return the path of the tests of a module: `a.b.c` has `tests/a/b/test_c.py`."""
    *packages, name = module.split(".")
    return PROJECT.joinpath("tests", *packages, f"test_{name}.py")


def without_test() -> set[str]:
    """Return the modules with logic that have no tests of their name; a package's `__init__` needs none."""
    own = {name for name, path in modules().items() if path.name != "__init__.py"}
    return {name for name in own if has_logic(name) and not test_of(name).is_file()}


def documented() -> tuple[int, int]:
    """Return how many public functions, classes and methods have a docstring, and how many there are.

    An adapter's method has the docstring of its port, from which it inherits.
    """
    classes = {each.name: each for tree in trees().values() for each in tree.body if isinstance(each, ast.ClassDef)}
    owners: list[ast.Module | ast.ClassDef] = [*trees().values(), *classes.values()]
    found = [
        ast.get_docstring(node) is not None or _inherits_docstring(node.name, owner, classes)
        for owner in owners
        for node in owner.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    return sum(found), len(found)


def _inherits_docstring(name: str, owner: ast.Module | ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> bool:
    if isinstance(owner, ast.Module):
        return False
    bases = [classes[base.id] for base in owner.bases if isinstance(base, ast.Name) and base.id in classes]
    return any(
        isinstance(node, ast.FunctionDef) and node.name == name and ast.get_docstring(node) is not None
        for base in bases
        for node in base.body
    )


def figures() -> dict[str, object]:
    """Return what `python -m tests.structure` prints."""
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    folders = Counter(path.parent.relative_to(PROJECT).as_posix() for path in modules().values())
    pairs = {(package_of(each.importer), package_of(each.imported)) for each in imports()}
    with_text, public = documented()
    return {
        "product lines": sum(lines.values()),
        "modules": len(lines),
        "modules in ledger/ itself": folders["ledger"] - 1,
        "modules in projections/ itself": folders["projections"] - 1,
        "most modules in one folder": folders.most_common(1)[0],
        "import arrows between packages": len({pair for pair in pairs if None not in pair and pair[0] != pair[1]}),
        "import circles": len(circles()),
        "class names used twice": sum(len(where) > 1 for where in classes().values()),
        "longest file": max((size, name) for name, size in lines.items()),
        "longest function": max((size, f"{name}.{function}") for name, function, size in functions()),
        "modules without tests of their name": len(without_test()),
        "public docstrings, percent": round(100 * with_text / public, 1),
    }


if __name__ == "__main__":
    measured = figures()
    if "--json" in sys.argv:
        print(json.dumps(measured))
    else:
        for what, figure in measured.items():
            print(f"{what:35} {figure}")
