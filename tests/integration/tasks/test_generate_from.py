"""A generation made from an asset of the one before it."""

from __future__ import annotations

import pytest
import requests
from support.fleet import Fleet
from support.generations import new_id, one
from support.waiting import wait_until

import mulequeue
from mulequeue.errors import GenerationFailed

VIDEO = "alibaba/wan2.6-i2v"
EDIT = "alibaba/wan2.6-image"


def following(fleet: Fleet, model: str, input: dict, **call):
    return fleet.task("mulequeue.generate_from", model, input, poll_interval=0.1, **call)


def bodies(fleet: Fleet) -> list[dict]:
    return [create["body"] for create in fleet.emulator.creates()]


def test_image_becomes_a_video(shared: Fleet) -> None:
    """The first image's URL goes into the video's input, and the outcome is the video's."""
    steps = one(shared) | following(shared, VIDEO, {"prompt": "it walks"}, use="image")
    result = steps.delay()

    outcome = result.get(timeout=30)

    image = result.parent.get()["assets"][0]["url"]
    assert {"prompt": "it walks", "image": image} == bodies(shared)[1]
    assert ("video", VIDEO) == (outcome["kind"], outcome["model"])


def test_index_and_list_field(shared: Fleet) -> None:
    """With index the last of several images goes into a field that takes a list."""
    pictures = shared.task(
        "mulequeue.generate", "alibaba/wan2.6-t2i", {"prompt": "mules", "n": 3}, poll_interval=0.1
    )
    result = (
        pictures | following(shared, EDIT, {"prompt": "hats"}, use="images", index=-1)
    ).delay()

    result.get(timeout=30)

    assert [result.parent.get()["assets"][2]["url"]] == bodies(shared)[1]["images"]


def test_list_is_appended_to(shared: Fleet) -> None:
    """An image that the input names already stays in front of the generated one."""
    other = "https://example.com/other.png"
    result = (
        one(shared) | following(shared, EDIT, {"prompt": "x", "images": [other]}, use="images")
    ).delay()

    result.get(timeout=30)

    assert [other, result.parent.get()["assets"][0]["url"]] == bodies(shared)[1]["images"]


def expired(fleet: Fleet, outcome: dict) -> str:
    """The URL of an outcome, once the asset host no longer accepts it."""
    url = outcome["assets"][0]["url"]
    wait_until(lambda: requests.get(url, timeout=10).status_code == 403, what="the URL to expire")
    return url


def test_expired_url_is_read_again_before_it_is_billed(shared: Fleet) -> None:
    """An asset whose URL has expired since is sent with the URL that the API gives now."""
    shared.emulator.faults(asset_seconds=0.5)
    before = one(shared).delay().get(timeout=30)
    url = expired(shared, before)
    shared.emulator.faults(asset_seconds=60)

    step = shared.task("mulequeue.generate_from", before, VIDEO, {"prompt": "x"}, poll_interval=0.1)

    assert "succeeded" == step.delay().get(timeout=30)["status"]
    sent = bodies(shared)[1]["image"]
    assert url != sent
    assert 200 == requests.get(sent, timeout=10).status_code


def test_url_that_expires_while_its_generation_waits(shared: Fleet) -> None:
    """A generation that waited for its turn is sent with a URL that works then."""
    shared.emulator.faults(asset_seconds=0.5)
    before = one(shared).delay().get(timeout=30)
    mulequeue.pause()
    step = shared.task("mulequeue.generate_from", before, VIDEO, {"prompt": "x"}, poll_interval=0.1)
    result = step.apply_async(task_id=new_id())
    shared.wait_for_state(result.id, "waiting")
    url = expired(shared, before)
    shared.emulator.faults(asset_seconds=60)

    mulequeue.unpause()

    assert "succeeded" == result.get(timeout=30)["status"]
    assert url != bodies(shared)[1]["image"]


def test_asset_that_is_gone_is_not_billed(shared: Fleet) -> None:
    """Without a working URL nothing is sent, and the outcome names the reason."""
    shared.emulator.faults(asset_seconds=0.2, asset_renewal=False)
    before = one(shared).delay().get(timeout=30)
    expired(shared, before)
    before["assets"][0]["expires_at"] = "2026-01-01T00:00:00Z"

    step = shared.task("mulequeue.generate_from", before, VIDEO, {"prompt": "x"})
    with pytest.raises(GenerationFailed, match="has expired, or was removed") as caught:
        step.delay().get(timeout=30)

    assert "AssetGone" == caught.value.reason
    assert 1 == shared.emulator.stats()["creates"]


def test_failed_outcome_passes_through(shared: Fleet) -> None:
    """A previous generation that failed is passed on untouched, and nothing more is paid."""
    shared.emulator.faults(lives=[{"end": "failed", "detail": "a bad mule"}])
    first = one(shared, on_failure="return")
    result = (first | following(shared, VIDEO, {"prompt": "it walks"})).delay()

    assert result.get(timeout=30) == result.parent.get()
    assert 1 == shared.emulator.stats()["creates"]


def test_index_that_is_not_there(shared: Fleet) -> None:
    """An index beyond the assets fails before anything is sent."""
    result = (one(shared) | following(shared, VIDEO, {"prompt": "x"}, index=7)).delay()

    with pytest.raises(GenerationFailed, match="there is no index 7") as caught:
        result.get(timeout=30)

    assert "InputError" == caught.value.reason
    assert 1 == shared.emulator.stats()["creates"]


def test_from_a_member_of_a_batch(shared: Fleet) -> None:
    """The short form that members of a batch return is enough: the rest is in the ledger."""
    member = one(shared, batch_id="b", batch_size=1)
    result = (member | following(shared, VIDEO, {"prompt": "it walks"})).delay()

    outcome = result.get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert bodies(shared)[1]["image"].endswith("result_00.png")
