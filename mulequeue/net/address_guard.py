"""Which addresses a transfer may go to: asset URLs and notification targets are strangers' words.

An asset URL comes from the API's answer, a notification target from whoever starts the task.
Neither may reach into the private network of the machine that follows it.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from mulequeue.errors import MuleQueueError
from mulequeue.settings import Settings

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HOW_TO_ALLOW = (
    "Set mulequeue_allow_private_addresses (or MULEQUEUE_ALLOW_PRIVATE_ADDRESSES=1) "
    "if it is meant to be reached."
)


class AddressRefused(MuleQueueError):
    """A URL leads to an address that transfers do not go to; nothing was sent there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressGuard:
    """Says no to URLs and peers that are not on the public internet."""

    allow_private: bool = False
    """Every address and plain http (``mulequeue_allow_private_addresses``)."""
    allow_loopback: bool = False
    """This machine, also over plain http: a profile's own host is on it (an emulator)."""

    def check_url(self, url: str, *, resolve: bool = False) -> None:
        """Refuse a URL by its words alone: scheme, credentials, a literal address.

        :param resolve: also look the host up and check what comes back. A name that does not
            resolve passes: behind a proxy only the proxy may know it.
        :raises AddressRefused: with what to change.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise AddressRefused(f"{shown_url(url)} is not a URL: {exc}.") from None
        if parts.scheme not in ("http", "https") or not host:
            raise AddressRefused(f"{shown_url(url)} is not an http(s) URL.")
        if parts.username is not None or parts.password is not None:
            raise AddressRefused(
                f"The URL of {host} holds a user name or password; take it out of the URL."
            )
        if parts.scheme == "http" and not self._allows_http(host):
            raise AddressRefused(
                f"{shown_url(url)} is plain http, only https is used. {_HOW_TO_ALLOW}"
            )
        literal = _address(host)
        if literal is not None:
            self.check_address(host)
        elif resolve:
            for address in _resolved(host, port or 443):
                self.check_address(address, host)

    def check_address(self, address: str, host: str | None = None) -> None:
        """Refuse an IP address that is not public.

        :param address: the connected peer's, or one a name resolved to.
        :param host: the name it stands for, for the message.
        :raises AddressRefused: with what to change.
        """
        if self.allow_private:
            return
        ip = _address(address)
        if ip is None or not (is_public(ip) or (self.allow_loopback and _inner(ip).is_loopback)):
            name = f"{host} ({address})" if host and host != address else address
            raise AddressRefused(f"{name} is not a public address. {_HOW_TO_ALLOW}")

    def _allows_http(self, host: str) -> bool:
        return self.allow_private or (self.allow_loopback and _is_loopback(host))


def guard_for(settings: Settings) -> AddressGuard:
    """The guard these settings ask for."""
    hosts = [settings.base_url, *(given.get("base_url") for given in settings.profiles.values())]
    return AddressGuard(
        allow_private=settings.allow_private_addresses,
        allow_loopback=any(_is_loopback(urlsplit(str(url)).hostname or "") for url in hosts if url),
    )


def is_public(ip: _Address) -> bool:
    """Whether an address, or the IPv4 address inside it, is on the public internet."""
    ip = _inner(ip)
    # Multicast and some reserved ranges count as "global" in the standard library.
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def _inner(ip: _Address) -> _Address:
    """The IPv4 address that an IPv6 address carries (mapped, 6to4, NAT64), else the address."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    ip = _address(host)
    return host.lower() == "localhost" if ip is None else _inner(ip).is_loopback


def _resolved(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


def shown_url(url: str) -> str:
    """A URL without what may be secret in it (credentials, query), for a message."""
    bare = url.split("?")[0].split("#")[0]
    return repr(bare.rpartition("@")[2][:200])
