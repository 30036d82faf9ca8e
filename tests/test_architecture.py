"""The boundaries of the house, kept by tests."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.claude_code.spool import Spool
from tests import structure
from tests.conftest import PROJECT
from tests.suites import SUITES, UNTESTED_BY_NAME

PURE = [f"ledger.events.{name}" for name in ("event", "money", "runs", "worktrees")]
PURE += ["ledger.storage.line", "ledger.importing.planner", "ledger.replication.nats.stream"]
PURE += [f"ledger.replication.{name}" for name in ("chain", "replica", "subjects")]
PURE += [f"projections.folding.{path.stem}" for path in (PROJECT / "projections" / "folding").glob("[a-z]*.py")]
PURE += ["projections.projector.merge", "projections.reports.spend_report", "projections.reports.overview"]
PURE += ["projections.applications.columns", "projections.applications.plan"]
IO = {"os", "io", "pathlib", "sqlite3", "socket", "subprocess", "random", "time", "threading", "fcntl", "mmap", "click"}


def modules(package: str) -> Iterator[Path]:
    yield from sorted((PROJECT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def reached(module: str, seen: set[str]) -> set[str]:
    """Everything a module imports, through our own modules too."""
    seen.add(module)
    found = imported(structure.modules()[module])
    for each in structure.imports():
        if each.importer == module and each.imported not in seen:
            found |= reached(each.imported, seen)
    return found


def test_a_package_imports_only_from_those_before_it_in_the_chain() -> None:
    places = {name: place for place, name in enumerate(structure.CHAIN)}
    against = []
    for each in structure.imports():
        importer, source = structure.package_of(each.importer), structure.package_of(each.imported)
        if importer is not None and source is not None and places[importer] < places[source]:
            against.append(f"{each.importer}:{each.line} imports {each.imported}")
    assert against == []


def test_every_module_belongs_to_the_chain() -> None:
    faces = {"ledger", "projections", "projections.__main__", "projections.server"}
    assert {name for name in structure.modules() if structure.package_of(name) is None} == faces


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert structure.circles() == []


def test_every_package_says_in_a_sentence_what_it_is() -> None:
    for name, tree in structure.trees().items():
        assert ast.get_docstring(tree), name


def suite_of(module: str) -> str | None:
    """The entry of `SUITES` for a module."""
    fitting = [entry for entry in SUITES if module == entry or module.startswith(f"{entry}.")]
    return max(fitting, key=len, default=None)


def test_each_module_has_tests_of_its_name_or_a_suite() -> None:
    """Tests mirror modules; a module that gets tests of its own leaves the list."""
    untested = {module for module in structure.without_test() if suite_of(module) is None}
    assert untested - UNTESTED_BY_NAME == set(), "write the tests of its name, or name its suite in tests/suites.py"
    assert UNTESTED_BY_NAME - untested == set(), "it has tests now: take it off the list in tests/suites.py"


def reached_by(test: Path) -> set[str]:
    """Our modules that a test imports, also by its helpers and through other modules."""
    ours: set[str] = set()
    followed: set[Path] = set()
    waiting = [test]
    while waiting:
        if (path := waiting.pop()) not in followed:
            followed.add(path)
            names = imported(path)
            ours |= names & structure.modules().keys()
            helpers = (PROJECT / (name.replace(".", "/") + ".py") for name in names if name.startswith("tests."))
            waiting += [helper for helper in helpers if helper.is_file()]
    found = structure.reachable(ours)
    if "ledger.sources" in found:  # which imports the module of a kind by its name
        found |= structure.reachable(name for name in structure.modules() if name.startswith("ledger.sources."))
    return found


def test_a_suite_reaches_the_modules_that_it_tests() -> None:
    covered: dict[str, set[str]] = {entry: set() for entry in SUITES}
    for module in structure.without_test():
        if (entry := suite_of(module)) is not None:
            covered[entry].add(module)
    for entry, suite in SUITES.items():
        assert covered[entry], f"the modules of {entry} have tests of their names: take it out of SUITES"
        if "/cli/" not in suite:  # a command's module is imported when it is called
            missed = covered[entry] - reached_by(PROJECT / "tests" / suite)
            assert missed == set(), f"{suite} never imports them"


def test_no_two_classes_have_one_name() -> None:
    assert {name: where for name, where in structure.classes().items() if len(where) > 1} == {}


@pytest.mark.parametrize("module", [name for name in PURE if name != "ledger.importing.planner"])
def test_the_pure_core_reaches_no_input_or_output(module: str) -> None:
    names = {name.split(".")[0] for name in reached(module, set())}
    assert names & IO <= {"pathlib"}, "ledger.errors names paths; nothing opens one"


def test_no_source_makes_an_event() -> None:
    makers = {"Event", "call_observed", "cost_observed", "event", "workflow_ended", "workflow_started"}
    for path in modules("ledger/sources"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ledger"):
                assert not makers & {alias.name for alias in node.names}, path


def test_only_the_command_line_imports_click_and_rich() -> None:
    for package in ("ledger", "projections"):
        for path in modules(package):
            if "cli" not in path.parts and path.name != "__main__.py":
                assert not {name.split(".")[0] for name in imported(path)} & {"click", "rich"}, path


def test_only_packages_that_other_programs_import_have_a_face() -> None:
    """See docs/decisions/0043-faces-for-outsiders.md: in a package without one, each module's `__all__` is its face."""
    packages = {name for name, path in structure.modules().items() if path.name == "__init__.py"}
    faces = {name for name in packages if len(structure.trees()[name].body) > 1}
    assert faces == {"ledger", "ledger.errors", "ledger.sources", "projections", "projections.cli"}
    assert faces == packages & structure.exported().keys()


