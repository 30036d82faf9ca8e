"""Access: the token of a request and what it allows. Every route that answers with data depends on it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from projections.server.http.problems import Refusal
from projections.server.service.service import Service

__all__ = ["COOKIE", "cookie_token", "needs", "service_of"]

COOKIE: Final = "costledger_token"

_bearer = HTTPBearer(auto_error=False, description="A token of `costledger token create`.")
cookie_token = APIKeyCookie(
    name=COOKIE, auto_error=False, description="The same token, as the page stores it after a login."
)


def service_of(request: Request) -> Service:
    """Return the service of a request."""
    service: Service = request.app.state.service
    return service


def needs(scope: str) -> Callable[..., Coroutine[Any, Any, Callable[[], None]]]:
    """Return a dependency: the request has a token for this scope; on a loopback address none is needed by default.

    A wrong token is refused wherever it is sent. The value of the dependency checks again, for a long answer: it raises
    Refusal once the token was revoked.
    """

    async def check(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
        cookie: Annotated[str | None, Security(cookie_token)] = None,
    ) -> Callable[[], None]:
        look = partial(_look, service_of(request), bearer.credentials if bearer is not None else cookie, scope)
        look()
        return look

    return check


def _look(service: Service, text: str | None, scope: str) -> None:
    if text is None:
        if service.needs_tokens:
            raise _unauthorized("send a token: Authorization: Bearer …")
        return
    token = service.tokens.find(text)
    if token is None:
        raise _unauthorized("this token is unknown or was revoked")
    if not token.allows(scope):
        detail = f"this token is for {token.scope}, and this needs one for {scope}"
        raise Refusal(HTTPStatus.FORBIDDEN, "scope", detail)


def _unauthorized(detail: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})
