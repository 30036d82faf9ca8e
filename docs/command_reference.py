"""Write docs/commands.md from the commands of the command line.

Usage: python docs/command_reference.py
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from projections.cli.app import cli

PAGE = Path(__file__).with_name("commands.md")

_INTRODUCTION = """\
<!-- Written by docs/command_reference.py: change the commands, then run it. -->

# Commands

Every command with its options, as `costledger COMMAND --help` prints them. Options of many commands are described once,
in [options of many commands](#options-of-many-commands).
"""


def page() -> str:
    """Return the whole page."""
    root = click.Context(cli, info_name="costledger")
    lines = [_INTRODUCTION, *_contents(root), "## Options of many commands", ""]
    lines += [*_table(option for option in cli.params if _is_shared(option)), _text(cli.epilog), ""]
    for title, names in _groups(root):
        lines += [f"## {title}", ""]
        for name in names:
            lines += _command(_child(root, name))
    return "\n".join(lines).rstrip() + "\n"


def _contents(root: click.Context) -> Iterator[str]:
    """Yield a table of all commands by group."""
    yield from ("| group | commands |", "|---|---|")
    for title, names in _groups(root):
        links = ", ".join(f"[`{name}`](#costledger-{name})" for name in names)
        yield f"| {title} | {links} |"
    yield ""


def _groups(root: click.Context) -> Iterator[tuple[str, list[str]]]:
    """Yield the groups of `costledger --help` and their commands."""
    for title, entries in re.findall(r"^(\w[\w ]*):\n((?:  .*\n)+)", cli.get_help(root), re.M):
        names = [line.split()[0] for line in entries.splitlines()]
        if title != "Options":
            yield title, [name for name in names if cli.get_command(root, name) is not None]


def _child(parent: click.Context, name: str) -> click.Context:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None, name
    return click.Context(command, info_name=name, parent=parent)


def _command(context: click.Context) -> Iterator[str]:
    """Yield what the page says of a command, and of the commands of a command."""
    command = context.command
    yield from (f"### `{context.command_path}`", "")
    yield from _paragraphs(command.help or "")
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    yield from (f"`{usage.replace(']...', '...]')}`", "")
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    yield from _table(each for each in options if not _is_shared(each))
    if shared := [f"`{each.opts[0]}`" for each in options if _is_shared(each)]:
        yield from (f"Also {', '.join(shared)}.", "")
    if command.epilog:
        yield from (f"Example: `{command.epilog.rpartition('Example:')[2].strip()}`", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _command(_child(context, name))


def _is_shared(parameter: click.Parameter) -> bool:
    return parameter.name in {each.name for each in cli.params} - {"version"}


def _paragraphs(text: str) -> Iterator[str]:
    """Yield a help text as Markdown: a paragraph that click is not to wrap is a block."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b"):
            yield from ("```text", *inspect.cleandoc(paragraph.lstrip("\b\n")).splitlines(), "```", "")
        else:
            yield from (_text(paragraph), "")


def _table(options: Iterator[click.Parameter]) -> Iterator[str]:
    rows = [_row(option) for option in options if isinstance(option, click.Option)]
    if rows:
        yield from ("| option | |", "|---|---|", *rows, "")


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" `{_value(option)}`".replace("|", "\\|")
    notes = [_text(option.help or "")]
    notes += ["Required."] if option.required else []
    notes += [f"Default: `{option.default}`."] if option.show_default else []
    notes += ["May be given several times."] if option.multiple else []
    return f"| {names}{value} | {' '.join(note for note in notes if note)} |"


def _value(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.type.name.removesuffix(" range").upper()


def _text(text: str | None) -> str:
    """Return a text on one line, in a form that Markdown shows as it is."""
    line = " ".join((text or "").split())
    return re.sub(r"`[^`]*`|[<>|*]", lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", line)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
