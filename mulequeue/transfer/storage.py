"""Write files into a folder or a file system of fsspec.

An incomplete file never has its final name. On file systems it is written under a temporary name
and renamed; in object stores an object appears only when it is complete.
"""

from __future__ import annotations

import os
import posixpath
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import split_protocol, url_to_fs

from mulequeue.errors import ConfigurationError, DownloadError
from mulequeue.settings import Settings

__all__ = ["Storage", "check_storage", "open_storage"]

# In these a file appears when it is closed; a temporary name would only cost a copy.
_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "django"}
)
_PACKAGES = {"s3": "mulequeue[s3]", "s3a": "mulequeue[s3]", "gs": "gcsfs", "gcs": "gcsfs"}
_PACKAGES |= dict.fromkeys(("abfs", "abfss", "az", "adl"), "adlfs")
_BLOCK_BYTES = 8 * 1024**2  # of a multipart upload; by default s3fs buffers 50 MiB per asset


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
        final = self._full_path(path)
        try:
            if self.protocol in _OBJECT_STORES:
                return self._write_object(final, chunks)
            return self._write_file(final, chunks)
        except DownloadError:
            raise
        except Exception as exc:
            raise DownloadError(f"{self.url_of(path)} cannot be written: {exc}") from exc

    def url_of(self, path: str) -> str:
        full = self._full_path(path)
        return Path(full).as_uri() if self.is_local else str(self.fs.unstrip_protocol(full))

    def _full_path(self, path: str) -> str:
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
    """Check whether a storage can be used, without writing; call before a billed request.

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
            f"The storage {_redact(url)} cannot be used: {existing} is not a folder. "
            "Set mulequeue_storage to a folder or a URL such as s3://bucket/prefix."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"The storage {_redact(url)} cannot be used: {existing} is not writable for this user. "
            "Set mulequeue_storage to a folder that is, or change its owner."
        )


def open_storage(storage: str | None, settings: Settings) -> Storage:
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
        raise ConfigurationError(f"The storage {_redact(url)} needs a package: {how}.") from None
    except ValueError as exc:
        known = ", ".join(["a folder", "file://", "s3://", "memory://"])
        raise ConfigurationError(
            f"The storage {_redact(url)} cannot be used: {exc}. Set mulequeue_storage to {known}, "
            f"or one of fsspec {fsspec.__version__}'s other protocols."
        ) from None
    except Exception as exc:
        # The options may contain secrets, so only their names are printed.
        raise ConfigurationError(
            f"The storage {_redact(url)} cannot be opened with mulequeue_storage_options "
            f"{sorted(options)}: {type(exc).__name__}. Check them against its file system."
        ) from None


def _redact(url: str) -> str:
    """Return a storage URL for a message, without a password."""
    return repr(re.sub(r"//[^/@]*@", "//…@", url))


def _copy(chunks: Iterator[bytes], file: Any) -> int:
    size = 0
    for chunk in chunks:
        file.write(chunk)
        size += len(chunk)
    return size
