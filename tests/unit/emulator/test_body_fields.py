"""Fields that a model does not declare, alternatives, and fields that exclude each other."""

from __future__ import annotations

import pytest

from mulequeue.catalog import find
from mulequeue.emulator.request_validation import validate_body

OMNI_EDIT = "klingai/kling-v3-omni/video-to-video/edit"
FRAME = "https://x/1.png"


@pytest.mark.parametrize(
    ("model", "unknown_fields", "is_refused"),
    [
        ("alibaba/wan2.6-t2v", "by_model", False),
        ("carrothub/wan2.7-i2v-spicy", "by_model", False),
        (OMNI_EDIT, "by_model", True),
        ("alibaba/wan2.6-t2v", "rejected", True),
        (OMNI_EDIT, "ignored", False),
        ("dummy/videos", "rejected", False),
    ],
)
def test_an_unknown_field_is_refused_where_the_model_does(model, unknown_fields, is_refused):
    """By default as each model was seen to do; or the same for all whose fields are known."""
    body = {"prompt": "x", "video": "https://x/1.mp4", "image": FRAME, "foo": 1}
    if "wan2.6-t2v" in model:
        del body["video"], body["image"]

    wrong = validate_body(find(model), body, unknown_fields)

    assert is_refused is (wrong is not None)
    assert not is_refused or "'foo' Extra inputs are not permitted" in wrong


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("klingai/kling-v3/text-to-video", {"prompt": "x"}),
        ("klingai/kling-v3/text-to-video", {"multi_prompt": [{"prompt": "x", "duration": 5}]}),
        ("klingai/kling-v3/image-to-video", {"last_frame": FRAME}),
        ("carrothub/w3.0-video", {"reference_images": [FRAME], "prompt": "x"}),
        ("carrothub/w3.0-video", {"first_frame": FRAME, "last_frame": FRAME}),
        ("bytedance/seedance-2.0/reference-to-video", {"videos": ["https://x/1.mp4"]}),
        ("minimax/music-2.5/text-to-music", {"lyrics_optimizer": True, "prompt": "x"}),
    ],
)
def test_one_of_the_alternatives_is_enough(model, body):
    """Each alternative is accepted on its own."""
    assert validate_body(find(model), body) is None


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        (
            "klingai/kling-v3-omni/image-to-video",
            {"prompt": "x", "images": [FRAME]},
            "'first_frame' or 'aspect_ratio' expected",
        ),
        ("klingai/kling-v3/text-to-video", {}, "'prompt' or 'multi_prompt' expected"),
        ("klingai/kling-v3/text-to-video", {"multi_prompt": []}, "'prompt' or 'multi_prompt'"),
        (
            "klingai/kling-v3-omni/image-to-video",
            {"prompt": "x", "last_frame": FRAME},
            "'last_frame' expected 'first_frame'",
        ),
        ("carrothub/w3.0-video", {"duration": 5}, "'prompt' or 'first_frame' or"),
        (
            "carrothub/w3.0-video",
            {"first_frame": FRAME, "reference_images": [FRAME]},
            "'first_frame' and 'reference_images' cannot be used together",
        ),
        (
            "bytedance/seedance-2.0/reference-to-video",
            {"audios": ["https://x/1.mp3"]},
            "'images' or 'videos' expected",
        ),
        (
            "minimax/music-2.5/text-to-music",
            {"lyrics_optimizer": False, "prompt": "x"},
            "'lyrics_prompt' or 'lyrics_optimizer' and 'prompt' expected",
        ),
    ],
)
def test_no_alternative_or_two_that_exclude_each_other_are_refused(model, body, words):
    """The text names what could be given."""
    assert words in (validate_body(find(model), body) or "")
