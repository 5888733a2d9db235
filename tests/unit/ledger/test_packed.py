"""The packed form of a record: nothing is lost, and little memory is left."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulequeue.ledger.packed import CHUNK_BYTES, pack_record, unpack_record
from mulequeue.ledger.records import outcome_of, read_record

FIELDS = {
    "v": "2",
    "state": "delivered",
    "status": "succeeded",
    "epoch": "0b15b770c87e",
    "digest": "22a53668879a64c1",
    "tail": "133858b38db48122",
    "profile": "default",
    "model": "alibaba/wan2.6-t2i",
    "path": "alibaba/v1/wan2.6-t2i/generation",
    "base_url": "https://api.mulerouter.ai",
    "kind": "image",
    "label": "A mule carries parcel 000003 over the pass at dawn, in oil",
    "remote_id": "f92047fe-efc0-4446-8fdf-434d102efe20",
    "polls": "3",
    "usd": "75000",
    "day": "20786",
    "metadata": '{"sku":"A-1","name":"騾"}',
    "created": "1795926637.718798",
    "submitted": "1795926637.718799",
    "started": "1795926637.786926",
    "finished": "1795926642.866969",
    "times": "q14bk176cv1772z1777o179e",
}
ASSET = {"url": "https://a.example/騾.png", "kind": "image", "expires_at": "2026-11-29T05:30:43Z"}
ANSWER = json.dumps({"kind": "image", "assets": [ASSET], "extra": {"n": 1.0, "s": "é"}}).encode()
FILE = {"url": "s3://b/0.png", "kind": "image", "media_type": "image/png", "bytes": 47119}
FILES = json.dumps([FILE]).encode()


def raw(fields: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in fields.items()}


def packed(
    fields: dict[bytes, bytes], answer: bytes | None, files: bytes | None
) -> dict[bytes, bytes]:
    found = pack_record(fields, answer, files)
    assert found is not None
    return {name.encode(): value for name, value in found.items()}


def test_the_record_is_the_same() -> None:
    """Its outcome too, with assets, files, metadata and the estimate."""
    before = replace(read_record("t", FIELDS, ANSWER, FILES), epoch="")

    after = read_record("t", *unpack_record(packed(raw(FIELDS), ANSWER, FILES), None, None))

    assert before == after
    assert outcome_of(before) == outcome_of(after)


def test_no_value_is_longer_than_what_redis_stores_compactly() -> None:
    """And what scripts read is in the clear."""
    found = packed(raw(FIELDS), ANSWER, FILES)

    assert max(len(value) for value in found.values()) <= CHUNK_BYTES
    clear = {name.decode() for name in found if not name.isdigit()}
    assert {"state", "status", "digest", "tail", "stored"} == clear
    assert b"1" == found[b"stored"]


def test_what_is_written_later_takes_precedence() -> None:
    """A late id, an error, and files that were stored again; packing it once more keeps all."""
    found = packed(raw(FIELDS), ANSWER, FILES)
    found[b"late_remote_id"] = b"late"
    other = json.dumps([{**FILE, "url": "s3://b/1.png"}]).encode()

    for fields, files in ((found, other), (packed(found, None, other), None)):
        record = read_record("t", *unpack_record(fields, None, files))
        assert ("late", "s3://b/1.png") == (record.late_remote_id, record.files[0].url)
        assert "f92047fe-efc0-4446-8fdf-434d102efe20" == record.remote_id


def test_a_record_without_outcome_and_files_is_packed() -> None:
    """None stays None, and an ended download without files stays ended."""
    for files, ended in ((None, False), (b"[]", True)):
        found = packed(raw({"state": "delivered"}), None, files)
        record = read_record("t", *unpack_record(found, None, None))
        assert (ended, {}) == (record.is_downloaded, record.answer)


def test_what_is_too_long_stays_as_it_is() -> None:
    """Audio in a response is as long as it is."""
    audio = json.dumps({"assets": [{**ASSET, "url": "hex:" + "".join(map(str, range(9999)))}]})

    assert pack_record(raw(FIELDS), audio.encode(), None) is None


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: not name.isdigit()), st.text()))
def test_any_text_comes_back(fields: dict[str, str]) -> None:
    """Fields of a later version are kept too."""
    encodable = {
        name: value
        for name, value in fields.items()
        if (name + value).encode(errors="ignore") == (name + value).encode(errors="replace")
    }
    found, _, _ = unpack_record(packed(raw(encodable), None, None), None, None)
    left_out = {"v", "key", "epoch", "deadline", "dispatched", "stored"}

    assert {name: value for name, value in encodable.items() if name not in left_out} == found


@pytest.mark.parametrize("fields", [{}, FIELDS])
def test_a_record_that_is_not_packed_is_read_as_it_is(fields: dict[str, str]) -> None:
    """As an earlier version, or one that is under way, has it."""
    assert (fields, ANSWER, None) == unpack_record(raw(fields), ANSWER, None)
