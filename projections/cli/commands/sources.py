"""`sources`: what was found where, and what is not read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ledger.errors import InvalidInput, readable
from ledger.importing.auto_import import default_sources
from ledger.importing.importer import SourceRegister, configured
from ledger.sources.coverage import CANNOT_SHOW, DECLINED, declined_here
from ledger.text import counted, first_of
from projections.cli.options import NonEmptyPath, config, config_option, data_option, data_path, json_option
from projections.cli.output.console import console
from projections.cli.output.skipped import print_skipped
from projections.cli.output.tables import Table
from projections.cli.output.text import from_home, local_time, plain, print_json
from projections.cli.session import opened
from projections.documents.sources import sources_document
from projections.folding.tools import tool_of_kind
from projections.reports.found_sources import FoundPlace, FoundSources, found_sources

_COLUMNS: Final = ("tool", "sessions", "last activity", "where")
_UNKNOWN: Final = "unknown"


@click.command("sources")
@click.option(
    "--forget",
    type=NonEmptyPath(path_type=Path),
    metavar="PATH",
    help="Read no more from this path; what was read stays.",
)
@json_option
@config_option
@data_option
def sources_command(forget: Path | None, as_json: bool) -> int:
    """Show which logs were found where, what they cannot show, and which tools are not read.

    A default place that is forgotten stays forgotten until `costledger import KIND PATH` names it again.
    """
    if forget is not None:
        return _forget(forget, as_json=as_json)
    with opened(imports=True) as session:
        rows = {row.adw_id: row for row in session.history.rows()}
        found = found_sources(session.ledgers, configured(config()), rows)
    if as_json:
        print_json(sources_document(found))
        return 0
    _print_found(found)
    _print_skipped(found)
    _print_limits(found)
    for what, tools in (
        ("looked for, and not found", [tool for tool, places in found.not_found.items() if places]),
        ("without a default place (name a PATH)", [tool for tool, places in found.not_found.items() if not places]),
    ):
        if tools:
            console().print(plain(f"{what}: {', '.join(tools)}"))
    _print_declined()
    return 0


def _forget(path: Path, *, as_json: bool) -> int:
    absolute = str(path.absolute())
    if any(entry.path == absolute for entry in configured(config())):
        raise InvalidInput(f"--forget {readable(path)}: [[sources]] of costledger.toml name it; remove it there")
    register = SourceRegister(data_path())
    gone = register.forget(path, default_sources())
    if not gone:
        paths = [readable(entry.path) for entry in register.entries()]
        remembered = f"remembered are {first_of(paths)}" if paths else "none is remembered"
        raise InvalidInput(f"--forget {readable(path)}: no source has this path; {remembered}")
    if as_json:
        print_json({"forgotten": [{"kind": entry.kind, "path": readable(entry.path)} for entry in gone]})
        return 0
    for kind in dict.fromkeys(entry.kind for entry in gone):
        click.echo(f"forgotten: {tool_of_kind(kind)} in {from_home(path.absolute())}; what was read from it stays")
    return 0


def _print_found(found: FoundSources) -> None:
    if not found.tools:
        click.echo("no logs of a known tool were found")
        return
    shown = Table("Found", *_COLUMNS, right=("sessions",), whole=("last activity",), prose=("where",))
    for tool in found.tools:
        sessions = _UNKNOWN if tool.sessions is None else f"{tool.sessions:,}" if tool.sessions else ""
        last = local_time(tool.last_activity)[:-3] if tool.last_activity else ""
        shown.add_row(plain(tool.name), sessions, last, "\n".join(map(_where, tool.places)) or "not remembered")
    shown.print(console())


def _where(place: FoundPlace) -> str:
    state = "" if place.state == "read" else f" ({place.state})"
    return plain(f"{from_home(Path(place.path))}{state}")


def _print_skipped(found: FoundSources) -> None:
    print_skipped([each for tool in found.tools for each in tool.skipped], rest="costledger sources --json lists all")
    for tool in found.tools:
        for place in tool.places:
            if place.skipped[0] and not tool.skipped:
                command = f"costledger import {place.kind} {from_home(Path(place.path))}"
                were, them = ("was", "it") if place.skipped[0] == 1 else ("were", "them")
                inputs = counted(place.skipped[0], "input")
                click.echo(f"{inputs} of {tool.name} {were} skipped; `{command}` lists {them}")


def _print_limits(found: FoundSources) -> None:
    shown = Table("What the logs cannot show", "tool", "lacks", prose=("lacks",))
    for tool in found.tools:
        for kind in tool.kinds:
            name = tool.name if len(tool.kinds) == 1 else f"{tool.name} ({kind})"
            shown.add_row(name, CANNOT_SHOW[kind])
    if shown.row_count:
        shown.print(console())


def _print_declined() -> None:
    names: dict[str, list[str]] = {}
    for tool in DECLINED:
        names.setdefault(tool.reason, []).append(f"{tool.name} (found here)" if declined_here(tool) else tool.name)
    shown = Table("Not read", "tool", "why", prose=("why",))
    for reason, tools in names.items():
        shown.add_row(", ".join(tools), reason)
    shown.print(console())
