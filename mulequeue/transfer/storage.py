"""Store the assets of an outcome in a file system of fsspec.

An incomplete file never has its final name. On file systems it is written under a temporary name
and renamed; in object stores an object appears only when it is complete.
"""

from __future__ import annotations

import itertools
import os
import posixpath
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.core import split_protocol, url_to_fs

from mulequeue.errors import AssetGone, ConfigurationError, DownloadError
from mulequeue.outcome import File, Outcome
from mulequeue.settings import Settings
from mulequeue.transfer.content_type import HEAD_BYTES, media_type_of
from mulequeue.transfer.path_template import check_template, file_path

if TYPE_CHECKING:
    from mulequeue.transfer.asset_stream import TransferCanceller

__all__ = ["Storage", "check_storage", "download_assets"]

# In these a file appears when it is closed; a temporary name would only cost a copy.
_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "django"}
)
_PACKAGES = {"s3": "mulequeue[s3]", "s3a": "mulequeue[s3]", "gs": "gcsfs", "gcs": "gcsfs"}
_PACKAGES |= dict.fromkeys(("abfs", "abfss", "az", "adl"), "adlfs")
_BLOCK_BYTES = 8 * 1024**2  # of a multipart upload; by default s3fs buffers 50 MiB per asset


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
    place = _storage_for(storage, settings)
    template = check_template(path or settings.storage_path)
    fresh = _FreshUrls(refresh)
    from mulequeue.transfer.asset_stream import (
        TransferCanceller,  # HTTP: checking a storage needs none of it
    )

    canceller = TransferCanceller()

    def store(index: int) -> File:
        try:
            url = outcome.assets[index].url
            return _store(url, outcome, index, place, template, settings, canceller)
        except AssetGone as exc:
            url = fresh.url(index, exc)
            return _store(url, outcome, index, place, template, settings, canceller)

    threads = max(1, min(settings.downloads_at_once, len(outcome.assets)))
    if len(outcome.assets) <= 1:
        return tuple(map(store, range(len(outcome.assets))))
    with ThreadPoolExecutor(threads, thread_name_prefix="mulequeue-download") as pool:
        futures = [pool.submit(store, index) for index in range(len(outcome.assets))]
        try:
            wait(futures)
        except BaseException:  # a time limit, a signal
            canceller.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return _results(futures)


def _results(futures: list[Future[File]]) -> tuple[File, ...]:
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
        self._asked = False
        self._outcome: Outcome | None = None

    def url(self, index: int, gone: AssetGone) -> str:
        """Return the new URL of one asset.

        :raises DownloadError: the API gives no new URL, or the request failed.
        """
        with self._lock:
            if not self._asked and self._refresh is not None:
                self._asked = True
                try:
                    self._outcome = self._refresh()
                except Exception as exc:
                    self._asked = False
                    raise DownloadError(f"{gone} Asking the API again failed: {exc}") from exc
        if self._outcome is None or index >= len(self._outcome.assets):
            text = f"{gone} The asset has expired, or was removed, and the API gives no new URL."
            raise DownloadError(text, retryable=False)
        return self._outcome.assets[index].url


def _store(
    url: str,
    outcome: Outcome,
    index: int,
    place: Storage,
    template: str,
    settings: Settings,
    canceller: TransferCanceller,
) -> File:
    kind = outcome.assets[index].kind
    from mulequeue.transfer.asset_stream import asset_chunks

    with asset_chunks(url, settings=settings, canceller=canceller) as chunks:
        head = b""
        while len(head) < HEAD_BYTES and (chunk := next(chunks, b"")):
            head += chunk
        if not head:
            raise DownloadError(f"Asset {index} is empty.")
        try:
            media_type, extension = media_type_of(head, kind)
        except DownloadError as exc:
            raise DownloadError(f"Asset {index} {exc}", retryable=exc.retryable) from None
        path = file_path(template, outcome, index, extension)
        size = place.write(path, itertools.chain([head], chunks))
    return File(url=place.url_of(path), kind=kind, media_type=media_type, bytes=size)


