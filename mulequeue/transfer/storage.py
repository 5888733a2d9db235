"""Write files into a folder, an object store, or another file system of fsspec.

An incomplete file never has its final name. On file systems it is written under a temporary name
and renamed; in object stores an object appears only when it is complete. In a local folder a file is renamed
only after its bytes are on the disk. Otherwise a power cut could leave an empty file whose asset has expired
meanwhile. After that, the names of the file and of its folders are written to the disk.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import split_protocol, url_to_fs

from mulequeue.errors import ConfigurationError, DownloadError, StorageError
from mulequeue.settings import Settings

# Protocols that obstore serves -> the extra that installs it.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs"}
_EXTRAS |= dict.fromkeys(("abfs", "abfss", "az", "adl"), "azure")
# In these stores a file appears when it is closed; a temporary name would only cost a copy.
_OBJECT_STORES = frozenset({*_EXTRAS, "gcs", "oss", "oci", "django"})
_PART = ".part"
IDLE_PART_SECONDS = 10.0
"""A temporary file of the same file that was not modified for this time belongs to a killed attempt."""
OLD_PART_SECONDS = 24 * 3600.0
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)  # of a folder on some network file systems
_BLOCK_BYTES = 8 * 1024**2  # of a multipart upload; by default s3fs buffers 50 MiB per asset


class Storage:
    """A folder or a URL of fsspec, in which files are written."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        """:raises ConfigurationError: as :func:`open_filesystem`."""
        self.protocol = split_protocol(url)[0] or "file"
        self.is_local = self.protocol in ("file", "local")
        self.fs, root = open_filesystem(url, options)
        self.root = root if self.is_local else root.rstrip("/")

    def write(self, path: str, chunks: Iterator[bytes]) -> int:
        """Write a file, which appears when it is complete; return its size in bytes.

        :raises StorageError: the file cannot be written by this worker; another worker may be able to.
        :raises DownloadError: ``chunks`` raised it.
        """
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        write = self._write_object if self.protocol in _OBJECT_STORES else self._write_file
        try:
            write(self._full_path(path), counted())
        except DownloadError:
            raise
        except Exception as exc:
            raise StorageError(f"{self.url_of(path)} cannot be written: {exc}") from exc
        return size

    def url_of(self, path: str) -> str:
        full = self._full_path(path)
        return Path(full).as_uri() if self.is_local else str(self.fs.unstrip_protocol(full))

    def _full_path(self, path: str) -> str:
        return posixpath.join(self.root, path)

    def remove_leftovers(self, path: str) -> None:
        """Remove temporary files of killed attempts: of this file after 10 s, of others in its folder after a day."""
        folder, name = posixpath.split(self._full_path(path))
        with suppress(Exception):  # a leftover only takes space
            for found in self.fs.ls(folder, detail=False):
                part = posixpath.basename(found)
                if not (part.startswith(".") and part.endswith(_PART)):
                    continue
                is_own = part.startswith(f".{name}.")
                age = datetime.now(UTC) - self.fs.modified(found)
                if age.total_seconds() > (IDLE_PART_SECONDS if is_own else OLD_PART_SECONDS):
                    self.fs.rm_file(found)

    def _write_file(self, final: str, chunks: Iterator[bytes]) -> None:
        folder, name = posixpath.split(final)
        self.fs.makedirs(folder, exist_ok=True)
        part = posixpath.join(folder, f".{name}.{uuid.uuid4().hex}{_PART}")
        try:
            with self.fs.open(part, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                if self.is_local:
                    file.flush()
                    os.fsync(file.fileno())
            self._rename(part, final)
        except BaseException:
            with suppress(Exception):
                self.fs.rm_file(part)
            raise
        if self.is_local:
            _sync_folders(folder, self.root)

    def _rename(self, part: str, final: str) -> None:
        if self.is_local:
            os.replace(part, final)
            return
        try:
            self.fs.mv(part, final)
        except OSError:  # some servers do not rename onto an existing file
            self.fs.rm_file(final)
            self.fs.mv(part, final)

    def _write_object(self, final: str, chunks: Iterator[bytes]) -> None:
        if hasattr(self.fs, "write_object"):
            self.fs.write_object(final, chunks, _BLOCK_BYTES)
            return
        file = self.fs.open(final, "wb", block_size=_BLOCK_BYTES)
        try:
            for chunk in chunks:
                file.write(chunk)
            file.close()
        except BaseException:
            # close(), also by the garbage collector, would complete the partial object.
            with suppress(Exception):
                file.discard()
            file.closed = True
            raise


def _sync_folders(folder: str, root: str) -> None:
    """Write the name of a new file to the disk, and the names of the folders above it up to the root of the storage.

    The name of a folder is written once per process. With one folder per generation, two of four folders are
    synchronized per file; each costs a flush of the disk.
    """
    _sync(folder)
    while len(folder) > len(root.rstrip("/")) and folder != "/":
        found = os.stat(folder)
        _sync_name(folder, found.st_dev, found.st_ino)
        folder = os.path.dirname(folder)


@lru_cache(maxsize=1024)
def _sync_name(folder: str, device: int, inode: int) -> None:
    """Write the name of a folder to the disk, once for each device and inode."""
    _sync(os.path.dirname(folder))


def _sync(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written to, but not read
        return
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def check_storage(url: str, options: Mapping[str, Any]) -> None:
    """Check whether a storage can be used, without writing. Call this before a billed request.

    :raises ConfigurationError: as :func:`open_filesystem`, or the folder cannot be written to; the text
        names the change to make.
    """
    storage = Storage(url, options)
    if not storage.is_local:
        return
    existing = Path(storage.root)
    # os.path: below a folder without access, Path.exists() raises on older Python versions.
    while not os.path.exists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        why = "is not a folder. Name a folder or a URL such as s3://bucket/prefix."
    elif not os.access(existing, os.W_OK | os.X_OK):
        why = "is not writable for this user. Name a folder that is, or change its owner."
    else:
        return
    raise ConfigurationError(f"The storage {_redact(url)} cannot be used: {existing} {why}")


def open_storage(storage: str | None, settings: Settings) -> Storage:
    """Open a storage; None: ``settings.storage``. The options apply only to the protocol of that setting."""
    url = storage or settings.storage
    same = split_protocol(url)[0] == split_protocol(settings.storage)[0]
    return Storage(url, settings.storage_options if same else {})


def open_filesystem(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Object stores are served by obstore if it is installed, else by the package that fsspec names.

    :raises ConfigurationError: the protocol is unknown, a package is missing, or an option is invalid.
    """
    protocol = split_protocol(url)[0] or "file"
    if protocol in ("file", "local") and "://" not in url:
        url = os.path.expanduser(url)
    try:
        if protocol in _EXTRAS and find_spec("obstore"):
            from mulequeue.transfer.object_store import ObjectStore

            path = url.partition("://")[2]
            return ObjectStore(protocol, path.partition("/")[0], options), path
        return url_to_fs(url, **options)  # type: ignore[no-any-return]
    except ImportError as exc:
        extra = _EXTRAS.get(protocol)
        how = f'pip install "mulequeue[{extra}]"' if extra else str(exc)
        raise ConfigurationError(f"The storage {_redact(url)} needs a package: {how}.") from None
    except ValueError as exc:
        raise ConfigurationError(
            f"The storage {_redact(url)} cannot be used: {exc}. It may be a folder, file://, s3://, "
            f"memory://, or one of fsspec {fsspec.__version__}'s other protocols."
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
