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
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.files import File
from django.core.files.storage import FileSystemStorage, storages
from django.urls import get_script_prefix
from fsspec.spec import AbstractFileSystem

from mulequeue.engine.worker_context import worker_context

PROTOCOL = "django"
FIELD_PROTOCOL = "django-field"
_IN_MEMORY_BYTES = 4 * 1024**2


def register() -> None:
    """Register the protocols with fsspec."""
    fsspec.register_implementation(PROTOCOL, DjangoFileSystem, clobber=True)
    fsspec.register_implementation(FIELD_PROTOCOL, FieldFileSystem, clobber=True)


def url_of(scheme: str, path: str) -> str | None:
    """Return the URL of a stored file, or None if it has none, for example without ``MEDIA_URL``."""
    try:
        storage, name = field_file(path) if scheme == FIELD_PROTOCOL else (_storage(), path)
        # Without MEDIA_URL, Django returns URLs of the site's pages.
        is_local = isinstance(storage, FileSystemStorage)
        if is_local and storage.base_url in (None, get_script_prefix()):
            return None
        return str(storage.url(name))
    except (NotImplementedError, ValueError, FileNotFoundError):
        return None


def _storage() -> Any:
    """Return the storage of downloads."""
    settings = worker_context().settings
    is_configured = settings.storage.startswith(f"{PROTOCOL}:")
    return storages[
        settings.storage_options.get("alias", "default") if is_configured else "default"
    ]


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
            save_as(self._storage, self._name, self._spool)

    def discard(self) -> None:
        """Delete the data without saving it to the storage."""
        self.closed = True
        self._spool.close()


def save_as(storage: Any, name: str, content: IO[bytes]) -> None:
    """Save a file to a storage under exactly this name; an existing file is replaced.

    :raises OSError: the storage gave it another name.
    """
    if isinstance(storage, FileSystemStorage):
        # Under a temporary name first: a file that is not complete never has its own name.
        part = _part_of(name)
        storage.delete(part)  # of a process that was killed
        saved = storage.save(part, File(content, name=name))
        os.replace(storage.path(saved), storage.path(name))
        return
    if storage.exists(name):  # a storage changes a name that exists
        storage.delete(name)
    saved = storage.save(name, File(content, name=name))
    if saved != name:
        storage.delete(saved)
        raise OSError(f"the storage saved {name!r} as {saved!r}")


def _part_of(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, f".{base}.part")


# Files of a model's field


def field_url(field: Any, name: str) -> str:
    """Return the URL of a file in the storage of a field."""
    return f"{FIELD_PROTOCOL}://{field.model._meta.label}.{field.name}/{name}"


def field_file(path: str) -> tuple[Any, str]:
    """Return the storage and the name of a file of a field.

    :param path: of its URL.
    :raises FileNotFoundError: the project has no such model or field any more.
    """
    where, _, name = path.partition("/")
    label, _, field = where.rpartition(".")
    try:
        return apps.get_model(label)._meta.get_field(field).storage, name
    except (LookupError, ValueError, FieldDoesNotExist) as exc:
        raise FileNotFoundError(f"{path}: {exc}") from None


class FieldFileSystem(AbstractFileSystem):
    """The files that ``attach`` saved, for reading."""

    protocol = FIELD_PROTOCOL
    cachable = False

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        storage, name = field_file(self._strip_protocol(path))
        return storage.open(name, mode)
