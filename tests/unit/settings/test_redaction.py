"""No password in what is shown."""

from __future__ import annotations

import pytest

from mulequeue.settings.redaction import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis+sentinel://u:pw@a:1,b:2/m/0 x", "redis+sentinel://u:…@a:1,b:2/m/0 x"),
        ("redis://h/0?sentinel_password=pw&db=1", "redis://h/0?sentinel_password=…&db=1"),
        ("'s3://b?token=pw' and more", "'s3://b?token=…' and more"),
        ("no password here: at a:b", "no password here: at a:b"),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    """Before a host and in a query; everything else stays."""
    assert shown == redact(text)
