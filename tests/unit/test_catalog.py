"""The models mulequeue knows, and how a user names them."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib import resources
from itertools import product

import pytest

from mulequeue.catalog import LIST_FIELDS, Model, all_models, find, name_of
from mulequeue.catalog.lookup import nearest
from mulequeue.errors import InputError

# Every path of the API's documentation and clients, with the key of its result: the independent copy
# that the catalog is held against.
DOCUMENTED = {
    "video": """
        alibaba/v1/wan2.6-t2v/generation alibaba/v1/wan2.6-i2v/generation
        alibaba/v1/wan2.6-r2v/generation alibaba/v1/wan2.5-t2v-preview/generation
        alibaba/v1/wan2.5-i2v-preview/generation alibaba/v1/wan2.2-t2v-plus/generation
        alibaba/v1/wan2.2-i2v-plus/generation alibaba/v1/wan2.2-i2v-flash/generation
        alibaba/v1/wan2.1-kf2v-plus/generation alibaba/v1/wan2.1-vace-plus/generation
        alibaba/v1/happy-horse-1-0-t2v/generation alibaba/v1/happy-horse-1-0-i2v/generation
        mulerouter/v1/wan2.5-t2v-spark/generation mulerouter/v1/wan2.5-i2v-spark/generation
        mulerouter/v1/wan2.6-t2v-spark/generation mulerouter/v1/wan2.6-i2v-spark/generation
        google/v1/veo/generation google/v1/veo-3.1/generation
        google/v1/veo-3.1-fast/generation google/v1/veo-3.0/generation
        openai/v1/sora/generation openai/v1/sora-2/generation openai/v1/sora-2-pro/generation
        klingai/v1/kling-v3/text-to-video/generation
        klingai/v1/kling-v3/image-to-video/generation
        klingai/v1/kling-v3-omni/text-to-video/generation
        klingai/v1/kling-v3-omni/image-to-video/generation
        klingai/v1/kling-v3-omni/reference-image-to-video/generation
        klingai/v1/kling-v3-omni/reference-video-to-video/generation
        klingai/v1/kling-v3-omni/video-to-video/edit
        klingai/v1/kling-v2.1-master/text-to-video/generation
        klingai/v1/kling-v2.1-master/image-to-video/generation
        klingai/v1/kling-v2.5-turbo/text-to-video/generation
        klingai/v1/kling-v2.5-turbo/image-to-video/generation
        klingai/v1/kling-v2.6/text-to-video/generation
        klingai/v1/kling-v2.6/image-to-video/generation
        kling/v1/videos/text2video
        midjourney/v1/tob/video-diffusion
        bytedance/v1/seedance-2.0/text-to-video/generation
        bytedance/v1/seedance-2.0/image-to-video/generation
        bytedance/v1/seedance-2.0/reference-to-video/generation
        bytedance/v1/seedance-2.0-fast/text-to-video/generation
        bytedance/v1/seedance-2.0-fast/image-to-video/generation
        bytedance/v1/seedance-2.0-fast/reference-to-video/generation
        carrothub/v1/w3.0-video/generation carrothub/v1/w3.0-video-prime/generation
        carrothub/v1/w3.0-video-pro/generation carrothub/v1/w3.0-video-prime-pro/generation
        carrothub/v1/berry-1.0-pro/generation
        carrothub/v1/wan2.7-i2v-spicy/generation carrothub/v1/wan2.2-i2v-spicy/generation
        dummy/v1/videos/generation
    """,
    "image": """
        alibaba/v1/wan2.6-t2i/generation alibaba/v1/wan2.6-image/generation
        alibaba/v1/wan2.5-t2i-preview/generation alibaba/v1/wan2.5-i2i-preview/generation
        alibaba/v1/qwen-image-max/generation alibaba/v1/qwen-image-max-2025-12-30/generation
        alibaba/v1/qwen-image-edit-max/generation alibaba/v1/qwen-image-edit-plus/generation
        alibaba/v1/qwen-image-edit-plus-2025-12-15/generation
        google/v1/nano-banana/generation google/v1/nano-banana/edit
        google/v1/nano-banana-2/generation google/v1/nano-banana-2/edit
        google/v1/nano-banana-pro/generation google/v1/nano-banana-pro/edit
        openai/v1/gpt-image-2/generation openai/v1/gpt-image-2/edit
        midjourney/v1/tob/diffusion
        carrothub/v1/z-image-spicy/generation carrothub/v1/qwen-image-edit-spicy/generation
    """,
    "audio": """
        minimax/v1/speech-2.8-hd/text-to-speech/generation
        minimax/v1/speech-2.8-turbo/text-to-speech/generation
        minimax/v1/music-2.0/text-to-music/generation
        minimax/v1/music-2.5/text-to-music/generation
    """,
}
PATHS = {f"/vendors/{path}": kind for kind, paths in DOCUMENTED.items() for path in paths.split()}
CHANCES = (0.0, 0.25, 0.5, 0.75, 0.999999)
ATTEMPTS = (0, 1, 2, 5, 20, 10_000)

every_model = pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)


def waits_of(name: str) -> list[float]:
    """Every wait that chance and growth can bring about."""
    schedule = find(name).schedule
    return [schedule.seconds(attempt, chance) for attempt, chance in product(ATTEMPTS, CHANCES)]


@pytest.mark.parametrize(("path", "kind"), PATHS.items())
def test_every_documented_path_is_there(path: str, kind: str) -> None:
    """A documented path is known, with what it makes."""
    model = find(path)

    assert (path, kind) == (model.api_path, model.kind)
    assert model.is_known


def test_nothing_undocumented_is_there() -> None:
    """The catalog lists documented paths, each once, under names that are all different."""
    assert set(PATHS) == {model.api_path for model in all_models()}
    assert len(PATHS) == len(all_models())
    assert {1} == set(Counter(model.name for model in all_models()).values())


@every_model
def test_a_model_is_found_by_its_name(model: Model) -> None:
    """A name finds its model, and so does the name with the action that is left out of it."""
    assert model is find(model.name)
    if model.api_path.endswith("/generation"):
        assert model is find(f"{model.name}/generation")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("alibaba/wan2.6-t2v", "/vendors/alibaba/v1/wan2.6-t2v/generation"),
        ("google/nano-banana-2/edit", "/vendors/google/v1/nano-banana-2/edit"),
        ("google/veo3", "/vendors/google/v1/veo/generation"),
        ("klingai/kling-v3/text-to-video", "/vendors/klingai/v1/kling-v3/text-to-video/generation"),
        (
            "klingai/kling-v3-omni/video-to-video/edit",
            "/vendors/klingai/v1/kling-v3-omni/video-to-video/edit",
        ),
        ("midjourney/diffusion", "/vendors/midjourney/v1/tob/diffusion"),
        (
            "minimax/speech-2.8-hd/text-to-speech",
            "/vendors/minimax/v1/speech-2.8-hd/text-to-speech/generation",
        ),
        ("dummy/videos", "/vendors/dummy/v1/videos/generation"),
    ],
)
def test_names_leave_out_version_scaffolding_and_generation(name: str, path: str) -> None:
    """A name is vendor, model, mode and action, without version, ``tob`` and ``generation``."""
    assert path == find(name).api_path


@every_model
def test_every_model_can_be_waited_for(model: Model) -> None:
    """Every model polls at least ten times before it gives up, and keeps assets for an hour."""
    assert 0 < model.schedule.seconds(0) * 10 < model.max_wait_seconds
    assert model.schedule.factor >= 1
    assert model.schedule.first <= model.schedule.ceiling
    assert model.retention_seconds >= 3600


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("google/veo-3.1-fast", 5, 10),
        ("google/veo-3.0", 10, 15),
        ("openai/sora-2-pro", 15, 30),
        ("alibaba/qwen-image-max", 2, 3),
        ("alibaba/qwen-image-edit-max", 2, 3),
        ("alibaba/qwen-image-edit-plus-2025-12-15", 2, 3),
    ],
)
def test_cadence_is_what_the_page_asks_for(name: str, low: float, high: float) -> None:
    """Whatever chance says, polls come inside the range of the model's own page, and grow in it."""
    waits = waits_of(name)

    assert low <= min(waits) < max(waits) <= high
    assert find(name).schedule.seconds(0) < find(name).schedule.seconds(20)


