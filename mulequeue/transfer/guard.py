"""Build the address guard of transfers from the settings, and judge what it refuses."""

from __future__ import annotations

from urllib.parse import urlsplit

from mulequeue.errors import ConfigurationError, MuleQueueError, TransferError
from mulequeue.net.address_guard import AddressGuard, AddressRefused, is_loopback
from mulequeue.settings import Settings


def guard_for(settings: Settings) -> AddressGuard:
    """Return the address guard for these settings. It allows loopback if a profile's host is this machine."""
    hosts = [settings.base_url, *(given.get("base_url") for given in settings.profiles.values())]
    return AddressGuard(
        allow_private=settings.allow_private_addresses,
        allow_loopback=any(is_loopback(urlsplit(str(url)).hostname or "") for url in hosts if url),
    )


def refusal_error(exc: AddressRefused, kind: type[TransferError]) -> MuleQueueError:
    """Return the error of a refused address: final, unless another worker may resolve the name otherwise."""
    return ConfigurationError(str(exc)) if exc.is_resolved else kind(str(exc), retryable=False)
