"""Abort the running transfers of one attempt, and count what they received."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mulequeue.errors import TransferError
from mulequeue.net.guarded_session import TransferSession


class TransferControl:
    """Aborts all running transfers of one attempt from another thread, and counts their bytes."""

    def __init__(self) -> None:
        self._sessions: set[TransferSession] = set()
        self._lock = threading.Lock()
        self.is_cancelled = False
        self.received = 0
        """Bytes so far, of all transfers."""

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
        """Abort ``session`` if the transfers are cancelled in this context.

        :raises TransferError: they were already cancelled.
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