@pytest.mark.parametrize(
    ("name", "first", "ceiling", "max_wait"),
    [
        ("google/nano-banana-2", 5, 8, 600),
        ("minimax/speech-2.8-hd/text-to-speech", 5, 8, 600),
        ("alibaba/wan2.6-t2v", 10, 30, 3600),
        ("dummy/videos", 3, 10, 600),
    ],
)
def test_cadence_by_media_kind(name: str, first: float, ceiling: float, max_wait: float) -> None:
    """Without a word on the model's page, images and audio are polled sooner than videos."""
    model = find(name)

    assert (first, ceiling) == (model.schedule.seconds(0), model.schedule.seconds(50))
    assert max_wait == model.max_wait_seconds


def test_qwen_gives_up_after_five_minutes() -> None:
    """The Qwen pages advise to give up after five minutes."""
    assert 300 == find("alibaba/qwen-image-edit-plus").max_wait_seconds


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("google/veo-3.1-fast", 48),
        ("alibaba/qwen-image-edit-max", 24),
        ("openai/sora-2", 1),
        ("alibaba/wan2.6-t2v", 1),
    ],
)
def test_retention_is_the_documented_one_or_an_hour(name: str, hours: int) -> None:
    """Assets count as available for as long as a page says, else for one hour."""
    assert hours * 3600 == find(name).retention_seconds


