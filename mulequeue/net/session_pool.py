"""Keep connections of finished transfers open, so that the next transfer to the same host needs no handshake.

One transfer at a time uses a session. Afterwards the session is kept only if its connection is open
and its last response was read completely; otherwise the session is closed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mulequeue.net.address_guard import AddressGuard
from mulequeue.net.environment import ca_bundle, proxy_for
from mulequeue.net.guarded_session import TransferSession
from mulequeue.net.timers import Timer, deadlines

IDLE_SECONDS = 30.0
"""Seconds after which an idle session is closed. Most servers close a connection that is idle for longer, and
some firewalls drop it silently."""
MAX_IDLE = 16

# The guard of the session; scheme and host of the URL; the proxy's URL; the path of the CA bundle.
_Key = tuple[AddressGuard, str, str, str | None, str]


class SessionPool:
    """A pool of idle sessions. A forked process starts with an empty pool."""

    def __init__(self, *, max_idle: int = MAX_IDLE, idle_seconds: float = IDLE_SECONDS) -> None:
        self._max_idle, self._idle_seconds = max_idle, idle_seconds
        self._idle: dict[TransferSession, tuple[_Key, Timer]] = {}
        """Idle sessions; the one that was used last is at the end."""
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    @contextmanager
    def borrow(self, url: str, guard: AddressGuard) -> Iterator[TransferSession]:
        """Provide a session for requests to the host of ``url``: an idle one if there is one, else a new one.

        :raises AddressRefused: the guard rejects the URL.
        :raises ConfigurationError: the CA bundle does not exist.
        """
        guard.check_url(url)
        scheme, host = urlsplit(url)[:2]
        key = (guard, scheme, host, proxy_for(url), ca_bundle())
        session = self._take(key) or TransferSession(guard)
        try:
            yield session
        finally:
            if session.is_reusable:
                self._keep(key, session)
            else:
                session.abort()  # a referenced exception may keep the connection open after close()
                session.close()

    def _take(self, key: _Key) -> TransferSession | None:
        with self._lock:
            # Use the most recent one, so that sessions that are no longer needed reach the idle limit.
            same = [session for session, (other, _) in self._idle.items() if other == key]
            if not same:
                return None
            _, timer = self._idle.pop(same[-1])
        deadlines.cancel(timer)
        return same[-1]

    def _keep(self, key: _Key, session: TransferSession) -> None:
        timer = deadlines.after(self._idle_seconds, lambda: self._discard(session))
        with self._lock:
            self._idle[session] = key, timer
            oldest = next(iter(self._idle)) if len(self._idle) > self._max_idle else None
        if oldest is not None:
            self._discard(oldest)

    def _discard(self, session: TransferSession) -> None:
        with self._lock:
            found = self._idle.pop(session, None)
        if found is not None:  # else a transfer took it in the meantime
            deadlines.cancel(found[1])
            session.close()

    def _forget(self) -> None:
        """Close the child's copies of the connections; those of the parent stay open."""
        idle, self._idle, self._lock = self._idle, {}, threading.Lock()
        for session in idle:
            session.close()


session_pool = SessionPool()
