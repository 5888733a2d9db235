"""The URL of an earlier asset, as it is put into an input that is about to be billed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mulequeue.engine.followups.fresh_assets import WAITS_SECONDS, working_url
from mulequeue.engine.generation_request import HostFault
from mulequeue.errors import AssetGone, DownloadError
from mulequeue.outcome import Asset, Outcome

LATER, EARLIER = "2999-01-01T00:00:00Z", "2026-01-01T00:00:00Z"


def outcome(*urls: str, expires_at: str | None = LATER) -> Outcome:
    assets = tuple(Asset(url=url, kind="image", expires_at=expires_at) for url in urls)
    return Outcome(task_id="t", status="succeeded", assets=assets)


class Host:
    """An asset host, the API, and a clock that only waits of the code move.

    :param valid: URL -> seconds after which it is valid.
    :param answers: what the API gives, in turn; the last one repeats.
    """

    def __init__(self, valid: dict[str, float], answers: list[Outcome | None]) -> None:
        self.valid, self.answers, self.now = valid, answers, 0.0
        self.asked = 0

    def refresh(self) -> Outcome | None:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def url(self, given: Outcome, index: int = 0) -> str:
        return working_url(
            given,
            index,
            is_gone=lambda url: self.valid.get(url, float("inf")) > self.now,
            refresh=self.refresh,
            sleep=self.sleep,
        )


def test_url_that_works_is_used() -> None:
    """A URL that the asset host accepts is sent as it is, and the API is not asked."""
    host = Host({"old": 0}, [])

    assert "old" == host.url(outcome("old"))
    assert 0 == host.asked


@pytest.mark.parametrize("expires_at", [EARLIER, LATER, None])
@pytest.mark.parametrize("index", [0, -1])
def test_url_that_is_gone_is_read_again(expires_at: str | None, index: int) -> None:
    """The API gives a new one for the same index."""
    host = Host({"new": 0}, [outcome("new") if index == 0 else outcome("x", "new")])

    assert "new" == host.url(outcome("old", expires_at=expires_at), index)
    assert (1, 0.0) == (host.asked, host.now)


def test_young_url_is_waited_for() -> None:
    """A URL that is not valid yet is checked again for some seconds."""
    host = Host({"young": 3}, [outcome("young")])

    assert "young" == host.url(outcome("young"))
    assert 3 == host.now


GONE: dict[str, Callable[[], tuple[Host, str | None]]] = {
    "expired, same URL": lambda: (Host({}, [outcome("old")]), EARLIER),
    "no assets": lambda: (Host({}, [None]), LATER),
    "fewer assets": lambda: (Host({}, [outcome()]), LATER),
}


@pytest.mark.parametrize("name", GONE)
def test_asset_that_is_gone_ends_at_once(name: str) -> None:
    """If the API has no other URL, it is not waited for."""
    host, expires_at = GONE[name]()

    with pytest.raises(
        AssetGone, match=r"asset of task t has expired.* Nothing was sent"
    ) as caught:
        host.url(outcome("old", expires_at=expires_at))

    assert not caught.value.retryable
    assert (1, 0.0) == (host.asked, host.now)


def test_young_url_that_stays_away_ends_in_bounded_time() -> None:
    """The wait for a young URL is bounded."""
    host = Host({}, [outcome("young")])

    with pytest.raises(AssetGone):
        host.url(outcome("young"))

    assert sum(WAITS_SECONDS) == host.now


def test_api_without_a_usable_answer_is_asked_again() -> None:
    """An answer that names no URL may be followed by one that does; the wait for it is bounded."""
    host = Host({"new": 0}, [outcome("new")])
    given = iter([DownloadError("no usable answer"), DownloadError("no usable answer"), None])

    def refresh() -> Outcome | None:
        error = next(given, DownloadError("no usable answer"))
        if error is not None:
            raise error
        return host.refresh()

    old = outcome("old", expires_at=EARLIER)
    arguments = {"is_gone": lambda url: url == "old", "refresh": refresh, "sleep": host.sleep}

    assert "new" == working_url(old, 0, **arguments)
    assert sum(WAITS_SECONDS[:2]) == host.now
    with pytest.raises(AssetGone, match="no usable answer Nothing was sent"):
        working_url(old, 0, **arguments)


def test_host_that_cannot_ask_gives_no_verdict() -> None:
    """It is not known whether the asset is gone, so another host submits the generation."""

    def refresh() -> Outcome:
        raise HostFault("no connection")

    with pytest.raises(HostFault):
        working_url(outcome("old"), 0, is_gone=lambda url: True, refresh=refresh)
