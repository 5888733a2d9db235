"""Django's default storage as a target of downloads: ``mulequeue_storage = "django://folder"``.

For fsspec it is an object store: a file appears under its name when it is complete. To use another of
the ``STORAGES``, set ``mulequeue_storage_options = {"alias": "private"}``.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from typing import IO, Any

import fsspec
from django.core.files import File
from django.core.files.storage import FileSystemStorage, storages
from django.urls import get_script_prefix
from fsspec.spec import AbstractFileSystem

from mulequeue.engine.worker_context import worker_context

PROTOCOL = "django"
_IN_MEMORY_BYTES = 4 * 1024**2


def register() -> None:
    """Register the protocol with fsspec."""
    fsspec.register_implementation(PROTOCOL, DjangoFileSystem, clobber=True)


def url_of(name: str) -> str | None:
    """Return the URL of a stored file, or None if it has none, for example without ``MEDIA_URL``."""
    settings = worker_context().settings
    is_configured = settings.storage.startswith(f"{PROTOCOL}:")
    storage = storages[
        settings.storage_options.get("alias", "default") if is_configured else "default"
    ]
    # Without MEDIA_URL, Django returns URLs of the site's pages.
    if isinstance(storage, FileSystemStorage) and storage.base_url in (None, get_script_prefix()):
        return None
    try:
        return str(storage.url(name))
    except (NotImplementedError, ValueError):
        return None


class DjangoFileSystem(AbstractFileSystem):
    """A Django storage with the methods that ``download`` needs.

    :param alias: the name of the storage in ``STORAGES``.
    """

    protocol = PROTOCOL
    cachable = False  # tests and multi-tenant projects replace storages at run time

    def __init__(self, alias: str = "default", **options: Any) -> None:
        super().__init__(**options)
        self.storage = storages[alias]

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        """Open a file: ``wb`` saves it to the storage when it is closed, ``rb`` reads it."""
        name = self._strip_protocol(path)
        return NewFile(self.storage, name) if mode == "wb" else self.storage.open(name, mode)

    def exists(self, path: str, **_: Any) -> bool:
        return bool(self.storage.exists(self._strip_protocol(path)))

    def rm_file(self, path: str) -> None:
        self.storage.delete(self._strip_protocol(path))


class NewFile:
    """A file being written; :meth:`close` saves it to the storage under exactly its name."""

    def __init__(self, storage: Any, name: str) -> None:
        self._storage, self._name = storage, name
        # close() and discard() close it.
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115
        self.closed = False

    def write(self, data: bytes) -> int:
        return self._spool.write(data)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._spool.seek(0)
        with self._spool:
            if isinstance(self._storage, FileSystemStorage):
                self._replace()
            else:
                self._save()

    def discard(self) -> None:
        """Delete the data without saving it to the storage."""
        self.closed = True
        self._spool.close()

    def _save(self) -> None:
        """Delete an existing file, then save: a storage changes a name that exists."""
        if self._storage.exists(self._name):
            self._storage.delete(self._name)
        saved = self._storage.save(self._name, File(self._spool, name=self._name))
        if saved != self._name:
            self._storage.delete(saved)
            raise OSError(f"the storage saved {self._name!r} as {saved!r}")

    def _replace(self) -> None:
        """Save under a temporary name, then replace an existing file in one step."""
        part = self._storage.save(_part_of(self._name), File(self._spool, name=self._name))
        os.replace(self._storage.path(part), self._storage.path(self._name))


def _part_of(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, f".{base}.part")
