"""Build the address guard of transfers from the settings."""

from __future__ import annotations

from urllib.parse import urlsplit

from mulequeue.net.address_guard import AddressGuard, is_loopback
from mulequeue.settings import Settings


def guard_for(settings: Settings) -> AddressGuard:
    """Return the guard for these settings; a profile's host on this machine allows loopback."""
    hosts = [settings.base_url, *(given.get("base_url") for given in settings.profiles.values())]
    return AddressGuard(
        allow_private=settings.allow_private_addresses,
        allow_loopback=any(is_loopback(urlsplit(str(url)).hostname or "") for url in hosts if url),
    )
