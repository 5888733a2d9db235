"""Serialize signatures for the ledger: kombu's JSON, deflated with a preset dictionary.

kombu's JSON, because plain JSON fails on the datetimes and UUIDs that stamps and headers may contain.
A dictionary, because ten thousand parked signatures are in Redis' memory: a parked ``generate`` takes
160 to 240 bytes of 1,000 to 1,500; zlib without the dictionary takes 460 to 570.
"""

from __future__ import annotations

import zlib
from typing import Any, cast

from kombu.utils import json

# The most frequent text is last: a near match costs the fewest bits. Never change it: later versions
# read the records of earlier ones.
_WORDS_1 = (
    b'mulequeue.generate_frommulequeue.adoptmulequeue.gather, "use": "image", "index": 0, '
    b'"profile": "default", "max_wait": , "poll_interval": , "path": "/vendors/", "storage": '
    b'"s3://file:///{"prompt": "A photo of a small young woman with an old man in the style of a '
    b"cinematic portrait at night, golden hour, soft light, on the street, city, over the "
    b'mountain, close-up of ", "size": "1280*720", "seed": "resolution": "720p", "duration": 5, '
    b'"image": "https://", "negative_prompt": "", "aspect_ratio": "16:9"}, "priority": 0, '
    b'"stamped_headers": [], "stamps": {}, {"task": "mulequeue.notify", "args": '
    b'["https://.com/.example/hooks"], "kwargs": {}, "options": {"task_id": "", "reply_to": "", '
    b'"retry_policy": {"max_retries": 60, "interval_start": 0.2, "interval_step": 0.2, '
    b'"interval_max": 2}}, "subtask_type": null, "immutable": false}, {"task": '
    b'"mulequeue.generate", "args": ["google/veo-3.1-fast", "alibaba/wan2.6-t2i", null], '
    b'"kwargs": {"on_failure": "return", "batch_id": "", "batch_size": 1000}, "options": '
    b'{"task_id": "-000", "root_id": "-000", "parent_id": null, "group_id": null, "group_index": '
    b'null, "shadow": null, "chord": null, "chain": [{"task": "mulequeue.download", "args": [], '
    b'"kwargs": {}, "options": {"task_id": "", "reply_to": "", "group_id": "", "chord": {"task": '
    b'"mulequeue.notify", "args": ["https://"], "kwargs": {}, "options": {"task_id": "-body", '
    b'"reply_to": "", "group_id": ""}, "subtask_type": null, "immutable": false}, "group_index": '
    b'0, "retry_policy": {"max_retries": 60, "interval_start": 0.2, "interval_step": 0.2, '
    b'"interval_max": 2}}, "subtask_type": null, "immutable": false}], "link": null, '
    b'"link_error": null, "expires": null, "soft_time_limit": 21540, "time_limit": 21600, '
    b'"headers": {"mulequeue_epoch": ""}, "retries": 0, "reply_to": "", "replaced_task_nesting": '
    b'0, "origin": "gen1@", "ignore_result": false, "priority": 0, "queue": "mulequeue.wake", '
    b'"argsrepr": "alibaba/wan2.6-t2i: "}, "subtask_type": null, "immutable": false}'
)


def pack(signature: dict[str, Any]) -> bytes:
    """Return the bytes of a signature."""
    compressor = zlib.compressobj(level=9, wbits=-15, zdict=_WORDS_1)
    data = json.dumps(dict(signature)).encode()
    return b"1" + compressor.compress(data) + compressor.flush()


def unpack(blob: bytes) -> dict[str, Any]:
    """Return the signature that :func:`pack` was given.

    :raises ValueError: the bytes are of an unknown version.
    """
    if blob[:1] != b"1":
        raise ValueError(f"a parked signature of an unknown version: {blob[:1]!r}")
    data = zlib.decompressobj(wbits=-15, zdict=_WORDS_1).decompress(blob[1:])
    return cast(dict[str, Any], json.loads(data.decode()))
