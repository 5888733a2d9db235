"""Reject URLs and addresses that a transfer must not connect to (SSRF).

Asset URLs come from the API's responses and notification targets from the caller of a task. Neither
may reach the private network of the worker.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from mulequeue.errors import MuleQueueError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HOW_TO_ALLOW = (
    "Set mulequeue_allow_private_addresses (or MULEQUEUE_ALLOW_PRIVATE_ADDRESSES=1) "
    "if it is meant to be reached."
)


class AddressRefused(MuleQueueError):
    """A URL or its address is not allowed; nothing was sent.

    :param is_resolved: True if a host name was resolved to the address. Another machine may resolve the
        name to a different one.
    """

    def __init__(self, message: str, *, is_resolved: bool = False) -> None:
        super().__init__(message)
        self.is_resolved = is_resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressGuard:
    """Rejects URLs and peers that are not on the public internet."""

    allow_private: bool = False
    """Allow every address, and plain http."""
    allow_loopback: bool = False
    """Allow this machine, also over plain http."""

    def check_url(self, url: str, *, resolve: bool = False) -> None:
        """Reject a URL with a wrong scheme, credentials, or a forbidden literal address.

        :param resolve: also resolve the host and check its addresses. A name that does not resolve
            is accepted, because possibly only the proxy can resolve it.
        :raises AddressRefused: the URL is rejected. If a setting would allow the URL, the text names the setting.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise AddressRefused(f"{redact_url(url)} is not a URL: {exc}.") from None
        if parts.scheme not in ("http", "https") or not host:
            raise AddressRefused(f"{redact_url(url)} is not an http(s) URL.")
        if parts.username is not None or parts.password is not None:
            raise AddressRefused(
                f"The URL of {host} holds a user name or password; take it out of the URL."
            )
        allows_http = self.allow_private or (self.allow_loopback and is_loopback(host))
        if parts.scheme == "http" and not allows_http:
            raise AddressRefused(
                f"{redact_url(url)} uses http; only https is allowed. {_HOW_TO_ALLOW}"
            )
        is_literal = _parse_address(host) is not None
        found = [host] if is_literal else _resolve(host, port or 443) if resolve else []
        for address in found:
            self.check_address(address, host)

    def check_address(self, address: str, host: str | None = None) -> None:
        """Reject an IP address that is not public.

        :param address: of the connected peer, or of a resolved name.
        :param host: the host in the URL, for the text of the error.
        :raises AddressRefused: the address is not public; the text names the setting that allows it.
        """
        if self.allow_private:
            return
        ip = _parse_address(address)
        if ip is not None and (is_public(ip) or (self.allow_loopback and is_loopback(address))):
            return
        is_resolved = host is not None and _parse_address(host) is None and not is_loopback(host)
        name = f"{host} ({address})" if host and host != address else address
        text = f"{name} is not a public address. {_HOW_TO_ALLOW}"
        raise AddressRefused(text, is_resolved=is_resolved)


def is_public(ip: _Address) -> bool:
    """Return whether an address, or the IPv4 address that it embeds, is on the public internet."""
    ip = _embedded_ipv4(ip)
    # Multicast and some reserved ranges count as "global" in the standard library.
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def _embedded_ipv4(ip: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address embeds (mapped, 6to4, NAT64), else ``ip`` unchanged."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


def _parse_address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine, without resolving names."""
    ip = _parse_address(host)
    return host.lower() == "localhost" if ip is None else _embedded_ipv4(ip).is_loopback


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


def redact_url(url: str) -> str:
    """Return a URL in quotes for a message, without credentials, query and fragment, which may be secret."""
    bare = url.split("?")[0].split("#")[0]
    return repr(bare.rpartition("@")[2][:200])
