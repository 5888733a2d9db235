"""Where files go, and whether they can go there."""

from __future__ import annotations

import posixpath
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mulequeue.errors import ConfigurationError, DownloadError
from mulequeue.ops.health.check_result import Finding, error, of_configuration, passed, setting_name
from mulequeue.settings import Settings
from mulequeue.transfer.path_template import check_template

if TYPE_CHECKING:
    from mulequeue.transfer.storage import Storage

TIMEOUT_SECONDS = 15.0


def storage_path(template: str) -> Finding:
    """Whether every generation gets a path of its own."""
    try:
        check_template(template)
    except ConfigurationError as exc:
        return of_configuration("storage-path", exc)
    return passed("storage-path", template)


def storage(app: Any, settings: Settings) -> Finding:
    """Whether the storage can be written; anything but a folder is written to, and cleaned up."""
    from mulequeue.transfer.storage import Storage, check_storage

    try:
        check_storage(settings.storage, settings.storage_options)
        place = Storage(settings.storage, settings.storage_options)
    except ConfigurationError as exc:
        return of_configuration("storage", exc)
    shown = place.root if place.is_local else settings.storage
    try:
        if not place.is_local:
            _write_within(place, TIMEOUT_SECONDS)
    except (DownloadError, TimeoutError) as exc:
        why = str(exc) or f"it does not answer within {TIMEOUT_SECONDS:g} s"
        return error(
            "storage",
            f"The storage {shown} cannot be written: {why.rstrip('.')}.",
            f"Check its name, its credentials and {setting_name(app, 'mulequeue_storage_options')}.",
        )
    return passed("storage", f"Files go to {shown}")


def _write_within(place: Storage, seconds: float) -> None:
    pool = ThreadPoolExecutor(1, "mulequeue-doctor")
    try:
        pool.submit(_write, place).result(seconds)
    finally:
        pool.shutdown(wait=False)


def _write(place: Storage) -> None:
    name = f"mulequeue-doctor-{uuid.uuid4().hex}.txt"
    place.write(name, iter([b"mulequeue doctor was here\n"]))
    try:
        place.fs.rm_file(posixpath.join(place.root, name))
    except Exception as exc:
        raise DownloadError(f"{name} was written and cannot be removed ({exc})") from exc
