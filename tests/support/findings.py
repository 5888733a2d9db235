"""What the doctor found, for the tests that plant a fault."""

from __future__ import annotations

from mulequeue.ops.health import Finding

NOWHERE = "redis://:pass-1234@127.0.0.1:9/0"
"""A Redis that does not answer, with a password that must not be shown."""


def levels(findings: list[Finding]) -> dict[str, str]:
    """What is not well: id of a finding -> its level."""
    return {finding.id: finding.level for finding in findings if finding.level != "ok"}
