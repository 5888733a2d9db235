"""Download the assets of an outcome into a storage."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mulequeue.errors import AssetGone, ConfigurationError, DownloadError, StorageError
from mulequeue.outcome import Asset, File, Outcome
from mulequeue.settings import Settings
from mulequeue.transfer.asset_stream import asset_chunks
from mulequeue.transfer.content_type import HEAD_BYTES, detect_media_type
from mulequeue.transfer.control import TransferControl
from mulequeue.transfer.path_template import check_template, file_path
from mulequeue.transfer.storage import Storage, open_storage


def download_assets(
    outcome: Outcome,
    *,
    settings: Settings,
    storage: str | None = None,
    path: str | None = None,
    refresh: Callable[[], Outcome | None] | None = None,
    control: TransferControl | None = None,
    is_repeated: bool = False,
) -> tuple[File, ...]:
    """Store all assets of an outcome, ``settings.downloads_at_once`` in parallel.

    :param storage: a folder or URL; None: ``settings.storage``.
    :param path: template of the paths in the storage; None: ``settings.storage_path``.
    :param refresh: reads the outcome from the API again. It is called if a URL answers without the file, or has
        expired and fails, until it has returned once. It raises a DownloadError if the API does not answer or no
        longer has the asset.
    :param control: aborts the transfers and counts their bytes.
    :param is_repeated: an earlier attempt may have been killed: remove its temporary files.
    :raises DownloadError: an asset could not be stored; ``retryable`` if a later attempt may succeed. Files that
        were stored remain.
    :raises ConfigurationError: this process cannot use the storage or the path template.
    """
    control = control or TransferControl()
    download = _Download(
        outcome,
        settings,
        storage=open_storage(storage, settings),
        template=check_template(path or settings.storage_path),
        refresh=refresh,
        control=control,
        is_repeated=is_repeated,
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
            control.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return _collect(futures)


def _collect(futures: list[Future[File]]) -> tuple[File, ...]:
    """Return the files, or raise one of the errors; an error that is not retryable takes precedence."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise min(errors, key=lambda error: getattr(error, "retryable", False))
    return tuple(future.result() for future in futures)


@dataclass(slots=True)
class _Download:
    """The download of one outcome."""

    outcome: Outcome
    settings: Settings
    storage: Storage
    template: str
    refresh: Callable[[], Outcome | None] | None
    """Reads the outcome from the API again; None: there is no such function, or it has returned."""
    control: TransferControl
    is_repeated: bool
    fresh: Outcome | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def store(self, index: int) -> File:
        """Store one asset. If its URL does not give the file, use the URL that the API returns now."""
        asset = self.outcome.assets[index]
        is_expired = _is_expired(asset)
        try:
            return self._store(index, asset.url)
        except StorageError:
            raise
        except DownloadError as exc:
            if not (isinstance(exc, AssetGone) or (is_expired and exc.retryable)):
                raise
            url = self._fresh_url(index, exc)
            if url is None or url == asset.url:
                if not is_expired:
                    raise
                text = f"{exc} Its URL expired at {asset.expires_at}, and the API gives no new one."
                raise DownloadError(text, retryable=False) from None
        return self._store(index, url)

    def _store(self, index: int, url: str) -> File:
        kind = self.outcome.assets[index].kind
        with asset_chunks(url, settings=self.settings, control=self.control) as chunks:
            head = b""
            while len(head) < HEAD_BYTES and (chunk := next(chunks, b"")):
                head += chunk
            if not head:
                raise AssetGone(f"Asset {index} is empty.")
            try:
                media_type, extension = detect_media_type(head, kind)
            except AssetGone as exc:
                raise AssetGone(f"Asset {index} {exc}") from None
            path = file_path(self.template, self.outcome, index, extension)
            try:
                size = self.storage.write(path, itertools.chain([head], chunks))
            finally:
                if self.is_repeated:  # also after an error, to free space for the next one
                    self.storage.remove_leftovers(path)
        return File(url=self.storage.url_of(path), kind=kind, media_type=media_type, bytes=size)

    def _fresh_url(self, index: int, reason: DownloadError) -> str | None:
        """Return the URL that the API returns for an asset now, or None. One response is used for all assets.

        :param reason: the error of the former URL. A retryable error of ``refresh`` is raised in its class.
        """
        with self.lock:
            if self.refresh is not None:
                try:
                    self.fresh = self.refresh()
                except ConfigurationError:
                    raise
                except Exception as exc:
                    text = f"{reason} Asking the API again: {exc}"
                    if not getattr(exc, "retryable", True):
                        raise DownloadError(text, retryable=False) from exc
                    raise type(reason)(text) from exc
                self.refresh = None
        assets = self.fresh.assets if self.fresh is not None else ()
        return assets[index].url if index < len(assets) else None


def _is_expired(asset: Asset) -> bool:
    """Return whether the time during which the API keeps an asset has passed."""
    try:
        ends = datetime.fromisoformat(asset.expires_at or "")
    except ValueError:
        return False
    return ends.tzinfo is not None and ends < datetime.now(UTC)
