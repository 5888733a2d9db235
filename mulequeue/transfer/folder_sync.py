"""Write the names of stored files to the disk, so that a power cut does not remove them."""

from __future__ import annotations

import errno
import os
from functools import lru_cache

# Some network file systems cannot synchronize a folder.
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP)


def sync_folders(folder: str, root: str) -> None:
    """Synchronize the folder of a new file, and the folders above it up to the root.

    A folder above it is synchronized only if it has a name that this process has not synchronized: with one
    folder per generation these are two of four, and each costs a flush of the disk.

    :param root: of the storage; ``folder`` is in it, or the same.
    """
    _sync(folder)
    while len(folder) > len(root.rstrip("/")) and folder != "/":
        found = os.stat(folder)
        _sync_name(folder, found.st_dev, found.st_ino)
        folder = os.path.dirname(folder)


@lru_cache(maxsize=1024)
def _sync_name(folder: str, device: int, inode: int) -> None:
    """Write the name of a folder to the disk; once, while it is the same folder."""
    _sync(os.path.dirname(folder))


def _sync(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder to write into only
        return
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)
