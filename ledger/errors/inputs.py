"""Errors of callers: invalid events, names, files and configuration."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from ledger.errors.base import CostledgerError, InvalidInput
from ledger.errors.sentences import readable, shown


class InvalidMoney(InvalidInput):
    """An amount that is not a non-negative, finite number of US dollars."""

    def __init__(self, value: object, problem: str) -> None:
        super().__init__(f"{shown(value)} is not an amount in USD: {problem}")


class InvalidWorkflowId(InvalidInput):
    """A workflow id that is not a safe file name."""

    def __init__(self, value: object) -> None:
        problem = "there is no workflow id" if value is None else f"{shown(value)} is not a workflow id"
        long = f"it has {len(value)} characters; " if isinstance(value, str) and len(value) > 128 else ""
        super().__init__(f"{problem}: {long}use 1 to 128 letters, digits, '_', '-' or '.', not starting with '.'")


class InvalidEvent(InvalidInput):
    """An event whose field is missing, of the wrong kind or out of range."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(f"field {field!r}: {problem}")


class InvalidAnchor(InvalidInput):
    """A text without an anchor; `line` counts from 1, and 0 means that the whole text has none."""

    def __init__(self, line: int) -> None:
        where = f"line {line} is" if line else "there is"
        super().__init__(f"{where} no anchor: expected the line that `costledger anchor` printed")


PERCENT_ENCODE: Final = (
    "in a user name or password write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F, comma as %2C"
)


class InvalidReplica(InvalidInput):
    """A name that is not the address of a replica."""

    def __init__(self, name: str, *, has_user: bool = False) -> None:
        hint = f"; {PERCENT_ENCODE}" if has_user else ""
        super().__init__(f"{name!r} names no replica: expected nats://HOST:PORT, several separated by commas{hint}")


class InvalidConfig(InvalidInput):
    """A configuration file that is not valid; each problem has its line, from 1, where there is one."""

    def __init__(self, file: Path, problems: Sequence[tuple[int | None, str]]) -> None:
        self.file, self.problems = file, tuple(problems)
        listed = [f"{file}{'' if line is None else f', line {line}'}: {problem}" for line, problem in problems]
        super().__init__("\n".join(listed))


class AmbiguousWorkflow(InvalidInput):
    """A part of an id that matches several workflows.

    Args:
        candidates: the first of them, a line each.
        count: how many there are in all.
    """

    def __init__(self, given: str, candidates: Sequence[str], count: int) -> None:
        self.given, self.candidates, self.count = given, tuple(candidates), count
        more = count - len(candidates)
        lines = [*candidates, *([f"… and {more:,} more"] if more > 0 else [])]
        listed = "".join(f"\n  {line}" for line in lines)
        super().__init__(f"{shown(given)} fits {count:,} workflows; give more of the id of the one you mean:{listed}")


class UnknownWorkflow(CostledgerError):
    """An id without a ledger or a row."""

    http_status = 404

    def __init__(self, workflow_id: str, where: object) -> None:
        self.workflow_id = workflow_id
        super().__init__(f"no workflow {workflow_id!r} in {where}; `costledger history` lists the ones there are")


class UnknownModel(CostledgerError):
    """A model without a price in its service tier at that time."""

    def __init__(self, model: str, near: Sequence[str], service_tier: str | None = None) -> None:
        self.model, self.near = model, tuple(near)
        served = "" if service_tier is None else f" served as {shown(service_tier)}"
        alike = f"; similar names that have one: {', '.join(near)}" if near else ""
        super().__init__(
            f"no price for model {shown(model)}{served}{alike}; give it rates under [[prices]] in costledger.toml "
            "(docs/prices.md), then `costledger reprice`"
        )


class BudgetExceeded(CostledgerError):
    """A workflow that is over its budget; the last reading is in its ledger.

    Attributes:
        cost_usd: the cost of the ledger, at least.
        budget_usd: the limit.
    """

    http_status = 409

    def __init__(self, workflow_id: str, cost_usd: Decimal, budget_usd: Decimal, standing: str) -> None:
        self.workflow_id, self.cost_usd, self.budget_usd = workflow_id, cost_usd, budget_usd
        super().__init__(f"workflow {workflow_id!r} is over its budget: {standing}; its last reading is in the ledger")


class SourceUnreadable(CostledgerError):
    """A file or folder that cannot be imported."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{readable(path)}: {problem}")


class NoLogs(SourceUnreadable):
    """A folder without a log of the kind that was asked for."""


class ImportBusy(SourceUnreadable):
    """Another running import of the same data directory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "another import of this data directory is running; try again when it has ended")
