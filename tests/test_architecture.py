"""The boundaries of the house, kept by tests."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PURE = ["ledger/events.py", "ledger/money.py", "ledger/line.py", "ledger/runs.py", "ledger/planning.py"]
PURE += ["ledger/chain.py", "ledger/replica.py", "ledger/replicas/subjects.py", "ledger/replicas/stream.py"]
PURE += [
    f"projections/{name}.py"
    for name in ("fold", "meters", "spend", "stand", "summary", "workflow_history", "explain", "merge", "reports")
]
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


def reached(path: Path, seen: set[Path]) -> set[str]:
    """Everything a module imports, through our own modules too."""
    seen.add(path)
    found = imported(path)
    for name in list(found):
        module = PROJECT / (name.replace(".", "/") + ".py")
        if module.is_file() and module not in seen:
            found |= reached(module, seen)
    return found


def test_the_ledger_imports_nothing_of_the_projections() -> None:
    for path in modules("ledger"):
        assert not any(name.split(".")[0] == "projections" for name in imported(path)), path


@pytest.mark.parametrize("path", [name for name in PURE if "planning" not in name and "errors" not in name])
def test_the_pure_core_reaches_no_input_or_output(path: str) -> None:
    names = {name.split(".")[0] for name in reached(PROJECT / path, set())}
    assert names & IO <= {"pathlib"}, "ledger.errors names paths; nothing opens one"


def test_only_the_command_line_imports_click_and_rich() -> None:
    for package in ("ledger", "projections"):
        for path in modules(package):
            if "cli" not in path.parts and path.name != "__main__.py":
                assert not {name.split(".")[0] for name in imported(path)} & {"click", "rich"}, path


@pytest.mark.parametrize("package", ["ledger", "projections"])
def test_a_package_exports_exactly_what_it_says(package: str) -> None:
    module = importlib.import_module(package)
    public = {name for name, value in vars(module).items() if not name.startswith("_") and not _is_module(value)}
    assert public == set(module.__all__)
    assert list(module.__all__) == sorted(module.__all__)
    assert (PROJECT / package / "py.typed").is_file()


def _is_module(value: object) -> bool:
    return type(value).__name__ == "module"


def test_modules_and_functions_stay_small() -> None:
    for package in ("ledger", "projections", "tests"):
        for path in modules(package):
            source = path.read_text(encoding="utf-8")
            assert len(source.splitlines()) < 600, path
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef):
                    assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"


def test_an_append_imports_nothing_heavy() -> None:
    script = (
        "import sys; from projections.cli.app import cli; import projections.cli.appending; "
        "print(sorted({'pydantic', 'rich', 'genai_prices', 'sqlite3', 'psycopg', 'nats'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", ["statusline", "hook"])
def test_what_an_agent_waits_for_imports_even_less(verb: str, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.argv = ['costledger', {verb!r}]\n"
        "from projections.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'click', 'pydantic', 'rich', 'genai_prices', 'sqlite3', 'subprocess', 'multiprocessing'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    environment = {**os.environ, "COSTLEDGER_DATA": str(tmp_path)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=PROJECT, input="{}", env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
