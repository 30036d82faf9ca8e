"""Where the logs of agents were found."""

from __future__ import annotations

from typing import Annotated

from ledger.errors import readable
from ledger.sources.coverage import CANNOT_SHOW, DECLINED, declined_here
from projections.documents.types import About, Moment, TypedDict, document
from projections.reports.found_sources import FoundSources, FoundTool

__all__ = ["SourcesDocument", "sources_document"]


@document
class PlaceDocument(TypedDict):
    """A path with a tool's logs."""

    kind: Annotated[str, About("as `costledger import KIND`", examples=["claude"])]
    path: str
    state: Annotated[
        str,
        About(
            "read: what is new is imported; gone: it no longer exists; forgotten: a default place that is not read "
            "since `--forget`; not read: a default place that is not read into this data directory"
        ),
    ]
    cannot_show: Annotated[str, About("what logs of this kind cannot show")]
    skipped_inputs: Annotated[int, About("what could not be read of it, when it was read last")]
    skipped_files: Annotated[int, About("in how many files")]


@document
class SkippedDocument(TypedDict):
    """An input that could not be read."""

    file: str
    line: int | None
    reason: str


@document
class FoundToolDocument(TypedDict):
    """A tool whose logs were found, or whose sessions the ledgers have."""

    tool: Annotated[str, About(examples=["Claude Code"])]
    sessions: Annotated[int | None, About("with readings in the ledgers; null while an import is running")]
    last_activity: Moment | None
    places: list[PlaceDocument]
    skipped: Annotated[list[SkippedDocument], About("of the logs of coding agents; `import KIND PATH` lists others")]


@document
class NotFoundDocument(TypedDict):
    """A tool whose logs were not found."""

    tool: str
    looked_in: list[str]


@document
class DeclinedDocument(TypedDict):
    """A tool whose logs are not read."""

    tool: Annotated[str, About(examples=["Cursor"])]
    reason: str
    found: Annotated[list[str], About("its folders that exist here")]


@document
class SourcesDocument(TypedDict):
    """What was found where, the last active tool first; what was not found; and what is not read, and why."""

    tools: list[FoundToolDocument]
    not_found: list[NotFoundDocument]
    declined: list[DeclinedDocument]


def sources_document(found: FoundSources) -> SourcesDocument:
    """Return what was found where."""
    return {
        "tools": [_tool(tool) for tool in found.tools],
        "not_found": [
            {"tool": name, "looked_in": [readable(path) for path in places]} for name, places in found.not_found.items()
        ],
        "declined": [
            {"tool": tool.name, "reason": tool.reason, "found": [readable(path) for path in declined_here(tool)]}
            for tool in DECLINED
        ],
    }


def _tool(tool: FoundTool) -> FoundToolDocument:
    return {
        "tool": tool.name,
        "sessions": tool.sessions,
        "last_activity": tool.last_activity,
        "places": [
            {
                "kind": place.kind,
                "path": readable(place.path),
                "state": place.state,
                "cannot_show": CANNOT_SHOW[place.kind],
                "skipped_inputs": place.skipped[0],
                "skipped_files": place.skipped[1],
            }
            for place in tool.places
        ],
        "skipped": [{"file": readable(each.path), "line": each.line, "reason": each.reason} for each in tool.skipped],
    }
