"""`import`: read the logs of agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ledger.errors import CostledgerError, InvalidInput, NoLogs, SourceUnreadable, readable
from ledger.events import money
from ledger.importing.auto_import import SourceReading, default_sources, not_registered
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import ImportOptions, SourceEntry, SourceRegister, configured, import_entry
from ledger.sources import KINDS, TRANSCRIPT_KINDS, identified, transcript
from ledger.sources.agents import AGENTS
from ledger.sources.formats.folders import may_exist
from ledger.sources.formats.jsonl import CUT
from ledger.storage.parallel import processes_at_hand
from ledger.text import counted, first_of
from projections.cli.options import (
    NonEmptyPath,
    config,
    config_option,
    config_path,
    data_option,
    data_path,
    json_option,
    prices,
    store,
)
from projections.cli.output.console import console
from projections.cli.output.costs import in_words, shown_cost
from projections.cli.output.progress import progress_bar
from projections.cli.output.skipped import print_skipped
from projections.cli.output.tables import Table
from projections.cli.output.text import from_home, plain, print_json
from projections.cli.session import log_changes, opened
from projections.cli.source_kinds import KindOrPath, nothing_usable, other_tool, unrecognised
from projections.folding.row import Row
from projections.folding.tools import tool_of_kind
from projections.reports.overview import Figure, by_tool_of

_Failed = list[tuple[Path, CostledgerError]]
"""Paths that could not be read, each with its error."""

_Options = tuple[str | None, str | None, tuple[str, ...], str]
"""The fields of a `SourceEntry` after its path."""


@click.command("import")
@click.argument("kind", metavar="[KIND]", type=KindOrPath(), required=False)
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=NonEmptyPath(path_type=Path))
@click.option("--workflow-id", "--workflow", help="The workflow, where the files do not name it.")
@click.option("--agent", help="The agent, where the folders do not name it.")
@click.option(
    "--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="csv, jsonl: which column is which field."
)
@click.option(
    "--workflow-by",
    type=click.Choice(["session", "project", "branch"]),
    help="For the logs of coding agents: what a workflow is  [default: session]",
)
@click.option("--status", type=click.Choice(["completed", "failed", "cancelled"]), help="How the workflows have ended.")
@json_option
@config_option
@data_option
def import_command(
    kind: str | None,
    paths: tuple[Path, ...],
    workflow_id: str | None,
    agent: str | None,
    columns: tuple[str, ...],
    workflow_by: str | None,
    status: str | None,
    as_json: bool,
) -> int:
    """Append what is in PATH and not in the ledgers; the same import again appends nothing.

    Without KIND, the kind of each PATH is recognised. Without PATH too, all that is found is read: the logs of all
    agents in their default places, what was imported before, and the [[sources]] of costledger.toml.

    \b
    adw            a tree of agents' folders: agents/<workflow id>/<agent>/
    claude         Claude Code's transcripts; without PATH: its default places
    claude-stream  one log of stream-json, or messages of the Claude Agent SDK
    codex          Codex CLI's rollouts; without PATH: $CODEX_HOME or ~/.codex
    aider, cline, cline-cli, copilot, crush, gemini, kilo, kilo-code, kimi,
    kimi-code, mimo, mini-swe-agent, omp, openclaw, opencode, openhands, pi,
    qwen, roo, swe-agent: other agents' logs; without PATH: default places
    csv, jsonl     any other table of calls; --map names the column of each field
    litellm        an export of LiteLLM's spend log: CSV, JSON or JSON lines
    otlp           OpenTelemetry as the Collector's file exporter writes it
    history-db     an application's SQLite table workflow_history
    """
    if kind not in (None, *KINDS):
        kind, paths = None, (Path(str(kind)), *paths)
    if kind is None and not paths:
        if any((workflow_id, agent, columns, workflow_by)):
            raise click.UsageError("this option is for a KIND or a PATH, and none is named; [[sources]] have their own")
        report, failed = _imported(_everything(), status, paths_given=False, unused_too=True)
        return _answer(report, failed, None, as_json=as_json, by_tool=True)
    named, unknown = _named(kind, paths, (workflow_id, agent, columns, workflow_by or "session"))
    option = _naming_option(named, workflow_id, workflow_by)
    report, failed = _imported(named, status, paths_given=bool(paths))
    return _answer(report, [*unknown, *failed], option, as_json=as_json)


def _answer(report: ImportReport, failed: _Failed, option: str | None, *, as_json: bool, by_tool: bool = False) -> int:
    """Print what the import did; return the exit code.

    Args:
        option: the one that names the workflows of transcripts.
        by_tool: print what each tool cost, too.
    """
    if not report.workflows and not report.problems and len(failed) == 1:
        raise failed[0][1]
    if not as_json:
        _print(report)
    _print_notes(report, failed, option)
    _print_end(report, failed, as_json=as_json, by_tool=by_tool)
    return 1 if failed or report.problems else 0


def _print_end(report: ImportReport, failed: _Failed, *, as_json: bool, by_tool: bool) -> None:
    """Bring the rows up to date, and print what all of it cost, `by_tool` too; with `as_json` the whole document."""
    if report.appended:
        log_changes()
    with opened(workflow_ids=None if by_tool else report.workflows) as session:
        rows = session.history.rows()
    if as_json:
        tools = {"by_tool": _tools_json(rows)} if by_tool else {}
        print_json(_as_json(report, failed) | {"total": _total_json(report, rows)} | tools)
    else:
        if by_tool:
            _print_tools(rows)
        _print_total(report, rows, session.where)


def _print_notes(report: ImportReport, failed: _Failed, option: str | None) -> None:
    """Print on stderr what a person has to know of the import."""
    if report.unchanged and option:
        said = "names the workflow of others, and takes over what an import had named by default"
        click.echo(f"messages that a ledger has stay in it; {option} {said}", err=True)
    if alone := len(report.without_folder):
        sessions = f"{counted(alone, 'session')} named no folder"
        click.echo(f"{sessions} to be a project's by; each is a workflow of its own", err=True)
    for path, problem in failed:
        where = "" if isinstance(problem, SourceUnreadable) and problem.path == path else f"{readable(path)}: "
        click.echo(f"costledger: {where}{problem}", err=True)
    for name, problem in report.problems:
        click.echo(f"costledger: {name}: {problem}", err=True)


def _naming_option(named: list[SourceEntry], workflow_id: str | None, workflow_by: str | None) -> str | None:
    """Return the option that names the workflows of transcripts; refuse what would be passed over in silence."""
    if workflow_by is not None and any(entry.kind not in TRANSCRIPT_KINDS for entry in named):
        raise click.UsageError(f"--workflow-by is for {', '.join(TRANSCRIPT_KINDS)}")
    if workflow_by is not None and workflow_id is not None:
        raise click.UsageError("--workflow-id names one workflow for all of it; leave out --workflow-by, or it")
    if not any(entry.kind in TRANSCRIPT_KINDS for entry in named):
        return None
    return "--workflow-id" if workflow_id else "--workflow-by" if workflow_by else None


def _named(kind: str | None, paths: tuple[Path, ...], options: _Options) -> tuple[list[SourceEntry], _Failed]:
    """Return the sources that are named, and the paths whose kind cannot be recognised."""
    if kind is not None:
        return [SourceEntry(kind, str(path), *options) for path in paths or _default_paths(kind)], []
    named: list[SourceEntry] = []
    failed: _Failed = []
    for path in paths:
        found = identified(path)
        if found is None:
            failed.append((path, SourceUnreadable(path, unrecognised(path))))
        else:
            named.append(SourceEntry(found, str(path), *options))
    return named, failed


def _everything() -> list[SourceEntry]:
    """The sources of the configuration, those that were imported before, and the default places.

    Raises:
        InvalidInput: there are none.
    """
    register = SourceRegister(data_path())
    given = [*configured(config()), *(each for each in register.entries() if may_exist(Path(each.path)))]
    found = [*dict.fromkeys(given), *not_registered(default_sources(), given, register.forgotten())]
    if not found:
        where = config_path() or "costledger.toml (there is none)"
        raise InvalidInput(
            "no logs of a supported agent are in their default places (`costledger sources --json` lists them), and no "
            f"[[sources]] in {where}; name a PATH, or a KIND and a PATH"
        )
    return found


def _imported(
    named: list[SourceEntry], status: str | None, *, paths_given: bool, unused_too: bool = False
) -> tuple[ImportReport, _Failed]:
    """Return what the sources contained together, and those that could not be read.

    Args:
        paths_given: the caller named the paths: one without input is of another kind, mostly.
        unused_too: a folder without any log is of a tool that was never used, and no error.
    """
    ledgers, register, book = store(), SourceRegister(data_path()), prices()
    report = ImportReport()
    failed: _Failed = []
    for entry in named:
        path = Path(entry.path)
        try:
            with progress_bar(f"reading {tool_of_kind(entry.kind)}: {readable(path.name)}") as progress:
                reading = SourceReading(entry)
                options = ImportOptions(
                    status=status,
                    unchanged=reading.is_unchanged,
                    prices=book,
                    progress=progress,
                    processes=processes_at_hand(),
                )
                found = import_entry(ledgers, entry, options)
            if paths_given:
                _check_found(entry, found)
            report.merge(found)
            register.add(entry)
            reading.store(ledgers, found)
        except CostledgerError as error:
            if unused_too and isinstance(error, NoLogs):
                continue
            is_input = isinstance(error, SourceUnreadable | InvalidInput) and not entry.map
            other = other_tool(entry.kind, path) if paths_given and is_input else None
            failed.append((path, error if other is None else SourceUnreadable(path, other)))
    return report, failed


def _check_found(entry: SourceEntry, found: ImportReport) -> None:
    """Refuse a path without anything that was read.

    Raises:
        SourceUnreadable: it says whose log the path is, or what it looks like.
    """
    path = Path(entry.path)
    if found.workflows or found.problems or found.in_unchanged_files:
        return
    if (other := other_tool(entry.kind, path)) is not None:
        raise SourceUnreadable(path, other)
    if not found.skipped or _is_foreign(entry.kind, path, found):
        raise SourceUnreadable(path, nothing_usable(entry.kind, path, found.skipped))


def _is_foreign(kind: str, path: Path, found: ImportReport) -> bool:
    """Whether no file can be read: the one that is named, unless it is merely cut at its end, or all below a folder."""
    if path.is_file():
        return all(each.reason != CUT for each in found.skipped)
    whole = {each.path for each in found.skipped if each.line is None}
    return kind in TRANSCRIPT_KINDS and whole.issuperset(transcript(kind).files(path))


def _default_paths(kind: str) -> list[Path]:
    if kind not in TRANSCRIPT_KINDS or AGENTS[kind].anywhere:
        raise click.UsageError(f"name the PATH that `import {kind}` is to read")
    if found := transcript(kind).existing_folders():
        return found
    places = first_of([from_home(folder) for folder in transcript(kind).default_folders()])
    raise click.UsageError(f"nothing of {kind} is in its default places ({places}); name a PATH")


def _as_json(report: ImportReport, failed: _Failed) -> dict[str, Any]:
    return {
        "appended": report.appended,
        "unchanged": report.unchanged,
        "workflows": {name: {"appended": c.appended, "unchanged": c.unchanged} for name, c in report.workflows.items()},
        "skipped": [{"file": readable(s.path), "line": s.line, "reason": s.reason} for s in report.skipped],
        "errors": [
            *({"path": readable(path), "error": str(error)} for path, error in failed),
            *({"workflow_id": readable(name), "error": str(error)} for name, error in report.problems),
        ],
    }


def _totals(report: ImportReport, rows: list[Row]) -> tuple[Figure, Figure, int]:
    """What the workflows of the import cost, what all workflows cost, and how many of the first have a row."""
    read, ever, count = Figure(), Figure(), 0
    for row in rows:
        ever.take_row(row)
        if row.adw_id in report.workflows:
            read.take_row(row)
            count += 1
    return read, ever, count


def _total_json(report: ImportReport, rows: list[Row]) -> dict[str, Any]:
    read, ever, count = _totals(report, rows)
    return {
        "workflows": count,
        "cost_usd": money.to_wire(read.nanousd),
        "at_least": read.at_least,
        "in_all": {"workflows": len(rows), "cost_usd": money.to_wire(ever.nanousd), "at_least": ever.at_least},
    }


def _tools_json(rows: list[Row]) -> dict[str, Any]:
    return {
        tool: {"workflows": count, "cost_usd": money.to_wire(figure.nanousd), "at_least": figure.at_least}
        for tool, (count, figure) in by_tool_of(rows).items()
    }


def _print_tools(rows: list[Row]) -> None:
    shown = Table(None, "tool", "workflows", "cost", right=("workflows", "cost"))
    for tool, (count, figure) in by_tool_of(rows).items():
        cost = shown_cost(figure.nanousd, unpriced=figure.unpriced, at_least=figure.at_least)
        shown.add_row(plain(tool), f"{count:,}", cost)
    if rows:
        shown.print(console())


def _print_total(report: ImportReport, rows: list[Row], where: str) -> None:
    """The last line: what all of it cost, in dollars."""
    read, ever, count = _totals(report, rows)
    shown, shown_ever = (
        in_words(each.nanousd, unpriced=each.unpriced, at_least=each.at_least) for each in (read, ever)
    )
    these = f"{shown} in {counted(count, 'workflow')} read now; " if 0 < count < len(rows) else ""
    click.echo(f"{these}{shown_ever} in {'all ' if these else ''}{counted(len(rows), 'workflow')} of {where}")


def _print(report: ImportReport) -> None:
    click.echo(
        f"{counted(report.appended, 'event')} appended, {report.unchanged:,} unchanged, "
        f"{counted(len(report.skipped), 'input')} skipped, in {counted(len(report.workflows), 'workflow')}"
    )
    print_skipped(report.skipped, rest="--json lists all")
