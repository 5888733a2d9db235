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
from mulequeue.net.timers import Alarm, deadlines

IDLE_SECONDS = 30.0
"""Most servers close what is idle for longer, and some firewalls forget it without a word."""
MOST_IDLE = 16

# The guard that checked the peer, scheme and host of the URL, and the proxy and CA bundle in between.
_Key = tuple[AddressGuard, str, str, str | None, str]


@dataclass(eq=False, slots=True)
class _Resting:
    key: _Key
    session: TransferSession
    alarm: Alarm | None = None


class KeptSessions:
    """Sessions at rest; a forked process starts with none.

    :param most: how many rest at once; the oldest gives way.
    :param seconds: after which one is closed.
    """

    def __init__(self, *, most: int = MOST_IDLE, seconds: float = IDLE_SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._resting: list[_Resting] = []
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    @contextmanager
    def lend(self, url: str, guard: AddressGuard) -> Iterator[TransferSession]:
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
                self._keep(_Resting(key, session))
            else:
                session.cut()  # an error that is still looked at may hold on to the connection
                session.close()

    def _take(self, key: _Key) -> TransferSession | None:
        with self._lock:
            # The freshest one: when there is less to do, the others come to the end of their time.
            found = next((one for one in reversed(self._resting) if one.key == key), None)
            if found is None:
                return None
            self._resting.remove(found)
        if found.alarm is not None:
            deadlines.cancel(found.alarm)
        return found.session

    def _keep(self, one: _Resting) -> None:
        one.alarm = deadlines.after(self._seconds, lambda: self._end(one))
        with self._lock:
            self._resting.append(one)
            oldest = self._resting[0] if len(self._resting) > self._most else None
        if oldest is not None:
            self._end(oldest)

    def _end(self, one: _Resting) -> None:
        with self._lock:
            if one not in self._resting:  # it was lent in this instant
                return
            self._resting.remove(one)
        if one.alarm is not None:
            deadlines.cancel(one.alarm)
        one.session.close()

    def _forget(self) -> None:
        """The connections are the parent's: closing the copies does not end them."""
        resting = self._resting
        self._resting, self._lock = [], threading.Lock()
        for one in resting:
            one.session.close()


kept_sessions = KeptSessions()
