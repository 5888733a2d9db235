"""Django's default storage as a target of downloads: ``mulequeue_storage = "django://folder"``.

mulequeue treats the storage as an object store: a file appears under its name when it is complete. To use
another of the ``STORAGES``, set ``mulequeue_storage_options = {"alias": "private"}``.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any

import fsspec
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.files import File
from django.core.files.storage import FileSystemStorage, storages
from django.urls import get_script_prefix
from fsspec.spec import AbstractFileSystem

from mulequeue.engine.worker_context import worker_context
from mulequeue.transfer.storage import open_storage

PROTOCOL = "django"
FIELD_PROTOCOL = "django-field"
_IN_MEMORY_BYTES = 4 * 1024**2


def public_url(item: Mapping[str, Any]) -> str | None:
    """Return the URL of a file or an asset for a browser, or None if there is no such URL or it has expired."""
    scheme, _, path = item["url"].partition("://")
    if scheme in ("http", "https"):
        ends = item.get("expires_at")
        has_ended = ends and datetime.fromisoformat(ends) <= datetime.now(UTC)
        return None if has_ended else str(item["url"])
    try:
        if scheme == FIELD_PROTOCOL:
            storage, name = field_file(path)
        elif scheme == PROTOCOL:
            settings = worker_context().settings
            storage, name = open_storage(f"{PROTOCOL}://", settings).fs.storage, path
        else:
            return None
        # If MEDIA_URL is not set, the URLs that Django returns are those of pages of the site.
        is_local = isinstance(storage, FileSystemStorage)
        if is_local and storage.base_url in (None, get_script_prefix()):
            return None
        return str(storage.url(name))
    except (NotImplementedError, ValueError, FileNotFoundError):
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
        return self.storage.open(self._strip_protocol(path), mode)

    def write_object(self, path: str, chunks: Iterator[bytes], _: int) -> int:
        """Save a file after all of its chunks have arrived; return its size in bytes."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
            for chunk in chunks:  # writelines() of Python 3.11 keeps all of them in memory
                spool.write(chunk)
            size = spool.tell()
            spool.seek(0)
            save_as(self.storage, path, spool)
        return size

    def exists(self, path: str, **_: Any) -> bool:
        return bool(self.storage.exists(self._strip_protocol(path)))

    def rm_file(self, path: str) -> None:
        self.storage.delete(self._strip_protocol(path))


def save_as(storage: Any, name: str, content: IO[bytes]) -> None:
    """Save a file to a storage under exactly this name; an existing file is replaced.

    :raises OSError: the storage saved the file under another name.
    """
    if isinstance(storage, FileSystemStorage):
        # A temporary name first: an incomplete file never has the final name.
        folder, base = posixpath.split(name)
        part = posixpath.join(folder, f".{base}.part")
        storage.delete(part)  # a killed process may have left it
        saved = storage.save(part, File(content, name=name))
        os.replace(storage.path(saved), storage.path(name))
        return
    if storage.exists(name):  # else the storage would choose another name
        storage.delete(name)
    saved = storage.save(name, File(content, name=name))
    if saved != name:
        storage.delete(saved)
        raise OSError(f"the storage saved {name!r} as {saved!r}")


def field_url(field: Any, name: str) -> str:
    """Return mulequeue's URL of a file in the storage of a model field: ``django-field://APP.MODEL.FIELD/NAME``."""
    return f"{FIELD_PROTOCOL}://{field.model._meta.label}.{field.name}/{name}"


def field_file(path: str) -> tuple[Any, str]:
    """Return the storage and the name of a file from its URL.

    :param path: the URL of :func:`field_url` without its scheme.
    :raises FileNotFoundError: the project has no such model or field any more.
    """
    where, _, name = path.partition("/")
    label, _, field = where.rpartition(".")
    try:
        return apps.get_model(label)._meta.get_field(field).storage, name
    except (LookupError, ValueError, FieldDoesNotExist) as exc:
        raise FileNotFoundError(f"{path}: {exc}") from None


class FieldFileSystem(AbstractFileSystem):
    """A read-only file system with the files that ``attach`` saved."""

    protocol = FIELD_PROTOCOL
    cachable = False

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        storage, name = field_file(self._strip_protocol(path))
        return storage.open(name, mode)


fsspec.register_implementation(PROTOCOL, DjangoFileSystem, clobber=True)
fsspec.register_implementation(FIELD_PROTOCOL, FieldFileSystem, clobber=True)
