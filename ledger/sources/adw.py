"""A tree of agents' folders, as AI developer workflows leave it: `agents/<workflow_id>/<agent>/…output.jsonl`.

Observed in public repositories: the log is called `raw_output.jsonl`, `cc_raw_output.jsonl` or
`<phase>_output.jsonl`; a log in the workflow's own folder has no agent; `adw_state.json` in the same folder may have
issue, template, status and times (without a zone: local time).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, Field, ValidationError

from ledger.errors import CostledgerError, SourceUnreadable, readable, reason, shown
from ledger.events import timestamps
from ledger.events.fields import check_name
from ledger.events.ids import digest
from ledger.sources.claude_stream import ClaudeStream, read_log
from ledger.sources.findings import Evidence, Findings, Options, Part, Skipped, date, spelled
from ledger.sources.formats.folders import walked
from ledger.sources.formats.regular_files import read_regular
from ledger.text import first_of

__all__ = ["Adw"]

KIND: Final = "adw"
_STATE_FILE: Final = "adw_state.json"
_STATE_BYTES_MAX: Final = 4 * 1024 * 1024
_LOG_SUFFIX: Final = "output.jsonl"
_DEPTH_MAX: Final = 8
_EVIDENCE: Final = "adw_state"
_OPEN: Final = timedelta(days=1)
"""How long after the last time of an open state its agents are assumed to write logs."""

_STATUSES: Final = {
    "completed": "completed",
    "complete": "completed",
    "success": "completed",
    "succeeded": "completed",
    "done": "completed",
    "failed": "failed",
    "failure": "failed",
    "error": "failed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "aborted": "cancelled",
    "running": "running",
    "in_progress": "running",
}


class _Phase(BaseModel):
    completed_at: str | None = None
    error: str | None = None


class _State(BaseModel):
    """The fields that are read of `adw_state.json`."""

    status: str | None = None
    created_at: str | None = None
    completed_at: str | None = None
    issue_number: int | str | None = Field(
        default=None, validation_alias=AliasChoices("issue_number", AliasPath("issue", "number"))
    )
    workflow_template: Annotated[str, AfterValidator(check_name)] | None = Field(
        default=None, validation_alias=AliasChoices("workflow_template", "workflow_type", "workflow_name")
    )
    error_message: str | None = Field(default=None, validation_alias=AliasChoices("error_message", "error"))
    phase_results: list[_Phase] = []


class Adw:
    """The source `adw`: an `agents` folder, a folder that has one, or one workflow's folder in it."""

    def identify(self, path: Path) -> bool:
        """See `Source.identify`."""
        try:
            return path.is_dir() and any(_is_readable(folder) for folder in _workflow_folders(path))
        except SourceUnreadable:
            return False

    def parts(self, path: Path, options: Options) -> list[Part]:
        """See `Source.parts`: one part per workflow folder that has something to read."""
        if not path.exists():
            raise SourceUnreadable(path, "there is no such folder")
        if not path.is_dir():
            raise SourceUnreadable(path, "is not a folder; for one log use `import claude-stream`")
        parts: list[Part] = []
        folders, any_closed = _workflow_folders(path, named=options.workflow_id is not None), False
        for folder in folders:
            skipped: list[Skipped] = []
            logs, state = _logs(folder, skipped=skipped), folder / _STATE_FILE
            any_closed = any_closed or bool(skipped)
            if logs or skipped or os.path.isfile(state):
                looked = [_size_and_time(file) for file in (*(log for log, _ in logs), state)]
                size, written_at = sum(size for size, _ in looked), max(time for _, time in looked)
                read = _reader(folder, logs, skipped, options.agent)
                parts.append(Part(options.workflow_id or folder.name, size, read, written_at))
        if parts and not any_closed and not any(_is_readable(folder) for folder in folders):
            raise SourceUnreadable(path, f"holds no log of `claude -p`, only other files …{_LOG_SUFFIX}")
        if not parts:
            raise SourceUnreadable(path, f"holds no agents' output (no …{_LOG_SUFFIX} and no {_STATE_FILE})")
        return parts


def _reader(
    folder: Path, logs: list[tuple[Path, str | None]], skipped: list[Skipped], agent: str | None
) -> Callable[[], Findings]:
    def read() -> Findings:
        """Read the logs and the state file of one workflow."""
        findings = Findings(skipped=list(skipped))
        for log, named in logs:
            read_log(log, agent or named, findings)
        _read_state(folder / _STATE_FILE, folder.name, findings)
        return findings

    return read


def _workflow_folders(path: Path, *, named: bool = False) -> list[Path]:
    """Return the folders that are one workflow each, in the order of their names.

    Args:
        named: the caller names the workflow, so that a folder outside of a tree is one too.

    Raises:
        SourceUnreadable: it is no tree, so that the name of a folder in it is no workflow's.
    """
    if _is_called_agents(path):
        return _folders(path)
    folder, inside = Path(os.path.abspath(path)), path / "agents"
    if (path / _STATE_FILE).is_file() or (_is_called_agents(folder.parent) and not _has_workflows(inside)):
        return [folder]
    if inside.is_dir():
        return _folders(inside)
    if projects := [entry for entry in _folders(path) if _has_workflows(entry / "agents")]:
        names = first_of([readable(project.name) for project in projects])
        raise SourceUnreadable(path, f"holds projects with a folder `agents` each; name one of them ({names})")
    if named:
        return [folder]
    problem = f"holds no ADW tree, whose logs are agents/<workflow id>/<agent>/…{_LOG_SUFFIX}"
    raise SourceUnreadable(path, f"{problem}; for one log use: costledger import claude-stream PATH [--workflow-id ID]")


