"""Download the assets of an outcome into a storage."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from mulequeue.errors import AssetGone, DownloadError
from mulequeue.outcome import File, Outcome
from mulequeue.settings import Settings
from mulequeue.transfer.asset_stream import TransferCanceller, asset_chunks
from mulequeue.transfer.content_type import HEAD_BYTES, detect_media_type
from mulequeue.transfer.path_template import check_template, file_path
from mulequeue.transfer.storage import Storage, open_storage


def download_assets(
    outcome: Outcome,
    *,
    settings: Settings,
    storage: str | None = None,
    path: str | None = None,
    refresh: Callable[[], Outcome | None] | None = None,
) -> tuple[File, ...]:
    """Store all assets of an outcome, ``settings.downloads_at_once`` in parallel.

    :param storage: a folder or URL; None: ``settings.storage``.
    :param path: template of the paths in it; None: ``settings.storage_path``.
    :param refresh: reads the outcome from the API again; called at most once, if a URL answers 401,
        403, 404 or 410.
    :raises DownloadError: ``retryable`` if a later attempt may succeed. Assets that were stored
        remain.
    :raises ConfigurationError: the storage or the path template cannot be used.
    """
    canceller = TransferCanceller()
    download = _Download(
        outcome,
        settings,
        storage=open_storage(storage, settings),
        template=check_template(path or settings.storage_path),
        fresh=_FreshUrls(refresh),
        canceller=canceller,
    )
    count = len(outcome.assets)
    if count <= 1:
        return tuple(map(download.store, range(count)))
    threads = max(1, min(settings.downloads_at_once, count))
    with ThreadPoolExecutor(threads, thread_name_prefix="mulequeue-download") as pool:
        futures = [pool.submit(download.store, index) for index in range(count)]
        try:
            wait(futures)
        except BaseException:  # a time limit, a signal
            canceller.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return _collect(futures)


def _collect(futures: list[Future[File]]) -> tuple[File, ...]:
    """Return the files, or raise an error: one that is not retryable if there is any."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise min(errors, key=lambda error: getattr(error, "retryable", False))
    return tuple(future.result() for future in futures)


class _FreshUrls:
    """Reads the outcome from the API again, once for all of its assets."""

    def __init__(self, refresh: Callable[[], Outcome | None] | None) -> None:
        self._refresh = refresh
        self._lock = threading.Lock()
        self._is_read = False
        self._outcome: Outcome | None = None

    def url(self, index: int, gone: AssetGone) -> str:
        """Return the new URL of one asset.

        :raises DownloadError: the API gives no new URL, or the request failed.
        """
        with self._lock:
            if not self._is_read and self._refresh is not None:
                try:
                    self._outcome = self._refresh()
                except Exception as exc:
                    raise DownloadError(f"{gone} Asking the API again failed: {exc}") from exc
                self._is_read = True
        if self._outcome is None or index >= len(self._outcome.assets):
            text = f"{gone} The asset has expired, or was removed, and the API gives no new URL."
            raise DownloadError(text, retryable=False)
        return self._outcome.assets[index].url


@dataclass(frozen=True, slots=True)
class _Download:
    """The download of one outcome."""

    outcome: Outcome
    settings: Settings
    storage: Storage
    template: str
    fresh: _FreshUrls
    canceller: TransferCanceller

    def store(self, index: int) -> File:
        """Store one asset; if its URL is no longer valid, from a new one."""
        try:
            return self._store(index, self.outcome.assets[index].url)
        except AssetGone as exc:
            return self._store(index, self.fresh.url(index, exc))

    def _store(self, index: int, url: str) -> File:
        kind = self.outcome.assets[index].kind
        with asset_chunks(url, settings=self.settings, canceller=self.canceller) as chunks:
            head = b""
            while len(head) < HEAD_BYTES and (chunk := next(chunks, b"")):
                head += chunk
            if not head:
                raise DownloadError(f"Asset {index} is empty.")
            try:
                media_type, extension = detect_media_type(head, kind)
            except DownloadError as exc:
                raise DownloadError(f"Asset {index} {exc}", retryable=exc.retryable) from None
            path = file_path(self.template, self.outcome, index, extension)
            size = self.storage.write(path, itertools.chain([head], chunks))
        return File(url=self.storage.url_of(path), kind=kind, media_type=media_type, bytes=size)
