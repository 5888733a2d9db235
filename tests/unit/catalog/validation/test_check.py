"""Inputs against what the catalog says of their model: what is refused, warned of, let through."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mulequeue.catalog import find
from mulequeue.catalog.inputs import file
from mulequeue.catalog.validation import check

URL = "https://example.com/mule.png"
DATA = "data:image/png;base64,iVBORw0KGgo="
BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
T2I, T2V = "alibaba/wan2.6-t2i", "alibaba/wan2.6-t2v"
V3 = "klingai/kling-v3/text-to-video"
OMNI = "klingai/kling-v3-omni"
SPEECH = "minimax/speech-2.8-hd/text-to-speech"
MUSIC = "minimax/music-2.5/text-to-music"
SEEDANCE = "bytedance/seedance-2.0"
PARTS = [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}]


def said(model: str, input: dict[str, Any], *, is_certain: bool) -> str:
    """The findings of one sort, in one text."""
    given = {"prompt": "a mule", **input}
    found = check(find(model), {key: item for key, item in given.items() if item != "(left out)"})
    return "; ".join(item.text for item in found if item.is_certain is is_certain)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # names
    (T2I, {"promt": "a"}, "there is no 'promt'; did you mean prompt"),
    (T2I, {"Prompt": "a"}, "did you mean prompt"),
    (T2I, {"zebra": 1}, "there is no 'zebra'; it takes prompt, negative_prompt"),
    (T2I, {"webhook": "https://me"}, "mulequeue.notify"),
    (T2I, {"model": "wan2.6-t2i"}, "the path already names the model"),
    (T2V, {"resolution": "720P"}, "the API ignores 'resolution'; use size"),
    (
        "mulerouter/wan2.6-t2v-spark",
        {"resolution": "720P"},
        "the API ignores 'resolution'; use size",
    ),
    (
        f"{SEEDANCE}/reference-to-video",
        {"videos": [URL], "reference_images": [URL]},
        "the API ignores 'reference_images'; use images",
    ),
    ("midjourney/diffusion", {"n": 4}, "there is no 'n'"),
    ("alibaba/wan2.6-r2v", {"video_urls": [URL], "durations": 5}, "did you mean duration"),
    ("carrothub/w3.0-video", {"aspect_ratio": "16:9"}, "did you mean ratio"),
    # missing
    (T2I, {"prompt": "(left out)"}, "'prompt' is missing"),
    (T2I, {"prompt": None}, "'prompt' is missing"),
    (T2I, {"prompt": ""}, "'prompt' is missing"),
    ("alibaba/wan2.6-image", {"images": []}, "'images' is missing"),
    ("alibaba/wan2.6-i2v", {}, "'image' is missing"),
    (f"{OMNI}/reference-video-to-video", {"video": URL}, "'aspect_ratio' is missing"),
    # types
    (T2I, {"prompt": 7}, "'prompt' takes text, not 7; write \"7\""),
    (T2I, {"prompt": ["a"]}, "'prompt' takes text, not a list"),
    (T2I, {"prompt": file("a.txt")}, "'prompt' takes text, not a file"),
    (T2V, {"duration": "5"}, "takes a whole number, not the text '5'; write it without quotes"),
    (T2V, {"duration": True}, "takes a whole number, not true"),
    (T2V, {"duration": 5.5}, "takes a whole number, not 5.5"),
    (T2V, {"audio": 1}, "'audio' takes true or false, not 1"),
    (T2V, {"audio": "true"}, "takes true or false, not the text 'true'; write it without quotes"),
    ("alibaba/wan2.6-image", {"images": URL}, "'images' takes a list, not the text"),
    (SPEECH, {"voice_setting": "Wise_Woman"}, "'voice_setting' takes an object, not the text"),
    (SPEECH, {"voice_setting": file("a")}, "'voice_setting' takes an object, not a file"),
    ("openai/sora-2", {"seconds": 8}, "'seconds' takes text, not 8; write \"8\""),
    # values and ranges
    (T2V, {"duration": 7}, "'duration' cannot be 7: it takes 5, 10, 15"),
    (T2V, {"size": "1280x720"}, "did you mean '1280*720'?"),
    ("alibaba/wan2.6-i2v", {"image": URL, "resolution": "720p"}, "did you mean '720P'?"),
    (T2I, {"n": 5}, "'n' cannot be 5; it takes 1 to 4"),
    (T2I, {"seed": -1}, "'seed' cannot be -1"),
    (T2I, {"prompt": "m" * 2001}, "'prompt' has 2001 characters; it takes at most 2000"),
    ("minimax/music-2.0/text-to-music", {"lyrics_prompt": "la la"}, "has 5 characters"),
    (f"{SEEDANCE}/text-to-video", {"duration": 3}, "'duration' cannot be 3; it takes -1 or 4 to"),
    ("bytedance/seedance-2.0-fast/text-to-video", {"resolution": "1080p"}, "it takes '480p'"),
    ("carrothub/w3.0-video", {"seed": -1}, "'seed' cannot be -1; it takes 0 or more"),
    (T2I, {"size": "1280"}, "write width and height as '1280*720'"),
    (T2I, {"size": "1024x1024"}, "write width and height as '1024*1024'"),
    (T2I, {"size": "512*512"}, "must be between 768*768 and 1440*1440 pixels"),
    (T2I, {"size": "2800*400"}, "width divided by height must be 0.25 to 4"),
    (
        "alibaba/qwen-image-edit-max",
        {"images": [URL], "size": "256*512"},
        "each side must have 512 to",
    ),
    ("alibaba/wan2.6-image", {"images": [URL] * 3}, "'images' takes 1 to 2 items, not 3"),
    # files
    ("alibaba/wan2.6-i2v", {"image": "mule.png"}, "mulequeue.file(path)"),
    ("alibaba/wan2.6-i2v", {"image": "s3://bucket/mule.png"}, "'image' cannot be 's3://bucket"),
    ("alibaba/wan2.6-i2v", {"image": [URL]}, "takes one file, not a list"),
    ("alibaba/wan2.6-i2v", {"image": {"url": URL}}, "takes one file, not an object"),
    ("openai/gpt-image-2/edit", {"images": [BASE64]}, "'images[0]' takes a URL (https://…) or a"),
    (f"{SEEDANCE}/reference-to-video", {"videos": [file("a.mp4")]}, "not the content of a file"),
    ("carrothub/w3.0-video", {"reference_videos": [DATA]}, "not the content of a file"),
    (f"{OMNI}/video-to-video/edit", {"video": [{"url": URL}]}, "takes one file, not a list"),
    # inside of objects and lists
    (SPEECH, {"voice_setting": {"speed": 3}}, "'voice_setting.speed' cannot be 3"),
    (SPEECH, {"voice_setting": {"voiceid": "x"}}, "did you mean voice_id"),
    (SPEECH, {"voice_setting": {"output_format": "url"}}, "use output_format at the root"),
    (SPEECH, {"audio_setting": {"output_format": "url"}}, "use output_format at the root"),
    (V3, {"multi_prompt": [{"prompt": "a"}]}, "'multi_prompt[0].duration' is missing"),
    (V3, {"multi_prompt": [{**PARTS[0], "length": 1}]}, "no 'multi_prompt[0].length'"),
    (f"{OMNI}/video-to-video/edit", {"video": URL, "elements": [URL]}, "'elements[0]' takes an"),
    # parameters among each other
    (V3, {"prompt": ""}, "it needs 'prompt' or 'multi_prompt'"),
    (V3, {"multi_prompt": PARTS, "duration": 6}, "add up to 5, but 'duration' is 6"),
    (MUSIC, {}, "it needs 'lyrics_prompt' or 'lyrics_optimizer' with 'prompt'"),
    (MUSIC, {"lyrics_optimizer": False}, "it needs 'lyrics_prompt'"),
    (f"{SEEDANCE}/reference-to-video", {"audios": [URL]}, "it needs 'images' or 'videos'"),
    (
        "carrothub/w3.0-video",
        {"first_frame": URL, "reference_images": [URL]},
        "'first_frame' and 'reference_images' cannot be used together",
    ),
    (
        f"{OMNI}/reference-image-to-video",
        {"last_frame": URL},
        "'last_frame' needs 'first_frame' as well",
    ),
    (f"{OMNI}/image-to-video", {"images": [URL]}, "it needs 'first_frame' or 'aspect_ratio'"),
    (
        f"{OMNI}/image-to-video",
        {"first_frame": URL, "images": [URL] * 7},
        "take at most 7 items together, not 8",
    ),
    (
        "google/veo-3.1",
        {"resolution": "1080p", "duration": 4},
        "'resolution' '1080p' needs 'duration' 8",
    ),
    (
        "google/veo",
        {"reference_images": [URL], "model": "veo-3"},
        "'reference_images' needs 'model' 'veo-3.1'",
    ),
    ("klingai/kling-v2.6/text-to-video", {"sound": "on"}, "'sound' 'on' needs 'mode' 'pro'"),
]

WARNED: list[tuple[str, dict[str, Any], str]] = [
    (T2V, {"size": "832*480"}, "documentation and clients differ about '832*480' for 'size'"),
    (T2V, {"multi_shots": True}, "documentation and clients differ about 'multi_shots'"),
    (T2I, {}, "by default 4 pictures are made and billed"),
    ("alibaba/wan2.6-i2v", {"image": URL, "prompt": "(left out)"}, "calls it required"),
    ("alibaba/qwen-image-max", {"prompt": "m" * 801}, "documentation and clients differ: at most 800 or 2000"),
    ("google/veo-3.1", {"duration": "8"}, "documentation and clients differ about '8'"),
    (V3, {"multi_shot": "true"}, "documentation and clients differ"),
    ("alibaba/wan2.6-r2v", {"video_urls": [URL], "zebra": 1}, "do not list 'zebra'"),
    ("dummy/videos", {"zebra": 1}, "do not list 'zebra'"),
    (SPEECH, {"voice_setting": {"zebra": 1}}, "do not list 'voice_setting.zebra'"),
    (f"{SEEDANCE}/reference-to-video", {"videos": ["http://a/b"]}, "https URLs only"),
    (V3, {"multi_prompt": [PARTS[0]]}, "add up to 2, but 'duration' is 5 by default"),
    ("alibaba/wan2.1-vace-plus", {"model": "wan2.1-vace-plus", "function": "video_edit",
     "size": "1280x720"}, "1280x720"),
]  # fmt: skip

ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    (T2I, {"n": 1, "size": "1280*1280", "seed": 0, "negative_prompt": "", "prompt_extend": None}),
    (T2V, {"duration": 5.0, "audio_url": "https://example.com/a.mp3", "shot_type": "multi"}),
    ("alibaba/wan2.6-i2v", {"image": DATA}),
    ("alibaba/wan2.6-i2v", {"image": BASE64}),
    ("alibaba/wan2.6-i2v", {"image": file("mule.png")}),
    ("alibaba/wan2.6-i2v", {"image": file(URL)}),
    ("alibaba/wan2.6-image", {"images": (URL, file("b.png")), "n": 4}),
    ("alibaba/happy-horse-1-0-i2v", {"image": URL, "prompt": "(left out)"}),
    (f"{SEEDANCE}/text-to-video", {"duration": -1, "seed": 4294967295}),
    (f"{SEEDANCE}/reference-to-video", {"videos": [file(URL)], "audios": [URL]}),
    (V3, {"prompt": "(left out)", "multi_prompt": PARTS, "duration": 5}),
    (MUSIC, {"prompt": "(left out)", "lyrics_prompt": "la la la la"}),
    (MUSIC, {"lyrics_optimizer": True}),
    ("google/veo-3.1", {"resolution": "1080p"}),
    ("google/veo-3.1", {"resolution": "4k", "duration": 8}),
    ("google/nano-banana-2", {"aspect_ratio": "8:1", "resolution": "4K", "web_search": True}),
    ("klingai/kling-v2.6/text-to-video", {"sound": "on", "mode": "pro"}),
    (f"{OMNI}/image-to-video", {"images": [URL], "aspect_ratio": "1:1"}),
    (f"{OMNI}/video-to-video/edit", {"video": URL, "elements": [{"frontal_image": URL}]}),
    ("openai/sora-2", {"seconds": "8", "input_reference": URL}),
    (SPEECH, {"voice_setting": {"voice_id": "x", "speed": 0.5, "pitch": -12}}),
    ("midjourney/video-diffusion", {"prompt": f"{URL} it walks", "video_type": 1}),
    ("/vendors/acme/v1/dream-9/generation", {"zebra": [1, {"a": None}], "prompt": "(left out)"}),
]


@pytest.mark.parametrize(("model", "input", "words"), REFUSED)
def test_what_all_sources_agree_is_wrong_is_certain(
    model: str, input: dict[str, Any], words: str
) -> None:
    """The text names the parameter, and what to write instead."""
    assert words in said(model, input, is_certain=True)


@pytest.mark.parametrize(("model", "input", "words"), WARNED)
def test_what_the_sources_differ_about_is_a_warning(
    model: str, input: dict[str, Any], words: str
) -> None:
    """Where the sources differ or say nothing, nothing is refused."""
    assert "" == said(model, input, is_certain=True)
    assert words in said(model, input, is_certain=False)


@pytest.mark.parametrize(("model", "input"), ACCEPTED)
def test_what_all_sources_allow_is_no_finding(model: str, input: dict[str, Any]) -> None:
    """Neither an error nor a warning, also for a path that the catalog does not know."""
    assert "" == said(model, input, is_certain=True) + said(model, input, is_certain=False)


@pytest.mark.parametrize(("model", "input", "words"), REFUSED)
def test_a_check_changes_nothing(model: str, input: dict[str, Any], words: str) -> None:
    """An input is the same after its check, whatever was found."""
    before = copy.deepcopy(input)

    check(find(model), input)

    assert before == input
    assert list(before) == list(input)


def test_what_is_no_dictionary_is_certainly_wrong() -> None:
    """Text instead of an input is one finding."""
    [finding] = check(find(T2I), "a mule")

    assert finding.is_certain
    assert "the input is a str" in finding.text


def test_a_value_is_shown_by_its_start() -> None:
    """A message never holds more than the start of a value or of a name."""
    long = "https://bucket.example.com/mule.png?" + "signature=" * 1000

    text = said(T2I, {"size": long, "n": long, long: 1}, is_certain=True)

    assert "'https://bucket" in text
    assert len(text) < 600


def test_a_name_moves_no_cursor() -> None:
    """Control characters of a name are written out."""
    text = said(T2I, {"\x1b[2Jprompt\n": 1}, is_certain=True)

    assert text.isprintable()