def test_a_package_imports_only_what_a_module_of_another_exports() -> None:
    assert structure.unexported() == []


@pytest.mark.parametrize("package", ["ledger", "projections"])
def test_a_package_exports_exactly_what_it_says(package: str) -> None:
    module = importlib.import_module(package)
    public = {name for name in dir(module) if not name.startswith("_") and not _is_module(getattr(module, name))}
    assert public - {"TYPE_CHECKING"} == set(module.__all__)
    assert list(module.__all__) == sorted(module.__all__)
    assert (PROJECT / package / "py.typed").is_file()


@pytest.mark.parametrize("package", ["ledger", "projections"])
def test_a_name_is_loaded_from_where_the_type_checker_finds_it(package: str) -> None:
    tree = ast.parse((PROJECT / package / "__init__.py").read_text(encoding="utf-8"))
    imports = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "ledger.lazy_exports"
    ]
    checked = {alias.name: node.module for node in imports for alias in node.names}
    loaded = next(ast.literal_eval(node) for node in ast.walk(tree) if isinstance(node, ast.Dict))
    assert {name: f"{package}.{module}" for name, module in loaded.items()} == checked
    assert set(checked) == set(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", ["ledger", "projections"])
def test_no_exported_name_is_a_modules_too(package: str) -> None:
    """Importing that module would put it in the name's place."""
    modules = {path.stem for path in (PROJECT / package).iterdir()}
    assert not modules & set(importlib.import_module(package).__all__)


def _is_module(value: object) -> bool:
    return type(value).__name__ == "module"


def test_modules_and_functions_stay_small() -> None:
    for package, lines_max, function_lines_max in (("ledger", 400, 40), ("projections", 400, 40), ("tests", 600, 60)):
        for path in modules(package):
            source = path.read_text(encoding="utf-8")
            assert len(source.splitlines()) <= lines_max, path
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    assert lines <= function_lines_max, f"{path}: {node.name}"


def loaded_by(script: str, **run: Any) -> set[str]:
    """The modules that a new Python has after a script and had not before."""
    whole = f"import sys; before = set(sys.modules)\n{script}\nprint(*(set(sys.modules) - before), file=sys.stderr)"
    command = [sys.executable, "-c", whole]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, **run)
    return set(done.stderr.split())


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in ("ledger", "projections")}


def others(modules: set[str]) -> set[str]:
    """The packages of others among them."""
    return {name.split(".")[0] for name in modules} - {"ledger", "projections"} - sys.stdlib_module_names


@pytest.mark.parametrize("package", ["ledger", "projections"])
def test_a_package_alone_loads_none_of_its_modules(package: str) -> None:
    modules = loaded_by(f"import {package}")
    assert ours(modules) == {"ledger", "ledger.lazy_exports", package}
    assert others(modules) == set()
    everything = loaded_by(f"import {package}\nfrom {package} import *\nassert {{*{package}.__all__}} <= {{*dir()}}")
    assert everything > modules
    assert others(everything) - {"msgspec", "typing_extensions"} == {"orjson"}  # the fold's decoder, which imports both


def test_an_append_imports_nothing_heavy(tmp_path: Path) -> None:
    arguments = ["costledger", "observe", "w", "--cost-usd", "0.09", "--data", str(tmp_path)]
    modules = loaded_by(
        f"sys.argv = {arguments}\nfrom projections.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 0"
    )
    assert others(modules) == {"click", "orjson"}
    assert not modules & {"sqlite3", "subprocess", "multiprocessing", "asyncio", "importlib.metadata"}
    assert {name for name in ours(modules) if name.startswith("projections")} == {
        "projections",
        "projections.cli",
        "projections.cli.app",
        "projections.cli.commands",
        "projections.cli.commands.record",
        "projections.cli.budget_receipt",
        "projections.cli.numbers",
        "projections.cli.option_errors",
        "projections.cli.options",
    }
    assert not [name for name in ours(modules) if "sources" in name or "pric" in name]


@pytest.mark.parametrize("verb", ["statusline", "hook"])
def test_what_an_agent_waits_for_imports_even_less(verb: str, tmp_path: Path) -> None:
    reading = {"session_id": "s-1", "transcript_path": "/t.jsonl", "cost": {"total_cost_usd": 0.42}}
    spool = Spool(str(tmp_path))
    lock = spool.drain_lock()  # so that no drain starts, which would outlive this test
    assert lock is not None
    modules = loaded_by(
        f"sys.argv = ['costledger', {verb!r}]\nfrom projections.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 0",
        input=json.dumps(reading),
        env={**os.environ, "COSTLEDGER_DATA": str(tmp_path)},
    )
    os.close(lock)
    assert spool.waits()
    assert ours(modules) == {
        "ledger",
        "ledger.claude_code",
        "ledger.claude_code.spool",
        "ledger.lazy_exports",
        "projections",
        "projections.cli",
        "projections.claude_code",
        "projections.claude_code.statusline",
    }
    assert others(modules) == set()
    slow = {"typing", "pathlib", "dataclasses", "contextlib", "logging", "datetime", "subprocess", "inspect", "sqlite3"}
    assert not modules & slow
