"""Every block of commands in README.md and docs/*.md runs here, or a comment before it says where, or why not.

A command that a sentence names exists, with its options.

The comments are `<!-- not run: WHY -->` and `<!-- run in FILE -->`, before a block, or with `blocks: ` in front for all
blocks up to the next heading of any level. The blocks of a page run in their order, as one person would type them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import pytest

from projections.cli.app import cli, main
from tests.conftest import PROJECT

PAGES: Final = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
COMMANDS: Final = {"sh", "bash", "console", "shell", "python"}
"""Languages of blocks that a person runs."""

_MARKER: Final = re.compile(r"<!-- (?P<all>blocks: )?(?:not run: (?P<why>.+)|run in (?P<file>\S+)) -->")
IMAGINED: Final = {"costledger largest"}
"""The command that docs/architecture.md adds as an example."""

_COMMAND: Final = re.compile(
    r"^(\$ |[\d*/,-]+( [\d*/,-]+){4} )?(costledger|pytest|ruff|mypy|mkdocs|python3?|pip|pipx|uv|curl|git) ", re.M
)
"""A line that a person or cron runs, in a block of any language."""

_INLINE: Final = re.compile(r"`(costledger [^`]+)`")
_FENCE: Final = re.compile(r"(?P<indent> *)```(?P<language>\S*)$")
_OPERATORS: Final = re.compile(r"[|&;<>$`(){}*]")
FINDS: Final = {"check", "verify", "stale", "origin"}
"""Commands whose exit code 3 is an answer."""


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    why: str | None = None
    file: str | None = None

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"

    @property
    def is_of_commands(self) -> bool:
        """Whether a person runs it; blocks of other languages are output, files and drawings."""
        return self.language in COMMANDS or _COMMAND.search(self.text) is not None

    @property
    def runs_here(self) -> bool:
        return self.is_of_commands and self.why is None and self.file is None


def blocks_of(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    whole: dict[str, str | None] = {}
    before: dict[str, str | None] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        if (marker := _MARKER.fullmatch(line.strip())) is not None:
            before = {"why": marker["why"], "file": marker["file"]}
            whole = before if marker["all"] else whole
        elif (fence := _FENCE.fullmatch(line)) is not None:
            end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
            text = "\n".join(text.removeprefix(fence["indent"]) for text in lines[at + 1 : end])
            yield Block(page, at + 1, fence["language"], text, **(before or whole))
            at = end
            before = {}
        elif line.startswith("#"):
            whole = before = {}
        elif line.strip():
            before = {}
        at += 1


EVERY: Final = [block for page in PAGES for block in blocks_of(page)]


def test_a_block_that_does_not_run_here_names_what_runs_it_or_a_reason() -> None:
    marked = [block for block in EVERY if block.why or block.file]
    assert len(marked) > 10
    for block in marked:
        assert block.is_of_commands, f"{block.where}: a marker at what no one runs"
        if block.file is not None:
            runner = PROJECT / block.file
            names = runner.read_text(encoding="utf-8") if runner.is_file() else ""
            assert block.page.name in names, f"{block.where}: {block.file} does not read {block.page.name}"
        else:
            assert len((block.why or "").split()) >= 4, f"{block.where}: that is no reason"


def test_most_blocks_run_somewhere() -> None:
    of_commands = [block for block in EVERY if block.is_of_commands]
    assert sum(block.why is None for block in of_commands) > len(of_commands) / 2


def inline_commands(page: Path) -> Iterator[str]:
    """Yield the commands that sentences and tables name, each once."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    yield from dict.fromkeys(" ".join(found.split()) for found in _INLINE.findall(text))


