"""Connections that finished transfers leave open: the next asset of the same host needs no handshake.

A session is lent to one transfer at a time. It comes back only with its connection open and its
last answer read to the end; whatever was cut or broke is closed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from mulequeue.net.address_guard import AddressGuard
from mulequeue.net.environment import ca_bundle, proxy_for
from mulequeue.net.guarded_session import TransferSession
from mulequeue.net.timers import Timer, deadlines

IDLE_SECONDS = 30.0
"""Most servers close what is idle for longer, and some firewalls forget it without a word."""
MAX_IDLE = 16

# The guard that checked the peer, scheme and host of the URL, and the proxy and CA bundle in between.
_Key = tuple[AddressGuard, str, str, str | None, str]


@dataclass(eq=False, slots=True)
class _IdleSession:
    key: _Key
    session: TransferSession
    timer: Timer | None = None


class SessionPool:
    """Sessions at rest; a forked process starts with none.

    :param most: how many rest at once; the oldest gives way.
    :param seconds: after which one is closed.
    """

    def __init__(self, *, most: int = MAX_IDLE, seconds: float = IDLE_SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._idle: list[_IdleSession] = []
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    @contextmanager
    def borrow(self, url: str, guard: AddressGuard) -> Iterator[TransferSession]:
        """A session for requests to the host of ``url``, with a connection of before if there is one.

        :raises AddressRefused: the guard refuses the URL.
        """
        guard.check_url(url)
        scheme, host = urlsplit(url)[:2]
        key = (guard, scheme, host, proxy_for(url), ca_bundle())
        session = self._take(key) or TransferSession(guard)
        try:
            yield session
        finally:
            if session.is_reusable:
                self._keep(_IdleSession(key, session))
            else:
                session.cut()  # an error that is still looked at may hold on to the connection
                session.close()

    def _take(self, key: _Key) -> TransferSession | None:
        with self._lock:
            # The freshest one: when there is less to do, the others come to the end of their time.
            found = next((item for item in reversed(self._idle) if item.key == key), None)
            if found is None:
                return None
            self._idle.remove(found)
        if found.timer is not None:
            deadlines.cancel(found.timer)
        return found.session

    def _keep(self, item: _IdleSession) -> None:
        item.timer = deadlines.after(self._seconds, lambda: self._end(item))
        with self._lock:
            self._idle.append(item)
            oldest = self._idle[0] if len(self._idle) > self._most else None
        if oldest is not None:
            self._end(oldest)

    def _end(self, item: _IdleSession) -> None:
        with self._lock:
            if item not in self._idle:  # it was lent in this instant
                return
            self._idle.remove(item)
        if item.timer is not None:
            deadlines.cancel(item.timer)
        item.session.close()

    def _forget(self) -> None:
        """The connections are the parent's: closing the copies does not end them."""
        idle = self._idle
        self._idle, self._lock = [], threading.Lock()
        for item in idle:
            item.session.close()


session_pool = SessionPool()
