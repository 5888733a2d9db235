"""The JSON of a response, before anything else reads it."""

from __future__ import annotations

import json

import pytest

from mulequeue.api.parsing import read_json

MULE = "\U0001f434"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": "plain"}', {"a": "plain"}),
        (b'{"a": "\\ud83d\\udc34"}', {"a": MULE}),
        (json.dumps({"a": MULE}, ensure_ascii=False).encode(), {"a": MULE}),
        (b'{"a": "cut \\ud83d"}', {"a": "cut \ufffd"}),
        (
            b'{"a": "\\udc34 cut", "\\ud83d": [{"b": "\\uD83D\\u00e9"}]}',
            {"a": "\ufffd cut", "\ufffd": [{"b": "\ufffd\xe9"}]},
        ),
        (b'["cut \xed\xa0\xbd"]', ["cut \ufffd"]),
        (b'["latin \xe9"]', ["latin \ufffd"]),
        ('["\xe9"]'.encode("utf-8-sig"), ["\xe9"]),
        ('["\xe9"]'.encode("utf-16"), ["\xe9"]),
        (b'{"cost": NaN, "more": [Infinity, -Infinity]}', {"cost": None, "more": [None, None]}),
    ],
)
def test_what_arrives_can_be_written_again(body: bytes, value: object) -> None:
    """Each value is as it arrived, with U+FFFD where it is not valid text, and null for no number."""
    found = read_json(body)

    assert value == found
    assert value == json.loads(json.dumps(found, ensure_ascii=False, allow_nan=False).encode())


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe{"])
def test_what_is_not_json_is_an_error(body: bytes) -> None:
    """A body without a JSON value raises ValueError."""
    with pytest.raises(ValueError, match=r"Expecting|decode"):
        read_json(body)
