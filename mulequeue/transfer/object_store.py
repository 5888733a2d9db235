"""Write and read the objects of S3, Google Cloud Storage and Azure with obstore.

obstore is optional: without it, fsspec's own packages serve the same URLs. Opening a store sends no request,
because obstore does not work in a process whose parent sent a request before the fork.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any

from obstore.fsspec import FsspecStore

# s3fs's names of the options that most configurations have.
_S3_NAMES = {"key": "access_key_id", "secret": "secret_access_key", "token": "session_token"}
# allow_http: an endpoint can have an http:// address. timeout: long enough for a block at 2 Mbit/s.
_CLIENT_OPTIONS = {"allow_http": True, "timeout": "120s"}
_used_by: int | None = None  # the process that sent the first request, or its parent
_BLOCKS_AT_ONCE = 2  # of one file; mulequeue_downloads_at_once files are written in parallel


class ObjectStore(FsspecStore):
    """A bucket or container, as a file system of fsspec.

    :param bucket: the part of the URL between the protocol and the path.
    """

    def __init__(self, protocol: str, bucket: str, options: Mapping[str, Any]) -> None:
        """:raises obstore.exceptions.BaseError: an option is missing or unknown."""
        options = dict(options)
        if protocol in ("s3", "s3a"):
            options = {_S3_NAMES.get(name, name): value for name, value in options.items()}
        client_options = _CLIENT_OPTIONS | options.pop("client_options", {})
        super().__init__(protocol, client_options=client_options, **options)  # type: ignore[call-overload]
        self._construct_store(bucket)

    def write_object(self, path: str, chunks: Iterator[bytes], block_bytes: int) -> None:
        """Write an object, which appears when it is complete.

        :param chunks: iterated in this thread. If it raises, no object is created.
        """
        _check_process()
        bucket, key = self._split_path(path)
        store, head = self._construct_store(bucket), b""
        while len(head) < block_bytes and (chunk := next(chunks, b"")):
            head += chunk
        if len(head) < block_bytes:  # one request instead of the three of a multipart upload
            store.put(key, head)
        else:
            blocks = itertools.chain([head], chunks)
            store.put(key, blocks, chunk_size=block_bytes, max_concurrency=_BLOCKS_AT_ONCE)

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        _check_process()
        return super().open(path, mode, **options)


def _check_process() -> None:
    """Raise RuntimeError if the parent process sent a request before the fork, because a request would hang."""
    global _used_by
    if _used_by not in (None, os.getpid()):
        raise RuntimeError(
            "obstore was used before this process was forked, and would hang. Do not read or write "
            "files in the parent process, or uninstall obstore and install s3fs, gcsfs or adlfs"
        )
    _used_by = os.getpid()
