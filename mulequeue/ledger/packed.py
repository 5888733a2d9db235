"""The packed form of a delivered record, with its outcome and files, in less than half the memory.

Redis stores a small hash compactly while no value has more than 64 bytes. So the outcome, the files and most
fields are compressed together, and the result is cut into fields of that size, which are named by numbers.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

MAX_PACKED_BYTES = 4096
"""A record with a longer packed form (audio bytes in the response) is not packed."""
CHUNK_BYTES = 64
_CLEAR = frozenset(
    {"state", "status", "digest", "tail", "batch", "stored", "returned"}
    | {"file_error", "notify_error", "each_error", "late_remote_id", "more_remote_ids"}
)
"""Fields that scripts read or write after the delivery. ``stored`` is the number of files."""
_OVER = frozenset({"v", "key", "epoch", "deadline", "dispatched"})
"""Fields that have no use after the delivery, and are dropped."""
_FORMAT = b"1"
# What most records have in common. A record can only be read with the dictionary it was packed with, so a change
# needs another _FORMAT.
_DICTIONARY = (
    b'"more":"abandoned":"poisoned":"interval":"requeues":"retries":"problem":"errors":"0","expires":"cancel":"1",'
    b'"metadata":"{\\"id\\":\\"sku\\":\\"customer\\":","usd":"75000","usd":"30000","trace":"00-","key":"'
    b'[{"profile":"default","v":"2","path":"google/v1/veo-3.1-fast/generation","path":"minimax/v1/speech-2.8-hd/'
    b'text-to-speech/generation","path":"carrothub/v1/z-image-spicy/generation","path":"klingai/v1/kling-v3/image-to-'
    b'video/generation","path":"openai/v1/gpt-image-2/edit","path":"bytedance/v1/seedance-2.0/text-to-video/generation",'
    b'"path":"alibaba/v1/qwen-image-max/generation","path":"alibaba/v1/wan2.6-t2i/generation","base_url":'
    b'"https://api.mulerun.com","base_url":"https://api.mulerouter.ai","model":"alibaba/wan2.6-t2i","kind":"video",'
    b'"kind":"audio","kind":"image","label":"","day":"20","submitted":"179","remote_id":"","started":"179","deadline":'
    b'"179","api_trace":"00-","polls":"1","finished":"179","deliveries":"1","dispatched":""},{"kind":"image",'
    b'"created_at":"2026-00-00T00:00:00.000000+00:00","updated_at":"2026-11-00T00:00:00Z","extra":{"description":"'
    b'"assets":[{"url":"https://mulerouter.muleusercontent.com/public/.png https://mule-router-assets.'
    b"muleusercontent.com/router_public/production/artifacts/tasks/outputs/public/production/ephemeral/result_00.mp4"
    b'result_00.png","kind":"image","expires_at":"2026-11-00T00:00:00Z"}]},[{"url":"s3://django://file:///srv/files/'
    b'alibaba/wan2.6-t2i/2026-11-/0.mp4/0.png","kind":"video","media_type":"video/mp4","media_type":"audio/mpeg",'
    b'"media_type":"image/jpeg","media_type":"image/png","bytes":4'
)


def pack_record(
    fields: Mapping[bytes, bytes], answer: bytes | None, files: bytes | None
) -> dict[str, bytes] | None:
    """Return the fields of the packed form, or None if it would be too long."""
    known, answer_text, files_text = unpack_record(fields, answer, files)
    given = [json.loads(text) if text else None for text in (answer_text, files_text)]
    clear = {name: known.pop(name).encode() for name in _CLEAR & known.keys()}
    if given[1] is not None:
        clear["stored"] = str(len(given[1])).encode()
    known = {name: value for name, value in known.items() if name not in _OVER}
    text = json.dumps([known, *given], ensure_ascii=False, separators=(",", ":"))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    packed = _FORMAT + packer.compress(text.encode()) + packer.flush()
    if len(packed) > MAX_PACKED_BYTES:
        return None
    starts = range(0, len(packed), CHUNK_BYTES)
    return clear | {
        str(number): packed[start : start + CHUNK_BYTES] for number, start in enumerate(starts)
    }


def unpack_record(
    fields: Mapping[bytes, bytes], answer: bytes | None, files: bytes | None
) -> tuple[dict[str, str], bytes | str | None, bytes | str | None]:
    """Return the fields, the outcome and the files of a record, whether it is packed or not.

    Fields and files that were written after the record was packed take precedence.
    """
    clear = {name.decode(): value.decode() for name, value in fields.items() if not name.isdigit()}
    if b"0" not in fields:
        return clear, answer, files
    chunks = sorted((int(name), value) for name, value in fields.items() if name.isdigit())
    packed = b"".join(value for _, value in chunks)
    unpacker = zlib.decompressobj(-15, _DICTIONARY)
    known, *rest = json.loads(unpacker.decompress(packed[len(_FORMAT) :]))
    clear.pop("stored", None)
    return {**known, **clear}, answer or _text(rest[0]), files or _text(rest[1])


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
