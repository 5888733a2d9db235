"""Signatures as the ledger keeps them: kombu's JSON, compressed against the words they share.

kombu's JSON, because plain JSON fails on the datetimes and UUIDs that stamps and headers may hold.
Compressed, because ten thousand parked signatures lie in Redis' memory: 0.3 KiB instead of 1.3 KiB.
"""

from __future__ import annotations

import zlib
from typing import Any, cast

from kombu.utils import json

# Stays as it is for ever: records of today are read by the versions of tomorrow.
_WORDS_1 = (
    b'{"task": "mulequeue.generate", "args": ["alibaba/wan2.6-t2i", {"prompt": "a "}], "kwargs": '
    b'{"on_failure": "return", "batch_id": "", "batch_size": 1000, "storage": null, "profile": null}, '
    b'"options": {"task_id": "", "root_id": "", "parent_id": null, "group_id": null, "group_index": 0, '
    b'"shadow": null, "chord": {"task": "mulequeue.notify", "args": ["https://"], "kwargs": {}, '
    b'"options": {"task_id": "", "reply_to": ""}, "subtask_type": null, "immutable": false, '
    b'"chord_size": 1000}, "chain": [{"task": "mulequeue.download", "args": [], "kwargs": {"storage": '
    b'"file:///"}, "options": {"task_id": "", "reply_to": "", "retry": true, "retry_policy": '
    b'{"max_retries": 60, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 2}}, '
    b'"subtask_type": null, "immutable": false}], "link": null, "link_error": null, "expires": null, '
    b'"soft_time_limit": null, "time_limit": null, "headers": {"mulequeue_epoch": ""}, "retries": 0, '
    b'"reply_to": "", "replaced_task_nesting": 0, "origin": "gen1@", "stamped_headers": [], '
    b'"stamps": {}, "ignore_result": false, "priority": 0, "queue": "mulequeue.wake"}, '
    b'"subtask_type": null, "immutable": false}'
)


def pack(signature: dict[str, Any]) -> bytes:
    """The bytes of a signature."""
    compressor = zlib.compressobj(level=6, wbits=-15, zdict=_WORDS_1)
    data = json.dumps(dict(signature)).encode()
    return b"1" + compressor.compress(data) + compressor.flush()


def unpack(blob: bytes) -> dict[str, Any]:
    """The reverse of :func:`pack`. Raises ValueError on bytes of an unknown version."""
    if blob[:1] != b"1":
        raise ValueError(f"a parked signature of an unknown version: {blob[:1]!r}")
    data = zlib.decompressobj(wbits=-15, zdict=_WORDS_1).decompress(blob[1:])
    return cast(dict[str, Any], json.loads(data.decode()))
