"""An error decides when the next attempt of a download or notification is made, and whether there is one."""

from __future__ import annotations

import pytest

from mulequeue.engine.followups import download, judge, notify
from mulequeue.engine.followups.judge import HostBusy, Policy
from mulequeue.engine.followups.judge import judge as judged
from mulequeue.engine.queues import MAX_ELSEWHERE
from mulequeue.errors import (
    AssetGone,
    ConfigurationError,
    DownloadError,
    InputError,
    NotificationError,
    StorageError,
    TransferError,
)
from mulequeue.ledger import Begun, LeaseResult, RetryReason

DOWNLOAD_OPTIONS = {"delays": download.DELAYS_SECONDS, "max_seconds": download.MAX_SECONDS}
DOWNLOAD = Policy(**DOWNLOAD_OPTIONS)
NOTIFY = Policy(delays=notify.DELAYS_SECONDS, max_seconds=24 * 3600)
HOUR = 3600.0


def begun(attempt: int = 1, hours: float = 0.0, elsewhere: int = 0, cause: str = "") -> Begun:
    return Begun(
        LeaseResult.RUN,
        attempt=attempt,
        elapsed_seconds=hours * HOUR,
        elsewhere=elsewhere,
        cause=cause,
    )


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(judge.random, "uniform", lambda low, high: 1.0)


def hours_of(exc: Exception, policy: Policy) -> float:
    """How long an error that stays is retried, from the first attempt to the last."""
    seconds = elsewhere = attempt = 0
    while True:
        state = begun(attempt + 1, seconds / HOUR, elsewhere, str(exc))
        delay, how, error = judged(exc, state, policy)
        if error is not None:
            return seconds / HOUR
        seconds += delay
        attempt += how is not RetryReason.ELSEWHERE
        elsewhere += how is RetryReason.ELSEWHERE


@pytest.mark.parametrize(
    ("exc", "policy", "least", "most"),
    [
        (AssetGone("404"), DOWNLOAD, 0.9, 1.1),
        (DownloadError("503"), DOWNLOAD, 47, 48),
        (StorageError("disk full"), DOWNLOAD, 47, 48),
        (HostBusy("hangs"), DOWNLOAD, 47, 48),
        (NotificationError("500"), NOTIFY, 22, 24),
        (HostBusy("hangs"), NOTIFY, 23, 24),
        (ConfigurationError("no secret"), NOTIFY, 0.9, 1.1),
        (ConfigurationError("no package"), DOWNLOAD, 0.9, 1.1),
        (OSError("defect"), DOWNLOAD, 0.001, 0.02),
        (InputError("no outcome"), NOTIFY, 0, 0),
        (DownloadError("too large", retryable=False), DOWNLOAD, 0, 0),
    ],
)
def test_every_error_is_retried_for_its_time(exc, policy, least, most):
    """A file that is not there holds a chord for an hour; what passes is waited for as long as URLs live."""
    assert least <= hours_of(exc, policy) <= most


def test_a_late_file_is_found_soon():
    """The first attempts follow each other within seconds."""
    delays = [judged(AssetGone("404"), begun(number), DOWNLOAD)[0] for number in range(1, 6)]

    assert [2, 10, 20, 40, 80] == delays


def test_the_storage_of_another_worker_is_tried_soon():
    """Attempts follow each other within seconds; only if none works they become rare."""
    delays = [judged(StorageError("full"), begun(number), DOWNLOAD)[0] for number in range(1, 16)]

    assert sum(delays[:9]) < 30
    assert [2, 10, 20] == delays[9:12]


def test_many_workers_are_tried_within_a_minute():
    """A worker that lacks something leaves the attempt to others a dozen times in the first minute."""
    exc = ConfigurationError("no secret")
    delays = [judged(exc, begun(1, 0, number), NOTIFY)[0] for number in range(12)]

    assert sum(delays) < 60
    assert [1] * 3 == delays[:3]


def test_an_attempt_that_does_not_count_leaves_the_others_their_delays():
    """Ten attempts that were left to others do not make the first failure wait longer."""
    assert (5, RetryReason.FAILED, None) == judged(
        NotificationError("500"), begun(1, 0, 10), NOTIFY
    )


def test_one_poor_worker_gives_no_verdict():
    """What others have left because they were busy is not final for what one worker lacks."""
    lacks, busy = ConfigurationError("no secret"), begun(1, 2.0, MAX_ELSEWHERE, "me is busy")

    assert judged(lacks, busy, NOTIFY)[2] is None
    assert judged(lacks, begun(1, 2.0, 3, "no secret"), NOTIFY)[2] is None


def test_a_batch_waits_less_for_a_late_file():
    """A member of a batch is given up after a few attempts; another download goes on."""
    member = Policy(**{**DOWNLOAD_OPTIONS, "max_attempts": download.MEMBER_ATTEMPTS})

    assert 10 <= hours_of(AssetGone("404"), member) * HOUR <= 20


@pytest.mark.parametrize(
    ("exc", "kind", "text"),
    [
        (
            AssetGone("a.png returned 404."),
            AssetGone,
            "404. Given up after 20 attempts in 3600 s.",
        ),
        (StorageError("disk full.", retryable=False), DownloadError, "disk full."),
        (NotificationError("gone", retryable=False), NotificationError, "gone"),
        (
            ConfigurationError("No secret."),
            ConfigurationError,
            "No worker could do it. The last one: No secret.",
        ),
        (ValueError("odd"), TransferError, "ValueError: odd"),
        (InputError("no outcome"), InputError, "no outcome"),
    ],
)
def test_the_last_error_is_public_and_names_the_cause(exc, kind, text):
    """A program that reads a result knows the class of its error."""
    _, _, error = judged(exc, begun(20, 1.0, MAX_ELSEWHERE, str(exc)), DOWNLOAD)

    assert kind is type(error)
    assert text in str(error)
    assert not getattr(error, "retryable", False)
