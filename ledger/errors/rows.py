"""Errors of rows and the histories that store them."""

from __future__ import annotations

from ledger.errors.base import CostledgerError, InvalidInput


class UnstorableRow(CostledgerError):
    """A workflow whose figures do not fit a database column; its row is unchanged, other workflows still work."""

    http_status = 409

    def __init__(self, workflow_id: str, problem: str) -> None:
        super().__init__(
            f"the row of {workflow_id!r} cannot be stored: {problem}; it stays as it was, and other workflows go on: "
            f"costledger explain -- {workflow_id} names the events"
        )


class HistoryUnavailable(CostledgerError):
    """A history database that cannot be used; the ledgers are not affected."""

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(f"history {where}: {problem}")


class HistoryUnwritable(HistoryUnavailable):
    """A history without write access: the file system is read-only or full, or belongs to another user."""

    def __init__(self, where: object, cause: str) -> None:
        super().__init__(
            f"{where}", f"rows cannot be stored: {cause}; make room there, or make it writable, and run this again"
        )


class HistoryReplaced(HistoryUnavailable):
    """A database file that was deleted, damaged or replaced during its use."""

    def __init__(self) -> None:
        super().__init__(
            "in use", "its file was deleted, replaced or damaged; its rows are being replayed from the ledgers"
        )


class SharedHistory(InvalidInput):
    """A command for local ledgers on rows that projectors write from the ledgers of many hosts."""

    http_status = 409

    def __init__(self) -> None:
        super().__init__(
            "projectors write this history, from many hosts' ledgers: see `costledger project --status`, "
            "`costledger verify --shared` to prove it, and `costledger project --rebuild` to replay it"
        )


class LedgersElsewhere(CostledgerError):
    """A question about a row of several origins, which needs the ledgers of all of them."""

    http_status = 409

    def __init__(self, workflow_id: str, events: int, here: int, origins: int) -> None:
        holds = f"this data directory's ledger has {here:,}" if here else "this data directory has no ledger of it"
        super().__init__(
            f"the row of workflow {workflow_id!r} is folded from {events:,} events of "
            f"{origins:,} origin{'' if origins == 1 else 's'}, and {holds}: all of them are in the shared engine, so "
            "name that, to this command or to `costledger serve`: --from nats://HOST:PORT, or COSTLEDGER_REPLICA"
        )
