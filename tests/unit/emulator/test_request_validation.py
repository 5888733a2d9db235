"""What the gateway refuses before it looks at the key."""

from __future__ import annotations

import pytest

from mulequeue.catalog import all_models, find
from mulequeue.catalog.parameters import LIST_FIELDS
from mulequeue.emulator.quirks import asset_count, late_failure
from mulequeue.emulator.request_validation import validate_body


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        ("alibaba/wan2.6-t2i", None, "body expected Input should be a valid dictionary"),
        ("alibaba/wan2.6-t2i", [], "body expected Input should be a valid dictionary"),
        ("alibaba/wan2.6-t2i", {}, "'prompt' expected to be provided, got None"),
        ("alibaba/wan2.6-t2i", {"prompt": 5}, "'prompt' expected Input should be a valid string"),
        ("alibaba/wan2.6-t2i", {"prompt": ""}, "'prompt' expected string should have at least 1"),
        ("alibaba/wan2.6-t2i", {"prompt": "x", "n": 0}, "'n' expected Input should be between"),
        ("alibaba/wan2.6-t2i", {"prompt": "x", "n": True}, "'n' expected Input should be between"),
        ("alibaba/wan2.6-i2v", {"prompt": "x"}, "'image' expected to be provided, got None"),
        ("alibaba/wan2.6-i2v", {"image": "u", "prompt": 1}, "'prompt' expected Input should be"),
        ("alibaba/wan2.6-image", {"prompt": "x", "images": "u"}, "'images' expected Input should"),
        ("alibaba/wan2.6-image", {"prompt": "x", "images": []}, "'images' expected list should"),
    ],
)
def test_a_wrong_body_is_refused_with_the_words_of_the_api(model, body, words):
    """The text names the field and what came instead."""
    wrong = validate_body(find(model), body)

    assert wrong is not None
    assert wrong.startswith("Invalid parameters: ")
    assert words in wrong


def test_all_missing_fields_are_named_at_once():
    """Two missing fields make one text."""
    wrong = validate_body(find("alibaba/wan2.5-i2v-preview"), {})

    assert (
        "Invalid parameters: 'prompt' expected to be provided, got None; "
        "'image' expected to be provided, got None"
    ) == wrong


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)
def test_every_model_accepts_its_required_fields(model):
    """What the catalog says is required is enough, with one of a model's alternatives."""
    names = [*model.required, *(name for choice in model.rules.any_of for name in choice[0])]
    body = {name: ["https://x/1"] if name in LIST_FIELDS else "text" for name in names}

    assert validate_body(model, body) is None


def test_a_field_that_is_missed_too_late_is_accepted_and_fails():
    """The omni model accepts a body without aspect ratio, then fails with code 4002."""
    model = find("klingai/kling-v3-omni/reference-video-to-video")
    body = {"prompt": "x", "video": "https://x/1.mp4"}

    assert validate_body(model, body) is None
    assert 4002 == late_failure(model, body)[0]
    assert late_failure(model, {**body, "aspect_ratio": "16:9"}) is None


@pytest.mark.parametrize(
    ("model", "body", "count"),
    [
        ("alibaba/wan2.6-t2i", {"prompt": "x"}, 1),
        ("alibaba/wan2.6-t2i", {"prompt": "x", "n": 3}, 3),
        ("midjourney/diffusion", {"prompt": "x", "n": 2}, 4),
        ("alibaba/wan2.6-t2v", {"prompt": "x", "n": 2}, 1),
    ],
)
def test_the_number_of_assets_follows_the_model(model, body, count):
    """Images count by ``n``, Midjourney always makes four, a video is one."""
    assert count == asset_count(find(model), body)
