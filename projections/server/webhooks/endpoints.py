"""Endpoints of webhooks and their secrets; a secret is never shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook

from ledger.config.schema import WebhookConfig
from ledger.errors import InvalidInput

__all__ = ["Endpoint", "endpoint_of", "host_of", "id_of"]

_ID_DIGITS: Final = 12
_SECRET_BYTES_MIN: Final = 24
"""As Standard Webhooks asks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of webhooks.

    Attributes:
        id: made from its URL alone, so it stays the same while the rest of the configuration changes.
        host: see `host_of`.
        signer: None: it has no secret, as Slack needs none.
    """

    id: str
    host: str
    config: WebhookConfig
    signer: Webhook | None = field(repr=False)


def id_of(url: str) -> str:
    """Return the id of an endpoint."""
    return sha256(url.encode()).hexdigest()[:_ID_DIGITS]


def host_of(url: str) -> str:
    """Return scheme, host and port of a URL; its path or query may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def endpoint_of(config: WebhookConfig) -> Endpoint:
    """Return an endpoint as it is configured.

    Raises:
        InvalidInput: its address cannot be used, or its secret is missing or too short.
    """
    host = host_of(config.url)
    try:
        httpx.URL(config.url).raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidInput(f"the address of the webhook to {host} cannot be used: {error}") from None
    if config.secret_env is None and config.secret_file is None:
        return Endpoint(id_of(config.url), host, config, None)
    where = f"environment variable {config.secret_env}" if config.secret_env is not None else str(config.secret_file)
    make = "`costledger webhooks --new-secret` makes one"
    try:
        file = config.secret_file
        secret = os.environ[str(config.secret_env)] if file is None else file.read_text("ascii")
    except (KeyError, OSError, UnicodeDecodeError):
        raise InvalidInput(f"the secret of the webhook to {host} cannot be read from {where}; {make}") from None
    try:
        signer: Webhook | None = Webhook(secret.strip())
    except Exception:  # binascii's own, or the library's: either means that it is no secret
        signer = None
    if signer is None or len(secret.strip().removeprefix("whsec_")) * 3 // 4 < _SECRET_BYTES_MIN:
        raise InvalidInput(
            f"the secret of the webhook to {host}, in {where}, is not whsec_ and {_SECRET_BYTES_MIN} bytes or more in "
            f"base64; {make}"
        )
    return Endpoint(id_of(config.url), host, config, signer)