class Storage:
    """A folder or a URL of fsspec, in which files are written."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        """:raises ConfigurationError: unknown protocol, missing package, wrong options."""
        self.protocol = split_protocol(url)[0] or "file"
        self.is_local = self.protocol in ("file", "local")
        self.fs, root = _open_filesystem(url, self.protocol, options)
        self.root = root if self.is_local else root.rstrip("/")

    def write(self, path: str, chunks: Iterator[bytes]) -> int:
        """Write a file, which appears when it is complete; return its size in bytes.

        :raises DownloadError: the storage failed (retryable), or ``chunks`` raised it.
        """
        final = self._full(path)
        try:
            if self.protocol in _OBJECT_STORES:
                return self._write_object(final, chunks)
            return self._write_file(final, chunks)
        except DownloadError:
            raise
        except Exception as exc:
            raise DownloadError(f"{self.url_of(path)} cannot be written: {exc}") from exc

    def url_of(self, path: str) -> str:
        full = self._full(path)
        return Path(full).as_uri() if self.is_local else str(self.fs.unstrip_protocol(full))

    def _full(self, path: str) -> str:
        return posixpath.join(self.root, path)

    def _write_file(self, final: str, chunks: Iterator[bytes]) -> int:
        folder = posixpath.dirname(final)
        self.fs.makedirs(folder, exist_ok=True)
        part = posixpath.join(folder, f".{uuid.uuid4().hex}.part")
        try:
            with self.fs.open(part, "wb") as file:
                size = _copy(chunks, file)
            self._rename(part, final)
        except BaseException:
            with suppress(Exception):
                self.fs.rm_file(part)
            raise
        return size

    def _rename(self, part: str, final: str) -> None:
        if self.is_local:
            os.replace(part, final)
            return
        try:
            self.fs.mv(part, final)
        except OSError:  # some servers do not rename onto an existing file
            self.fs.rm_file(final)
            self.fs.mv(part, final)

    def _write_object(self, final: str, chunks: Iterator[bytes]) -> int:
        file = self.fs.open(final, "wb", block_size=_BLOCK_BYTES)
        try:
            size = _copy(chunks, file)
            file.close()
        except BaseException:
            # close(), also by the garbage collector, would complete the partial object.
            with suppress(Exception):
                file.discard()
            file.closed = True
            raise
        return size


def check_storage(url: str, options: Mapping[str, Any]) -> None:
    """Check whether a storage can be used, without writing; call before a paid request.

    :param url: a folder or a URL of fsspec.
    :param options: of its file system.
    :raises ConfigurationError: unknown protocol, missing package, wrong options, a folder that
        cannot be written; the text names the change to make.
    """
    storage = Storage(url, options)
    if storage.is_local:
        _check_folder(Path(storage.root), url)


def _check_folder(folder: Path, url: str) -> None:
    existing = folder
    # os.path: below a folder without access, Path.exists() raises on older Python versions.
    while not os.path.exists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ConfigurationError(
            f"The storage {_shown(url)} cannot be used: {existing} is not a folder. "
            "Set mulequeue_storage to a folder or a URL such as s3://bucket/prefix."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"The storage {_shown(url)} cannot be used: {existing} is not writable for this user. "
            "Set mulequeue_storage to a folder that is, or change its owner."
        )


def _storage_for(storage: str | None, settings: Settings) -> Storage:
    """Open a storage; the options apply only to the protocol of ``settings.storage``."""
    url = storage or settings.storage
    same = split_protocol(url)[0] == split_protocol(settings.storage)[0]
    return Storage(url, settings.storage_options if same else {})


def _open_filesystem(url: str, protocol: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    if protocol in ("file", "local") and "://" not in url:
        url = os.path.expanduser(url)
    try:
        return url_to_fs(url, **options)  # type: ignore[no-any-return]
    except ImportError as exc:
        package = _PACKAGES.get(protocol)
        how = f'pip install "{package}"' if package else str(exc)
        raise ConfigurationError(f"The storage {_shown(url)} needs a package: {how}.") from None
    except ValueError as exc:
        known = ", ".join(["a folder", "file://", "s3://", "memory://"])
        raise ConfigurationError(
            f"The storage {_shown(url)} cannot be used: {exc}. Set mulequeue_storage to {known}, "
            f"or one of fsspec {fsspec.__version__}'s other protocols."
        ) from None
    except Exception as exc:
        # The options may contain secrets, so only their names are printed.
        raise ConfigurationError(
            f"The storage {_shown(url)} cannot be opened with mulequeue_storage_options "
            f"{sorted(options)}: {type(exc).__name__}. Check them against its file system."
        ) from None


def _shown(url: str) -> str:
    """Return a storage URL for a message, without a password."""
    return repr(re.sub(r"//[^/@]*@", "//…@", url))


def _copy(chunks: Iterator[bytes], file: Any) -> int:
    size = 0
    for chunk in chunks:
        file.write(chunk)
        size += len(chunk)
    return size
