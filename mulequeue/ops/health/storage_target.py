"""Check the storage of downloaded files, and the template of their paths."""

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

WRITE_TIMEOUT_SECONDS = 15.0


def storage_path(template: str) -> Finding:
    """Check that the template gives each generation a unique path."""
    try:
        check_template(template)
    except ConfigurationError as exc:
        return of_configuration("storage-path", exc, "The setting is mulequeue_storage_path.")
    return passed("storage-path", template)


def storage(app: Any, settings: Settings, *, writes: bool = True) -> Finding:
    """Check that the storage is writable. In a remote storage a test file is written and removed.

    :param writes: False: write no test file, and check only the settings of a remote storage.
    """
    from mulequeue.transfer.storage import Storage, check_storage

    try:
        check_storage(settings.storage, settings.storage_options)
        target = Storage(settings.storage, settings.storage_options)
    except ConfigurationError as exc:
        setting = setting_name(app, "mulequeue_storage")
        return of_configuration("storage", exc, f"The setting is {setting}.")
    shown = target.root if target.is_local else settings.storage
    try:
        if writes and not target.is_local:
            _write_with_timeout(target, WRITE_TIMEOUT_SECONDS)
    except (DownloadError, TimeoutError) as exc:
        why = str(exc) or f"no answer within {WRITE_TIMEOUT_SECONDS:g} s"
        return error(
            "storage",
            f"The storage {shown} is not writable, so every download fails: {why.rstrip('.')}.",
            f"Check its name, its credentials and {setting_name(app, 'mulequeue_storage_options')}.",
        )
    return passed("storage", f"Files are stored in {shown}")


def _write_with_timeout(target: Storage, seconds: float) -> None:
    pool = ThreadPoolExecutor(1, "mulequeue-doctor")
    try:
        pool.submit(_write, target).result(seconds)
    finally:
        pool.shutdown(wait=False)


def _write(target: Storage) -> None:
    name = f"mulequeue-doctor-{uuid.uuid4().hex}.txt"
    target.write(name, iter([b"Test file of mulequeue doctor.\n"]))
    try:
        target.fs.rm_file(posixpath.join(target.root, name))
    except Exception as exc:
        raise DownloadError(f"{name} was written but cannot be removed ({exc})") from exc
