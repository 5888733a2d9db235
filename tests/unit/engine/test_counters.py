"""What a process counts in its memory."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from mulequeue.api.results import NotFound, NotSent, Refused, RetryLater, Transient, Unknown
from mulequeue.engine.counters import DOWNLOAD_SECONDS, GENERATION_SECONDS, Meter, Parts
from mulequeue.ledger.keyspace import source
from mulequeue.outcome import ErrorInfo

NEVER = 3600.0


class Written:
    """Takes what a meter writes; refuses the first ``refused`` times."""

    def __init__(self, refused: int = 0) -> None:
        self.calls: list[Mapping[Parts, float]] = []
        self.refused = refused

    def __call__(self, amounts: Mapping[Parts, float]) -> None:
        if self.refused:
            self.refused -= 1
            raise ConnectionError("Redis is away")
        self.calls.append(amounts)


def error(status: int) -> ErrorInfo:
    return ErrorInfo(type="X", title="x", status_code=status)


def test_a_thousand_status_checks_are_one_write() -> None:
    """Counting costs no call; one write brings the sums."""
    written = Written()
    meter = Meter(written, seconds=NEVER)

    for _ in range(1000):
        meter.count_check(
            "default", Transient(reason="", status_code=503, retry_after_seconds=None)
        )
    meter.flush()
    meter.flush()

    assert [{("poll_answers", "default", "503"): 1000}] == written.calls


def test_what_could_not_be_written_is_written_later() -> None:
    """While the ledger is away nothing is lost and nothing raises."""
    written = Written(refused=1)
    meter = Meter(written, seconds=NEVER)

    meter.count_attempt("mulequeue.notify", "retried")
    meter.flush()
    meter.count_attempt("mulequeue.notify", "retried")
    meter.flush()

    assert [{("transfers", "notify", "retried"): 2}] == written.calls


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        (NotSent(reason="no route"), ("not_sent", "")),
        (RetryLater(retry_after_seconds=None, error=error(429)), ("not_created", "429")),
        (Refused(error=error(402)), ("refused", "402")),
        (Unknown(reason="cut", status_code=None), ("unknown", "")),
        (Unknown(reason="HTTP 502", status_code=502), ("unknown", "502")),
    ],
)
def test_a_create_counts_by_what_it_means(answer: object, labels: Parts) -> None:
    """A create that may be paid is told apart from one that is not, whatever its status."""
    written = Written()
    meter = Meter(written, seconds=NEVER)

    meter.count_submission("mulerun", answer)  # type: ignore[arg-type]
    meter.flush()

    assert [{("submit_answers", "mulerun", *labels): 1}] == written.calls


def test_a_404_counts_as_one() -> None:
    """A status check that finds nothing has the code 404."""
    written = Written()
    meter = Meter(written, seconds=NEVER)

    meter.count_check("default", NotFound(error=error(404), is_gone=True))
    meter.flush()

    assert [{("poll_answers", "default", "404"): 1}] == written.calls


@pytest.mark.parametrize(
    ("seconds", "le"), [(0.0, "0.5"), (1.0, "1"), (1.01, "2"), (901.0, "+Inf")]
)
def test_a_value_is_in_the_first_bucket_that_holds_it(seconds: float, le: str) -> None:
    """A bound belongs to its bucket; what is above all of them is in +Inf."""
    written = Written()
    meter = Meter(written, seconds=NEVER)

    meter.count_stored([], seconds)
    meter.flush()

    assert 1 == written.calls[0]["download_seconds", le]
    assert pytest.approx(seconds) == written.calls[0]["download_seconds_sum",]
    assert 900 == DOWNLOAD_SECONDS[-1]


def test_the_ledger_counts_into_the_exporters_buckets() -> None:
    """The bounds in Lua and in Python are the same."""
    (text,) = re.findall(r"GENERATION_SECONDS = \{(.*?)\}", source("settle"))
    assert GENERATION_SECONDS == tuple(int(part) for part in text.split(","))
