"""The root of all errors."""

from __future__ import annotations

from typing import Any, ClassVar


class CostledgerError(Exception):
    """The root of all errors of this project."""

    http_status: ClassVar[int] = 503
    """The status of an HTTP response; by default "service unavailable"."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy the error to another process as it is; `__init__`, which builds the sentence, does not run again."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class InvalidInput(CostledgerError):
    """A request that is not possible; nothing was written."""

    http_status = 422


class MissingExtra(CostledgerError):
    """An optional package is not installed."""

    http_status = 501

    def __init__(self, what: str, extra: str) -> None:
        from ledger.installation import extra_hint  # here: most programs do not need it

        super().__init__(f"{what} needs an optional package: {extra_hint(extra)}")
