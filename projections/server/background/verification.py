"""Verification on request: `verify` in the background, one at a time, and the findings of the last one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ledger.errors import CostledgerError, SharedHistory
from ledger.events import timestamps
from ledger.storage.parallel import processes_at_hand
from projections.replay.verify import Finding, Proof, verify
from projections.server.service.service import Service

__all__ = ["Verification", "VerificationRunner"]

_log = logging.getLogger("costledger")

FINDINGS_MAX: Final = 200
"""Findings that are stored; all of them are counted."""


@dataclass(slots=True)
class Verification:
    """One verification; it is running until it has a `finished_at`.

    Attributes:
        error: why it could not be finished.
    """

    started_at: str
    finished_at: str | None = None
    proof: Proof = field(default_factory=Proof)
    findings: list[Finding] = field(default_factory=list)
    error: str | None = None


class VerificationRunner:
    """The verifications of a service. Safe between threads.

    Args:
        suspect: called with the workflows that have findings.
    """

    def __init__(self, service: Service, suspect: Callable[[Iterable[str]], None]) -> None:
        self._service, self._suspect = service, suspect
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.last: Verification | None = None

    def start(self) -> bool:
        """Start a verification; return False when one is running.

        Raises:
            SharedHistory: projectors write the rows, from more ledgers than these.
        """
        if self._service.history.shared:
            raise SharedHistory
        with self._lock:
            if self.last is not None and self.last.finished_at is None:
                return False
            self.last = Verification(timestamps.to_wire(timestamps.now()))
            self._service.background.submit(self._run, self.last)
            return True

    def stop(self) -> None:
        """Stop a running verification at the next ledger."""
        self._stopped.set()

    def _run(self, mine: Verification) -> None:
        service = self._service

        def on(done: int, count: int) -> None:  # noqa: ARG001
            if self._stopped.is_set():
                raise CostledgerError("the server was stopped")

        try:
            # Two processes at least, so that many ledgers are verified outside this one, which answers requests.
            many = max(2, processes_at_hand())
            copy = service.application
            found = verify(service.ledgers, service.history, mine.proof, application=copy, processes=many, progress=on)
            for finding in found:
                if len(mine.findings) < FINDINGS_MAX:
                    mine.findings.append(finding)
            self._suspect(dict.fromkeys(finding.workflow_id for finding in mine.findings))
        except CostledgerError as error:
            mine.error = str(error)
        except Exception as error:
            _log.exception("a verification could not be finished")
            mine.error = f"{type(error).__name__}; the log has more"
        finally:
            mine.finished_at = timestamps.to_wire(timestamps.now())