def unknown_part(call: str) -> str | None:
    """Return the first command or option of a call that does not exist; "…" and words in capitals stand for others."""
    command: click.Command = cli
    words = iter(call.split()[1:])
    for word in words:
        if word.startswith("--") and word != "--":
            option = re.split(r"[=….,\]]", word)[0]
            takes_value = {
                name: _takes_value(each) for each in command.params for name in (*each.opts, *each.secondary_opts)
            }
            if option not in {*takes_value, "--help", ""}:
                return option
            if takes_value.get(option) and "=" not in word:
                next(words, None)
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z]+(-[a-z]+)*", word):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return word
            command = found
    return None


def _takes_value(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not parameter.is_flag


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_in_a_sentence_exists_with_its_options(page: Path) -> None:
    named = set(inline_commands(page)) - IMAGINED
    assert {call: wrong for call in named if (wrong := unknown_part(call)) is not None} == {}


def test_a_command_in_a_sentence_that_does_not_exist_is_found() -> None:
    assert unknown_part("costledger histroy") == "histroy"
    assert unknown_part("costledger show --al") == "--al"
    assert unknown_part("costledger token revoke --now") == "--now"
    assert unknown_part("costledger --data DIR stale --accept ID --reason WHY") is None


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a person who reads the pages has: agents' output, transcripts, an export, and what was imported of it."""
    folder = tmp_path_factory.mktemp("reader")
    example = PROJECT / "data" / "examples" / "5-reviewed" / "agents"
    for place in ("path/to/agents", "agents"):
        shutil.copytree(example, folder / place)
    shutil.copytree(PROJECT / "data" / "examples", folder / "data" / "examples")
    shutil.copytree(PROJECT / "tests" / "ledger" / "samples" / "claude", folder / "home" / ".claude")
    shutil.copytree(PROJECT / "tests" / "ledger" / "samples" / "codex", folder / "home" / ".codex")
    (folder / "calls.csv").write_text('job,usd,meta\na5b80595,0.09,"{""tokens"": {""out"": 340}}"\n', encoding="utf-8")
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").touch()
    return folder


class Reader:
    """A person in a folder, who types what a page says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capfd = monkeypatch, capfd
        for name in [name for name in os.environ if name.startswith("COSTLEDGER")]:
            monkeypatch.delenv(name)
        given = {"HOME": folder / "home", "CLAUDE_CONFIG_DIR": "", "CODEX_HOME": "", "ID": "a5b80595"}
        given |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "XDG_DATA_HOME": folder / "home/share"}
        for name, value in given.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.chdir(folder)

    def runs(self, block: Block) -> None:
        if block.language == "python":
            exec(compile(block.text, block.where, "exec"), {"__name__": "example"})  # noqa: S102 - our own page
            return
        rest = ""
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True) if not rest else []
            if words[:1] == ["costledger"] and not _OPERATORS.search(line.partition(" #")[0]):
                self._in_process(block, [os.path.expanduser(word) for word in words[1:]])
            elif words[:1] == ["export"]:
                for name, _, value in (word.partition("=") for word in words[1:]):
                    self._patch.setenv(name, os.path.expandvars(value))
            elif words or rest:
                rest += line + "\n"
        if rest:
            shell = ["/bin/bash", "-euo", "pipefail", "-c", rest]
            done = subprocess.run(shell, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            assert done.returncode == 0, f"{block.where}: {rest}{done.stdout}{done.stderr}"

    def _in_process(self, block: Block, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        printed = self._capfd.readouterr()
        allowed = (0, 3) if FINDS & {*arguments} else (0,)
        assert left.value.code in allowed, f"{block.where}: costledger {shlex.join(arguments)}: {printed.err}"
        assert "Traceback" not in printed.err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_as_they_stand_there(
    page: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    todo = [block for block in EVERY if block.page == page and block.runs_here]
    if not todo:
        return
    folder = tmp_path / "reader"
    shutil.copytree(prepared, folder)
    reader = Reader(folder, monkeypatch, capfd)
    with pytest.raises(SystemExit):
        main(["import", "adw", "agents"])
    for block in todo:
        reader.runs(block)
