"""A generation made from an asset of the one before it."""

from __future__ import annotations

import pytest
from support.fleet import Fleet
from support.generations import one

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
