"""A paid file whose URL does not give it yet is stored when it does."""

from __future__ import annotations

from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import MODEL, one
from support.waiting import wait_until

from mulequeue import generate_many
from mulequeue.errors import DownloadError

ANSWERS_WITHOUT_THE_FILE = {
    "404": {"do": "status", "status": 404, "html": True},
    "403": {"do": "edge_block"},
    "410": {"do": "status", "status": 410},
    "400": {"do": "status", "status": 400},
    "page": {"do": "html"},
    "500": {"do": "status", "status": 500},
    "cut": {"do": "truncate"},
}


@pytest.mark.parametrize("answer", ANSWERS_WITHOUT_THE_FILE.values(), ids=ANSWERS_WITHOUT_THE_FILE)
def test_file_that_is_late_is_stored(shared: Fleet, answer: dict[str, Any]) -> None:
    """A young URL that does not give its file yet, and its new one neither, is tried again."""
    shared.emulator.faults(downloads=[{**answer, "count": 2}])

    outcome = (one(shared) | shared.task("mulequeue.download")).delay().get(timeout=30)

    assert 1 == len(outcome["files"])


def test_expired_asset_fails_the_download(shared: Fleet) -> None:
    """An asset whose time is over and for which the API has no new URL fails its download."""
    shared.emulator.faults(asset_seconds=0.0, asset_renewal=False)
    outcome = one(shared).delay().get(timeout=30)
    outcome["assets"][0]["expires_at"] = "2020-01-01T00:00:00Z"

    result = shared.task("mulequeue.download", outcome).delay()

    with pytest.raises(DownloadError, match="expired at 2020-01-01"):
        result.get(timeout=30)
    record = shared.ledger.queries.record
    wait_until(
        lambda: "expired" in (record(outcome["task_id"]).file_error or ""), what="its reason"
    )


def test_asset_that_the_api_has_no_more_fails_the_download(shared: Fleet) -> None:
    """A generation that the API has forgotten has no other URL, so its download fails at once."""
    outcome = one(shared).delay().get(timeout=30)
    shared.emulator.reset()  # it forgets everything

    result = shared.task("mulequeue.download", outcome).delay()

    with pytest.raises(DownloadError, match="does not know the generation"):
        result.get(timeout=30)


def test_batch_goes_on_without_a_late_file(shared: Fleet) -> None:
    """A batch ends with the reason, and the file is stored when it comes."""
    shared.emulator.faults(downloads=[{"contains": "late", "do": "status", "status": 404}])
    batch = generate_many(
        MODEL, [{"prompt": word, "n": 1} for word in ("soon", "late")], batch_id="b"
    )

    soon, late = batch.delay().get(timeout=60)

    assert (1, 0) == (len(soon["files"]), len(late["files"]))
    assert "returned 404" in late["error"]["detail"]
    shared.emulator.faults(downloads=[])

    def record() -> Any:
        return shared.ledger.queries.record(late["task_id"])

    wait_until(lambda: record().files, seconds=60, what="the late file")
    assert record().file_error is None
    assert 2 == shared.ledger.queries.batch("b").files
