"""A batch's progress in words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.batches import batch

from mulequeue.cli.costs import cost_line
from mulequeue.cli.output import one_line
from mulequeue.cli.render import clock, describe_error, ending_line, progress_line
from mulequeue.cli.results import summary_of
from mulequeue.ledger import Batch, Record
from mulequeue.ledger.expenses import Charging
from mulequeue.ops.spend import Sum
from mulequeue.outcome import ErrorInfo
from mulequeue.settings.redaction import redact


def test_a_member_is_done_when_its_files_are_stored() -> None:
    """One that succeeded counts once it is downloaded, one that did not counts at once."""
    assert 3 == batch(9, downloaded=1, succeeded=4, failed=2).done


def test_states_are_counted_in_words() -> None:
    """Members that no worker has received yet are queued."""
    line = progress_line(batch(9, downloaded=1, generating=2, succeeded=4, submit_unknown=1))

    assert "2 of 9 done: 2 queued, 2 generating, 4 succeeded, 1 unknown; 1 file" == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3601, "1:00:01"), (-1, "0:00")]
)
def test_a_clock_reads_hours_only_when_there_are_any(seconds: float, text: str) -> None:
    """Minutes and seconds, and hours in front."""
    assert text == clock(seconds)


def test_a_failure_is_one_line() -> None:
    """Member, status, the API's reason with its code, and the prompt."""
    record = Record(
        task_id="b-000017",
        batch="b",
        state="delivered",
        status="failed",
        label="a mule",
        answer={
            "error": {"type": "GenerationFailed", "code": 3001, "detail": "Prohibited\nprompt"}
        },
    )

    assert '000017 failed: Prohibited prompt (code 3001) "a mule"' == ending_line(record)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "no reason given"),
        (ErrorInfo(type="NoAssets"), "NoAssets"),
        (
            ErrorInfo(type="X", title="Rejected", detail="Not\nthis.", code=7),
            "Not this. (code 7)",
        ),
        (ErrorInfo(type="X", title="Invalid API key"), "Invalid API key"),
    ],
)
def test_an_error_is_its_most_specific_text_and_its_code(
    error: ErrorInfo | None, text: str
) -> None:
    """The detail, else the title, else the type; in one line."""
    assert text == describe_error(error)


def test_the_summary_holds_the_fixed_keys() -> None:
    """Scripts rely on these names."""
    cost = Sum(unpriced=1)
    cost.usd[Charging.CHARGED] = Decimal("0.075")
    members = batch(4, downloaded=2, succeeded=2, failed=1, timed_out=1)

    summary = summary_of(members, 1.23456, cost)

    assert {
        "submitted": 4,
        "succeeded": 2,
        "failed": 1,
        "timed_out": 1,
        "submit_unknown": 0,
        "cancelled": 0,
        "files": 2,
        "seconds": 1.235,
        "batch_id": "b",
        "estimated_usd": 0.075,
        "charging_unknown_usd": 0.0,
        "may_have_been_charged_usd": 0.0,
        "unpriced": 1,
    } == summary
    assert "0.075 USD (estimate), 1 without a known price" == cost_line(cost)
    assert "" == cost_line(Sum(unpriced=1))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:1/0", "redis://:…@host:1/0"),
        ("amqp://user:s@cret@host//", "amqp://user:…@host//"),
        ("redis://host:1/0", "redis://host:1/0"),
    ],
)
def test_passwords_in_urls_are_masked(url: str, shown: str) -> None:
    """A message never quotes a password."""
    assert f"at {shown}: x" == redact(f"at {url}: x")
    assert f"a {shown} b" == one_line(f"a\n {url}\tb")


def test_what_is_not_sent_queued_and_being_stored_is_told_apart() -> None:
    """Of what no worker has, the broker has a part; of what succeeded, files may be on their way."""
    found = Batch(
        batch_id="b",
        size=5000,
        counts={"generating": 7, "succeeded": 93},
        downloads=True,
        downloaded=53,
        files=53,
        sent=507,
    )

    line = progress_line(found)

    assert line == (
        "53 of 5000 done: 4493 not sent yet, 407 queued, 7 generating, 93 succeeded; "
        "53 files, 40 being stored"
    )
