"""`/login`, `/logout` and `/api/access`: how a browser gets a token, and what it may do with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Request, Security
from starlette.responses import Response

from projections.server.http import schemas
from projections.server.http.auth import COOKIE, cookie_token, service_of
from projections.server.http.json_response import answer
from projections.server.http.problems import Refusal, documented

__all__ = ["router"]

router = APIRouter(tags=["access"])

_COOKIE_SECONDS: Final = 30 * 24 * 3600
"""How long a browser stays logged in; revoking the token ends that at once."""


@router.get(
    "/api/access",
    response_model=schemas.Access,
    summary="Whether a token is needed, and what the one of this browser allows",
)
def access(request: Request, cookie: Annotated[str | None, Security(cookie_token)] = None) -> Response:
    """An invalid token is removed from the browser."""
    service = service_of(request)
    token = None if cookie is None else service.tokens.find(cookie)
    response = answer({"token_needed": service.needs_tokens, "scope": None if token is None else token.scope})
    if cookie is not None and token is None:
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.post(
    "/login",
    status_code=204,
    response_class=Response,
    responses=documented(400),
    summary="Store a token in a cookie that no script can read",
)
def login(request: Request, body: schemas.Login) -> Response:
    """The browser stays logged in for 30 days; revoking the token ends that at once."""
    token = service_of(request).tokens.find(body.token.strip())
    if token is None:
        detail = "this token is unknown or was revoked; `costledger token create --scope read` makes one"
        raise Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})
    if not token.allows("read"):
        detail = f"this token is for {token.scope}; the page needs one for read or admin"
        raise Refusal(HTTPStatus.FORBIDDEN, "scope", detail)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, body.token.strip(), max_age=_COOKIE_SECONDS, secure=secure, httponly=True, samesite="strict"
    )
    return response


@router.post("/logout", status_code=204, response_class=Response, summary="Forget the token")
def logout() -> Response:
    """The token itself stays valid; `costledger token revoke` ends it."""
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
