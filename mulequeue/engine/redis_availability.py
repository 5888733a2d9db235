"""The ledger's Redis is away: said once by each process, and once more when it is back."""

from __future__ import annotations

import logging
import threading
import time

logger = logging.getLogger("mulequeue")


class RedisAvailability:
    """Who asks the ledger tells it here that there was no answer, and that there was one.

    :param url: of the ledger's Redis, without its password.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._since: float | None = None
        self._lock = threading.Lock()

    def mark_down(self, exc: Exception) -> None:
        """It did not answer."""
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic()
        logger.warning(
            "the ledger's Redis does not answer: %s Start it, or correct mulequeue_redis_url (%s). "
            "Nothing is lost: until then nothing is submitted or checked, then all goes on by itself",
            _sentence(exc),
            self._url,
        )

    def mark_up(self) -> None:
        """It answered."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            logger.info("the ledger's Redis answers again, after %.0f s", time.monotonic() - since)


def _sentence(exc: Exception) -> str:
    return str(exc).rstrip(".") + "." if str(exc) else f"{type(exc).__name__}."