@pytest.mark.parametrize(
    ("name", "required", "prompt_field"),
    [
        ("alibaba/wan2.6-t2i", ("prompt",), "prompt"),
        ("google/nano-banana/edit", ("prompt", "images"), "prompt"),
        ("alibaba/wan2.1-vace-plus", ("model", "function", "prompt"), "prompt"),
        ("minimax/music-2.0/text-to-music", ("lyrics_prompt",), "lyrics_prompt"),
        ("carrothub/w3.0-video", (), "prompt"),
    ],
)
def test_required_fields(name: str, required: tuple[str, ...], prompt_field: str) -> None:
    """A model names the fields it cannot do without, and the one that a line of text goes into."""
    assert (required, prompt_field) == (find(name).required, find(name).prompt_field)


@every_model
def test_lists_of_files_are_known_by_their_names(model: Model) -> None:
    """A field that ``generate_from`` puts a list into is a list of every model that has it."""
    for parameter in model.parameters.values():
        if parameter.type == "file" or parameter.name in LIST_FIELDS:
            assert parameter.is_list is (parameter.name in LIST_FIELDS)


def test_an_unknown_path_is_usable() -> None:
    """A path the catalog does not know is taken as it is, polled like a video, kind left open."""
    model = find("/vendors/acme/v1/dream-9/generation")

    assert "/vendors/acme/v1/dream-9/generation" == model.api_path == model.name
    assert (None, False, ()) == (model.kind, model.is_known, model.required)
    assert 10 == model.schedule.seconds(0)
    assert model == find(model.name)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("alibaba/wan2.6-tv2", "alibaba/wan2.6-t2v"),
        ("Alibaba/Wan2.6-T2V", "alibaba/wan2.6-t2v"),
        (" alibaba/wan2.6-t2v ", "alibaba/wan2.6-t2v"),
        ("nano-banana-2", "google/nano-banana-2"),
        ("nano-banana-2/edit", "google/nano-banana-2/edit"),
        ("openai/veo-3.1-fast", "google/veo-3.1-fast"),
        ("alibaba/wan2.6-t2v-spark", "mulerouter/wan2.6-t2v-spark"),
        ("bytedance/seedance-2.0", "bytedance/seedance-2.0/text-to-video"),
        ("midjourney/difusion", "midjourney/diffusion"),
        ("midjourney/diffusion/generation", "midjourney/diffusion"),
        ("w3.0-video-prime", "carrothub/w3.0-video-prime"),
    ],
)
def test_an_unknown_name_gives_the_nearest(typed: str, meant: str) -> None:
    """A mistyped name, a missing or a wrong vendor: the error names the model that was meant."""
    with pytest.raises(InputError, match="Did you mean ") as caught:
        find(typed)

    assert meant in str(caught.value).replace("?", " ").split()


