"""Control the requests of transfers: which addresses they reach, when they end, and what their errors are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
import urllib3

from mulequeue.errors import ConfigurationError, TransferError
from mulequeue.net.address_guard import AddressGuard, AddressRefused, is_loopback
from mulequeue.net.guarded_session import TransferSession, describe
from mulequeue.settings import Settings


class TransferControl:
    """Aborts all running transfers of one attempt from another thread, and counts their bytes."""

    def __init__(self) -> None:
        self._sessions: set[TransferSession] = set()
        self._lock = threading.Lock()
        self.is_cancelled = False
        self.received = 0
        """Number of bytes received so far, in all transfers."""

    def count(self, number: int) -> None:
        """Add bytes that were received."""
        with self._lock:
            self.received += number

    def cancel(self) -> None:
        """Abort the running transfers, and reject new ones."""
        with self._lock:
            self.is_cancelled = True
            for session in self._sessions:
                session.abort()

    @contextmanager
    def attach(self, session: TransferSession) -> Iterator[None]:
        """Abort ``session`` if the transfers are cancelled within this context.

        :raises TransferError: the transfers were already cancelled.
        """
        with self._lock:
            if self.is_cancelled:
                raise TransferError("The transfer was stopped.")
            self._sessions.add(session)
        try:
            yield
        finally:
            with self._lock:
                self._sessions.discard(session)


def guard_for(settings: Settings) -> AddressGuard:
    """Return the address guard for these settings. It allows loopback if a profile's API host is this machine."""
    hosts = [settings.base_url, *(given.get("base_url") for given in settings.profiles.values())]
    return AddressGuard(
        allow_private=settings.allow_private_addresses,
        allow_loopback=any(is_loopback(urlsplit(str(url)).hostname or "") for url in hosts if url),
    )


@contextmanager
def translate_errors(
    kind: type[TransferError], name: str, session: TransferSession | None, *, late: str
) -> Iterator[None]:
    """Convert the errors of a request that the block raises to ``kind``.

    :param name: the start of the message: what failed.
    :param late: the message if the session was aborted.
    :raises ConfigurationError: the host name resolves to a forbidden address. Another worker may resolve it to a
        different address.
    """
    try:
        yield
    except AddressRefused as exc:
        if exc.is_resolved:
            raise ConfigurationError(str(exc)) from None
        raise kind(str(exc), retryable=False) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
        was_aborted = session is not None and session.was_aborted
        raise kind(late if was_aborted else f"{name}: {describe(exc)}") from None