def _is_called_agents(path: Path) -> bool:
    return "agents" in (Path(os.path.abspath(path)).name, path.resolve().name)


def _has_workflows(agents: Path) -> bool:
    return agents.is_dir() and any(_logs(folder) for folder in _folders(agents))


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError as error:
        raise SourceUnreadable(path, f"cannot be listed: {reason(error)}") from error


def _logs(
    folder: Path, depth_max: int = _DEPTH_MAX, skipped: list[Skipped] | None = None
) -> list[tuple[Path, str | None]]:
    """The logs of a workflow with their agents: the first folder below the workflow's."""
    found: list[tuple[Path, str | None]] = []
    skipped = [] if skipped is None else skipped
    for where, folders, names in walked(folder, skipped):
        inside = Path(where).relative_to(folder).parts
        folders[:] = folders if len(inside) < depth_max else []
        found += [(Path(where) / name, readable(inside[0]) if inside else None) for name in sorted(_of_logs(names))]
    return found


def _is_readable(folder: Path) -> bool:
    """Whether a workflow has a state file, or a log that is empty so far, cannot be opened, or is of `claude -p`."""
    return os.path.isfile(folder / _STATE_FILE) or any(_may_be_stream(log) for log, _ in _logs(folder))


def _may_be_stream(log: Path) -> bool:
    try:
        return not log.stat().st_size or ClaudeStream().identify(log)
    except (OSError, CostledgerError):
        return True


def _of_logs(names: Iterable[str]) -> Iterable[str]:
    return (name for name in names if name.endswith(_LOG_SUFFIX))


def _size_and_time(path: Path) -> tuple[int, float]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0.0
    return found.st_size, found.st_mtime


def _read_state(path: Path, workflow_id: str, findings: Findings) -> None:
    """Add what the state file contains, if there is one."""
    try:
        if path.stat().st_size > _STATE_BYTES_MAX:
            findings.skipped.append(Skipped(path, None, f"is larger than {_STATE_BYTES_MAX:,} bytes"))
            return
        raw = read_regular(path)
        state = _State.model_validate(orjson.loads(raw))
    except FileNotFoundError:
        return
    except OSError as error:
        findings.skipped.append(Skipped(path, None, f"cannot be read: {reason(error)}"))
        return
    except (orjson.JSONDecodeError, ValidationError) as error:
        findings.skipped.append(Skipped(path, None, f"cannot be used: {str(error).splitlines()[0]}"))
        return
    origin = {"source": {"kind": KIND, "file": spelled(path)}}
    facts: dict[str, Any] = {
        "issue_number": _issue(state.issue_number),
        "workflow_template": state.workflow_template or None,
        "observed_at": _moment(state.created_at),
    }
    facts = {name: value for name, value in facts.items() if value is not None}
    if facts:
        findings.started = {"id": digest(KIND, "started", workflow_id, *sorted(facts.items())), **facts, **origin}
    status = _STATUSES.get((state.status or "").strip().lower())
    if status is not None:
        end: dict[str, Any] = {"id": digest(KIND, status, workflow_id, raw.decode("utf-8", "replace")), **origin}
        if status == "failed" and state.error_message:
            end["error_message"] = state.error_message[:4000]
        finished = _moment(state.completed_at or _last_phase(state))
        if finished is not None and status != "running":
            end["observed_at"] = finished
        if status == "running" and "observed_at" in facts:
            end["observed_at"] = facts["observed_at"]
        findings.status = (status, end)
    elif state.status:
        findings.skipped.append(Skipped(path, None, f"status {shown(state.status)} is not supported by this version"))
    for session in findings.sessions:
        date(session, partial(_evidence, state, status))


def _evidence(state: _State, status: str | None, written_at: str | None) -> Evidence:
    """Return when a log was written: its modification time, unless the state rules that out, as after a copy."""
    created, finished = _moment(state.created_at), _moment(state.completed_at or _last_phase(state))
    last = finished or created
    if last is None:
        return Evidence(written_at, "file")
    slack = timedelta(0) if finished and status not in (None, "running") else _OPEN
    latest = timestamps.to_wire(timestamps.from_wire(last) + slack)
    if written_at is None or written_at > latest:
        return Evidence(last, _EVIDENCE)
    return Evidence(created, _EVIDENCE) if created and written_at < created else Evidence(written_at, "file")


def _last_phase(state: _State) -> str | None:
    return max((phase.completed_at for phase in state.phase_results if phase.completed_at), default=None)


def _issue(value: int | str | None) -> int | None:
    if isinstance(value, int):
        return value if 0 <= value < 2**63 else None
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 18 else None


def _moment(text: str | None) -> str | None:
    """A time of the state file; without a zone it is local time."""
    try:
        found = timestamps.moment(text, local=True)
        return None if found is None else timestamps.parse(found)
    except (ValueError, OverflowError, OSError):
        return None