def test_the_exact_tail_comes_first() -> None:
    """Of many near names the one that only lacks its vendor is suggested first."""
    names = [model.name for model in all_models()]

    assert "google/nano-banana-2" == nearest("nano-banana-2", names)[0]
    assert "google/nano-banana-pro/edit" == nearest("nano-banana-pro/edit", names)[0]
    assert len(nearest("kling", names)) <= 5


@pytest.mark.parametrize("typed", ["", "/", "zzzzzzzz", "🐴", "vendor/" + "x" * 10_000])
def test_a_hopeless_name_is_an_error_all_the_same(typed: str) -> None:
    """A name near to nothing is refused with a word on what works."""
    with pytest.raises(InputError, match="/vendors/"):
        find(typed)


def test_a_model_is_text() -> None:
    """Something that is no text is refused with an example."""
    with pytest.raises(InputError, match=r"alibaba/wan2\.6-t2i"):
        find(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("vendors/alibaba/v1/x/generation", "start with '/vendors/'"),
        ("/v1/tasks/x", "start with '/vendors/'"),
        ("https://api.mulerouter.ai/vendors/alibaba/v1/x/generation", "leave out the host"),
        ("/vendors/alibaba/../v1/x", "take out the '.' and '..'"),
        ("/vendors/alibaba/./v1/x", "take out the '.' and '..'"),
        ("/vendors/alibaba//v1/x", "single slashes"),
        ("/vendors//alibaba/v1/x", "single slashes"),
        ("/vendors/alibaba/v1/x?y=1", "'?' and '#'"),
        ("/vendors/alibaba/v1/x#y", "'?' and '#'"),
        ("/vendors/alibaba/v1/x y", "white space"),
        ("/vendors/alibaba/v1/x\r\nHost: y", "white space"),
        ("/vendors/alibaba/v1/x\x00", "control characters"),
        ("/vendors/alibaba/v1/x/generation/", "slash off its end"),
        ("/vendors/", "slash off its end"),
        ("/vendors/alibaba/v1/%2e%2e/x", "only letters"),
        ("/vendors/alibaba\\v1", "only letters"),
    ],
)
def test_a_bad_path_says_what_to_change(path: str, advice: str) -> None:
    """A path that could lead elsewhere than to a create endpoint is refused with what to change."""
    with pytest.raises(InputError) as caught:
        find(path)

    assert advice in str(caught.value)


def test_files_hold_only_what_the_loader_reads() -> None:
    """A misspelt key in a catalog file does not go unnoticed, and every file has its own vendor."""
    known = {
        *("api_paths", "aliases", "kind", "max_wait_seconds", "prompt_field", "required"),
        *("retention_seconds", "schedule", "like", "groups", "parameters", "note", "is_open"),
        *("ignored", "any_of", "apart", "needs", "when", "together", "sums"),
    }
    for file in resources.files("mulequeue.catalog").iterdir():
        if file.name.endswith(".toml"):
            vendor = tomllib.loads(file.read_text("utf-8"))
            used = {name for entry in vendor["models"] for name in entry.get("groups", ())}
            assert used == set(vendor.get("groups", {}))
            for entry in vendor["models"]:
                assert set(entry) <= known
                vendors = {name_of(path).split("/")[0] for path in entry["api_paths"]}
                assert {file.name.removesuffix(".toml")} == vendors
