"""Tokens: who may do what over HTTP. Only their hashes are stored, in `DATA/tokens.jsonl`.

A token is 256 bits of randomness, so a plain SHA-256 of it cannot be reversed by guessing; no salt or slow hash is
needed (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html speaks of passwords).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import CostledgerError, InvalidInput, reason
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.storage.atomic_files import locked, write_whole

__all__ = ["SCOPES", "Token", "TokenRegister"]

SCOPES: Final = ("read", "append", "admin")
"""`read` sees every figure, `append` adds events and sees the cost of the workflow it adds to, `admin` does all."""

_SECRET_BYTES: Final = 32
_PREFIX: Final = "costledger"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is stored; `id` is its public part."""

    id: str
    scope: str
    sha256: str
    created_at: str
    note: str = ""
    revoked_at: str | None = None

    def allows(self, scope: str) -> bool:
        """Whether it may be used for this scope."""
        return self.revoked_at is None and self.scope in ("admin", scope)


class TokenRegister:
    """The tokens of a data directory; a change by another process is read at the next use."""

    def __init__(self, data: Path, *, clock: Clock = clocks.now) -> None:
        self._data, self._clock = data, clock
        self.path = data / "tokens.jsonl"
        self._read_stat: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def all(self) -> list[Token]:
        """Return every token ever made, the oldest first.

        Raises:
            CostledgerError: the file cannot be read.
        """
        try:
            found = self.path.stat()
            stat = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stat != self._read_stat:
                lines = self.path.read_bytes().splitlines()
                self._tokens = {token.id: token for token in (Token(**orjson.loads(line)) for line in lines)}
                self._read_stat = stat
        except FileNotFoundError:
            self._read_stat, self._tokens = None, {}
        except (OSError, ValueError, TypeError) as error:
            raise CostledgerError(f"{self.path} cannot be used ({error}); restore it, or move it away") from error
        return list(self._tokens.values())

    def create(self, scope: str, note: str = "") -> str:
        """Make a token and return its text, which is not stored and never shown again.

        Raises:
            InvalidInput: no such scope.
            CostledgerError: the file cannot be written.
        """
        if scope not in SCOPES:
            raise InvalidInput(f"no scope is called {scope!r}; there are: {', '.join(SCOPES)}")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        made = Token(secrets.token_hex(4), scope, _hash(secret), clocks.to_wire(self._clock()), note)
        self._change(lambda tokens: [*tokens, made])
        return f"{_PREFIX}_{made.id}_{secret}"

    def revoke(self, id: str) -> Token:
        """Revoke a token; a second time changes nothing.

        Raises:
            InvalidInput: no such token.
            CostledgerError: the file cannot be written.
        """
        if id not in {token.id for token in self.all()}:
            raise InvalidInput(f"no token is called {id!r}; `costledger token list` names them")
        moment = clocks.to_wire(self._clock())

        def revoked(token: Token) -> Token:
            return replace(token, revoked_at=token.revoked_at or moment) if token.id == id else token

        self._change(lambda tokens: [revoked(token) for token in tokens])
        return self._tokens[id]

    def find(self, text: str) -> Token | None:
        """Return the token of this text, unless it was revoked; compared in constant time."""
        prefix, _, rest = text.partition("_")
        id, _, secret = rest.partition("_")
        stored = {token.id: token for token in self.all()}.get(id)
        expected = stored.sha256 if stored is not None else _hash("")
        same = hmac.compare_digest(expected, _hash(secret))
        return stored if same and stored is not None and prefix == _PREFIX and stored.revoked_at is None else None

    def _change(self, change: Callable[[list[Token]], list[Token]]) -> None:
        try:
            with locked(self._data):
                tokens = change(self.all())
                lines = b"".join(orjson.dumps(asdict(token)) + b"\n" for token in tokens)
                write_whole(self.path, lines, mode=0o600)
        except OSError as error:
            raise CostledgerError(f"{self.path} cannot be written: {reason(error)}") from error
        self.all()


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
