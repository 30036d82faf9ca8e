"""An HTTP client for webhooks: it connects only to an address that was checked.

A name is looked up once; the addresses that it has are checked, and the connection goes to one of those, so a name
that changes its address in between (DNS rebinding) has no effect. No redirect is followed, no proxy is used, and of
the answer only the status is read.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx

__all__ = ["NotSent", "WebhookClient", "is_public"]

_NAT64: Final = IPv6Network("64:ff9b::/96")

_NOT_PUBLIC: Final = (
    IPv6Network("::/96"),  # IPv4-compatible addresses, which were given up (RFC 4291, 2.5.5.1)
    IPv6Network("fec0::/10"),  # site-local ones, too (RFC 3879)
    IPv6Network("64:ff9b:1::/48"),  # a gateway of the own network, to any address (RFC 8215)
)
"""Networks that `is_global` of some Python versions takes for public ones."""


class NotSent(Exception):
    """No answer; the message names no part of the URL but its host."""


def is_public(address: str) -> bool:
    """Whether an address is public: not of this machine, this network or any special use.

    An IPv4 address inside an IPv6 one counts as what it is, since a gateway may unpack it. A text that is not
    spelled as an address, with full-width dots for example, is none.
    """
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if any(found in network for network in _NOT_PUBLIC):
            return False
        inside = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if found in _NAT64:
            inside = IPv4Address(int(found) & 0xFFFFFFFF)
        if inside is not None:
            found = inside
    return found.is_global and not found.is_multicast


class WebhookClient:
    """A client of one URL.

    Args:
        allow_private: connect to addresses that are not public, too.
    """

    def __init__(self, url: str, *, allow_private: bool) -> None:
        self._url, self._allow_private = httpx.URL(url), allow_private
        self._client = httpx.AsyncClient(verify=ssl.create_default_context(), trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def post(self, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> int:
        """Send a body and return the status of the answer.

        Raises:
            NotSent: the address is refused, or there was no answer in time.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._post(body, headers)
        except TimeoutError:
            raise NotSent(f"{self._url.host} did not answer within {timeout_seconds:g} seconds") from None

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        why = "has no address"
        for address in await self._addresses():
            url = self._url.copy_with(host=address)
            named = {**headers, "Host": self._url.netloc.decode("ascii")}
            extensions = {"sni_hostname": self._url.raw_host.decode("ascii")}
            try:
                async with self._client.stream(
                    "POST", url, content=body, headers=named, extensions=extensions, timeout=None
                ) as answer:
                    return answer.status_code
            except httpx.ConnectError as error:
                why = f"could not be reached: {_reason(error)}"  # the next address may
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise NotSent(f"{self._url.host} did not answer as HTTP does: {type(error).__name__}") from None
        raise NotSent(f"{self._url.host} {why}")

    async def _addresses(self) -> list[str]:
        host, port = self._url.raw_host.decode("ascii"), self._url.port or (443 if self._url.scheme == "https" else 80)
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NotSent(f"{self._url.host} is a name that has no address") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise NotSent(
                f"{self._url.host} has an address that is not public; allow_private = true in costledger.toml allows it"
            )
        return addresses


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, ssl.SSLError):
        return f"TLS: {cause.reason or 'failed'}"
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)  # its own text is asyncio's, with the address in it
    return type(cause).__name__
